//! How a thread tells the watchdog what it polls, without a lock and without a
//! read-modify-write instruction.
//!
//! The rules, each proved by a loom model in `tests/publish.rs`:
//!
//! 1. `sequence` is odd exactly while a poll is published; it only ever grows, by
//!    one at each end and each beginning. Only the owning thread writes.
//! 2. The fields are written only while `sequence` is even. The store that makes
//!    it odd is a release: whoever reads that odd number with acquire sees the
//!    fields of this poll (or of a later one).
//! 3. The store that makes it even is followed by a release fence, so that no
//!    field of the next poll can be seen by a reader whose following acquire fence
//!    does not also let it see that `sequence` has moved on.
//! 4. A reader takes the odd number, the fields, an acquire fence, and the number
//!    again. Equal numbers mean that the fields belong to that one poll; anything
//!    else is stale and is dropped.

use super::sync::{
    AtomicPtr, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};

/// What a thread polls right now.
pub(crate) struct Published<T> {
    sequence: AtomicU64,
    task: AtomicPtr<T>,
    start: AtomicU64,
    origin: AtomicU64,
}

/// One consistent reading.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reading<T> {
    /// Odd; names this stretch of polling for as long as the slot lives.
    pub(crate) sequence: u64,
    pub(crate) task: *mut T,
    pub(crate) start: u64,
    /// The number of the first stretch of this poll: an outer poll goes on under a
    /// new number, but with its old origin, when a nested one has ended.
    pub(crate) origin: u64,
}

// Not derived: a reading can be copied whatever its task is.
impl<T> Clone for Reading<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Reading<T> {}

impl<T> Published<T> {
    pub(crate) fn new() -> Self {
        Published {
            sequence: AtomicU64::new(0),
            task: AtomicPtr::new(std::ptr::null_mut()),
            start: AtomicU64::new(0),
            origin: AtomicU64::new(0),
        }
    }

    /// Publishes a poll. Only the owning thread may call it, between polls.
    #[inline]
    pub(crate) fn begin(&self, task: *mut T, start: u64) -> u64 {
        let sequence = self.sequence.load(Relaxed) + 1;
        self.publish(sequence, task, start, sequence);
        sequence
    }

    /// Publishes the rest of a poll that began as number `origin`. Only the owning
    /// thread may call it, between polls.
    pub(crate) fn resume(&self, task: *mut T, start: u64, origin: u64) {
        let sequence = self.sequence.load(Relaxed) + 1;
        self.publish(sequence, task, start, origin);
    }

    #[inline]
    fn publish(&self, sequence: u64, task: *mut T, start: u64, origin: u64) {
        debug_assert!(
            !sequence.is_multiple_of(2),
            "begins inside a published poll"
        );
        self.task.store(task, Relaxed);
        self.start.store(start, Relaxed);
        self.origin.store(origin, Relaxed);
        self.sequence.store(sequence, Release);
    }

    /// Ends the published poll and returns its number. Only the owning thread may call it.
    #[inline]
    pub(crate) fn end(&self) -> u64 {
        let sequence = self.sequence.load(Relaxed);
        debug_assert!(!sequence.is_multiple_of(2), "ends outside a published poll");
        self.sequence.store(sequence + 1, Relaxed);
        fence(Release);
        sequence
    }

    /// What the owning thread itself published last.
    #[inline]
    pub(crate) fn own(&self) -> Reading<T> {
        Reading {
            sequence: self.sequence.load(Relaxed),
            task: self.task.load(Relaxed),
            start: self.start.load(Relaxed),
            origin: self.origin.load(Relaxed),
        }
    }

    /// What the thread polls, or `None` if it polls nothing or is just changing.
    pub(crate) fn read(&self) -> Option<Reading<T>> {
        let sequence = self.sequence.load(Acquire);
        if sequence.is_multiple_of(2) {
            return None;
        }
        let task = self.task.load(Relaxed);
        let start = self.start.load(Relaxed);
        let origin = self.origin.load(Relaxed);
        fence(Acquire);
        (self.sequence.load(Relaxed) == sequence).then_some(Reading {
            sequence,
            task,
            start,
            origin,
        })
    }

    /// The number alone, for code that only asks whether the poll is still the same.
    pub(crate) fn sequence(&self) -> &AtomicU64 {
        &self.sequence
    }
}
