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
    /// The number under which an outer poll went on last, and its origin: only then
    /// does the origin differ from the number, so only then are these written.
    resumed: AtomicU64,
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
            resumed: AtomicU64::new(0),
            origin: AtomicU64::new(0),
        }
    }

    /// The number of the published poll, if there is one. For the owning thread.
    #[inline]
    pub(crate) fn open(&self) -> Option<u64> {
        let sequence = self.sequence.load(Relaxed);
        (!sequence.is_multiple_of(2)).then_some(sequence)
    }

    /// The number that the next poll gets, if none is published. For the owning thread.
    #[inline]
    pub(crate) fn closed(&self) -> Option<u64> {
        let sequence = self.sequence.load(Relaxed);
        sequence.is_multiple_of(2).then_some(sequence + 1)
    }

    /// Publishes a poll as number `next`, from [`closed`](Published::closed).
    #[inline]
    pub(crate) fn begin(&self, next: u64, task: *mut T, start: u64) {
        self.start.store(start, Relaxed);
        self.begin_undated(next, task);
    }

    /// Publishes a poll that began nobody knows when; for slots whose polls are
    /// never dated, so that the start stays 0.
    #[inline]
    pub(crate) fn begin_undated(&self, next: u64, task: *mut T) {
        self.task.store(task, Relaxed);
        self.sequence.store(next, Release);
    }

    /// Publishes the rest of a poll that began as number `origin`. Only the owning
    /// thread may call it, between polls.
    pub(crate) fn resume(&self, task: *mut T, start: u64, origin: u64) {
        let next = self.sequence.load(Relaxed) + 1;
        self.resumed.store(next, Relaxed);
        self.origin.store(origin, Relaxed);
        self.begin(next, task, start);
    }

    /// Ends the published poll `sequence`, from [`open`](Published::open).
    #[inline]
    pub(crate) fn end(&self, sequence: u64) {
        self.sequence.store(sequence + 1, Relaxed);
        fence(Release);
    }

    /// The task of the published poll. For the owning thread.
    #[inline]
    pub(crate) fn task(&self) -> *mut T {
        self.task.load(Relaxed)
    }

    /// The start of the published poll. For the owning thread.
    #[inline]
    pub(crate) fn start(&self) -> u64 {
        self.start.load(Relaxed)
    }

    /// What the owning thread itself published as `sequence`, its last number.
    pub(crate) fn own(&self, sequence: u64) -> Reading<T> {
        self.fields(sequence)
    }

    #[inline]
    fn fields(&self, sequence: u64) -> Reading<T> {
        let resumed = self.resumed.load(Relaxed) == sequence;
        Reading {
            sequence,
            task: self.task.load(Relaxed),
            start: self.start.load(Relaxed),
            origin: if resumed {
                self.origin.load(Relaxed)
            } else {
                sequence
            },
        }
    }

    /// What the thread polls, or `None` if it polls nothing or is just changing.
    pub(crate) fn read(&self) -> Option<Reading<T>> {
        let sequence = self.sequence.load(Acquire);
        if sequence.is_multiple_of(2) {
            return None;
        }
        let reading = self.fields(sequence);
        fence(Acquire);
        (self.sequence.load(Relaxed) == sequence).then_some(reading)
    }

    /// The number alone, for code that only asks whether the poll is still the same.
    pub(crate) fn sequence(&self) -> &AtomicU64 {
        &self.sequence
    }
}
