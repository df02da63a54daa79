//! Scheduled time: how long a woken future waited for its poll.
//!
//! A watched future is polled with a waker of ours that notes the time and wakes
//! the task's own. The note costs a clock reading and a second reference count, so
//! it is taken for every one of the first polls and then for one in
//! [`SAMPLE_EVERY`], with that weight: long-lived tasks get a good estimate, short
//! ones exact numbers.

use std::{
    sync::{Arc, OnceLock},
    task::{Wake, Waker},
};

use crate::{
    clock::{self, Ticks},
    registry::task::Task,
};

const SAMPLE_ALL_FIRST: u32 = 32;
const SAMPLE_EVERY: u32 = 16;

/// The waker of one watched future.
pub(crate) struct Wakes {
    note: Arc<Note>,
    waker: Waker,
    polls: u32,
    /// Weight of the wake that is awaited; 0 if none is.
    awaited: u32,
}

struct Note {
    task: &'static Task,
    id: u64,
    /// The waker of the task that the future was first polled in.
    inner: OnceLock<Waker>,
}

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.task.id() == self.id {
            self.task.woken(clock::now());
        }
        if let Some(inner) = self.inner.get() {
            inner.wake_by_ref();
        }
    }
}

impl Wakes {
    pub(crate) fn new(task: &'static Task) -> Wakes {
        let note = Arc::new(Note {
            task,
            id: task.id(),
            inner: OnceLock::new(),
        });
        Wakes {
            waker: Waker::from(note.clone()),
            note,
            polls: 0,
            awaited: 0,
        }
    }

    /// A poll begins: settles the awaited wake, and gives the waker to poll with,
    /// or `None` if this poll's wake is not to be noted.
    ///
    /// A future that has moved to another task since its first poll is polled with
    /// that task's own waker: its scheduled time is no longer measured.
    pub(crate) fn begin(&mut self, outer: &Waker, now: Ticks) -> Option<&Waker> {
        if self.awaited > 0 {
            self.note.task.settle_wake(now, u64::from(self.awaited));
        }
        self.awaited = self.weight();
        self.polls = self.polls.wrapping_add(1);
        if self.awaited == 0 {
            return None;
        }
        let inner = self.note.inner.get_or_init(|| outer.clone());
        inner.will_wake(outer).then_some(&self.waker)
    }

    fn weight(&self) -> u32 {
        if self.polls < SAMPLE_ALL_FIRST {
            1
        } else if self.polls.is_multiple_of(SAMPLE_EVERY) {
            SAMPLE_EVERY
        } else {
            0
        }
    }
}
