//! The waker that a watched future is polled with, and what it notes.
//!
//! It wakes the task's own waker. All its clones are one [`Note`], counted by an `Arc`
//! that the future's [`Wakes`](super::wakes::Wakes) keeps. The table is written by hand
//! because a clone that is dropped has something to say too: if it was the last one, and
//! nobody had called it, the task that sleeps with it can no longer be woken. Only the
//! stack of that drop shows who threw it away.

#![expect(unsafe_code, reason = "a table of wakers is made of raw pointers")]

use std::{
    mem::ManuallyDrop,
    sync::{
        Arc, OnceLock,
        atomic::{
            AtomicBool, AtomicU8, AtomicU32, AtomicU64,
            Ordering::{Acquire, Relaxed},
        },
    },
    task::{RawWaker, RawWakerVTable, Waker},
};

use asyncwatch_findings::Code;

use super::join_state::{self, TaskState};
use crate::{
    clock,
    registry::{slots, task::Task},
    settings, waits,
};

/// References to a [`Note`] that its future itself holds: the note and the waker to lend.
pub(super) const OWN_REFERENCES: usize = 2;

/// What a waker notes. Shared with whoever was given a clone of it.
pub(crate) struct Note {
    pub(super) task: &'static Task,
    pub(super) id: u64,
    /// The waker of the task that the future was first polled in.
    pub(super) inner: OnceLock<Waker>,
    /// The next wake is to be timed.
    pub(super) timed: AtomicBool,
    /// [`WOKEN`] and [`BY_ITSELF`] since the last poll began.
    pub(super) woken: AtomicU8,
    /// Number of the slot whose thread polls it, plus one; 0 between polls.
    pub(super) polled_by: AtomicU32,
    /// Grows with each poll.
    pub(super) generation: AtomicU32,
    /// Its wakes are followed.
    tracked: bool,
    /// It is on the list of [`waits`].
    pub(crate) suspected: AtomicBool,
    /// The stack of the next wake by itself is asked for.
    pub(super) capture: AtomicBool,
    /// Of the streak whose stack is asked for.
    pub(super) streak: AtomicU32,
    pub(super) streak_ticks: AtomicU64,
}

pub(super) const WOKEN: u8 = 1;
pub(super) const BY_ITSELF: u8 = 2;

static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_clone);

/// The waker that counts as one reference to `note`.
pub(super) fn waker(note: Arc<Note>) -> Waker {
    let data = Arc::into_raw(note).cast();
    // SAFETY: the functions of the table take `data` for what `Arc::into_raw` returned,
    // and count as its contract wants: `clone` adds a reference, `wake` and `drop_clone`
    // take one, `wake_by_ref` leaves it. A `Note` is `Send` and `Sync`.
    unsafe { Waker::from_raw(RawWaker::new(data, &TABLE)) }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: `data` is a live reference of `waker`, says the contract of the table.
    unsafe { Arc::increment_strong_count(data.cast::<Note>()) };
    RawWaker::new(data, &TABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: as in `clone`; the reference is this call's to drop.
    let note = unsafe { Arc::from_raw(data.cast::<Note>()) };
    note.woken.fetch_or(WOKEN, Relaxed);
    note.pass_on();
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: as in `clone`; the reference stays the caller's, so it is not dropped.
    let note = unsafe { ManuallyDrop::new(Arc::from_raw(data.cast::<Note>())) };
    if note.is_polled_here() {
        note.woken.fetch_or(WOKEN | BY_ITSELF, Relaxed);
        if note.capture.load(Relaxed) {
            tell_of_storm(&note);
        }
    } else {
        note.woken.fetch_or(WOKEN, Relaxed);
    }
    note.pass_on();
}

unsafe fn drop_clone(data: *const ()) {
    // SAFETY: as in `clone`; the reference is this call's to drop.
    let note = unsafe { Arc::from_raw(data.cast::<Note>()) };
    // Of two that drop the last two clones at once, neither may notice.
    if note.tracked && is_abandoned(&note, 1) {
        thrown_away(&note);
    }
}

#[cold]
fn tell_of_storm(note: &Arc<Note>) {
    if note.capture.swap(false, Relaxed) && note.task.id() == note.id {
        waits::storm(waits::Storm {
            task: crate::slow::TaskIdentity::of(note.task),
            stack: asyncwatch_stack::own_trace(waits::FRAMES_MAX),
            alone: Arc::strong_count(note) == OWN_REFERENCES,
            polls: note.streak.load(Relaxed),
            lasted: clock::to_duration(note.streak_ticks.load(Relaxed)),
        });
    }
}

/// The last clone is dropped between two polls, and nobody called it: where that
/// happens is of interest if the task sleeps, and has no other waker.
#[cold]
fn thrown_away(note: &Arc<Note>) {
    let sleeps = |state: TaskState| state.is_asleep() && state.others_of_sleeper() == 1;
    if settings::wants(Code::LostWaker)
        && note.task.id() == note.id
        && note.task_state().is_some_and(sleeps)
        && !note.suspected.swap(true, Relaxed)
    {
        let stack = asyncwatch_stack::own_trace(waits::FRAMES_MAX);
        waits::suspect(
            Arc::downgrade(note),
            note.task,
            waits::Lost::ThrownAway(stack),
        );
    }
}

/// Whether it is not polled, was not called since the last poll, and is held by
/// nobody but its future and `others`.
pub(crate) fn is_abandoned(note: &Arc<Note>, others: usize) -> bool {
    note.polled_by.load(Acquire) == 0
        && Arc::strong_count(note) == OWN_REFERENCES + others
        && note.woken.load(Acquire) == 0
}

impl Note {
    /// Of a future whose numbers are in `task`; `tracked` if its wakes are followed.
    pub(super) fn new(task: &'static Task, tracked: bool) -> Note {
        Note {
            task,
            id: task.id(),
            inner: OnceLock::new(),
            timed: AtomicBool::new(false),
            woken: AtomicU8::new(0),
            polled_by: AtomicU32::new(0),
            generation: AtomicU32::new(0),
            tracked,
            suspected: AtomicBool::new(false),
            capture: AtomicBool::new(false),
            streak: AtomicU32::new(0),
            streak_ticks: AtomicU64::new(0),
        }
    }

    #[inline]
    fn pass_on(&self) {
        if self.timed.load(Relaxed) && self.task.id() == self.id {
            self.task.woken(clock::now());
        }
        if let Some(inner) = self.inner.get() {
            inner.wake_by_ref();
        }
    }

    #[inline]
    fn is_polled_here(&self) -> bool {
        let polled_by = self.polled_by.load(Relaxed);
        polled_by != 0 && slots::known().is_some_and(|slot| slot.number + 1 == polled_by)
    }

    /// The task it belongs to, as tokio has it; `None` if that is none, or not known.
    pub(crate) fn task_state(&self) -> Option<TaskState> {
        join_state::of(self.inner.get()?)
    }

    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Acquire)
    }
}
