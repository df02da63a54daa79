//! What a thread does at one moment: looked up at most once per look, for all the
//! polls that go on on it.

use std::{sync::Arc, time::Duration};

use asyncwatch_stack::{
    Activity, CaptureError, Capturer, Faults, How, Lock, RawStack, Still, Usage,
};

use crate::{
    clock::{self, Ticks},
    drops,
    registry::{
        slot::Slot,
        slots::{self, ThreadInfo},
    },
};

/// Stacks taken at one look of a thread that computes. A loop of many short calls is
/// told from one long call by samples outside of the call, which may be few in a
/// hundred; each costs the thread some microseconds.
const BURST: usize = 6;
/// Between searches for the holder of a lock: each may look at all threads.
const BETWEEN_SEARCHES: Duration = Duration::from_millis(50);

/// A look at one thread, while its innermost poll is number `sequence`.
pub(super) struct Glance<'a> {
    slot: &'static Slot,
    sequence: u64,
    capturer: Option<&'a mut Capturer>,
    /// When a holder was last searched for.
    searched: &'a mut Ticks,
    seen: Option<Seen>,
    /// Empty once they were asked for and could not be had.
    stacks: Option<Vec<Taken>>,
}

/// What costs little.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) info: Arc<ThreadInfo>,
    pub(super) activity: Activity,
    pub(super) usage: Option<Usage>,
    /// It sleeps uninterruptibly.
    pub(super) waits_for_io: bool,
}

/// A thread that seems to hold the lock that a poll waits for.
#[derive(Clone, Debug)]
pub(crate) struct HeldBy {
    /// For people.
    pub(crate) thread: String,
    pub(crate) stack: RawStack,
}

/// A stack, and the system call the thread slept in, with its object.
#[derive(Clone)]
pub(super) struct Taken {
    pub(super) stack: RawStack,
    pub(super) syscall: Option<String>,
}

impl<'a> Glance<'a> {
    pub(super) fn new(
        slot: &'static Slot,
        sequence: u64,
        capturer: Option<&'a mut Capturer>,
        searched: &'a mut Ticks,
    ) -> Glance<'a> {
        Glance {
            slot,
            sequence,
            capturer,
            searched,
            seen: None,
            stacks: None,
        }
    }

    /// `None` if the slot is nobody's any more.
    pub(super) fn seen(&mut self) -> Option<Seen> {
        if self.seen.is_none() {
            let info = self.slot.info()?;
            let activity = info.thread.activity();
            let asleep = matches!(activity, Activity::Syscall(_) | Activity::Waiting);
            self.seen = Some(Seen {
                activity,
                usage: info.thread.usage(),
                waits_for_io: asleep && info.thread.waits_for_io(),
                info,
            });
        }
        self.seen.clone()
    }

    /// What is on its stack, several times over if it computes; none if that could not
    /// be had.
    pub(super) fn stacks(&mut self) -> Vec<Taken> {
        if let Some(known) = &self.stacks {
            return known.clone();
        }
        let mut stacks: Vec<Taken> = self.capture().into_iter().collect();
        let computes = stacks
            .first()
            .is_some_and(|taken| taken.stack.how == How::Signal);
        while computes && stacks.len() < BURST {
            match self.capture() {
                Some(taken) if taken.stack.how == How::Signal => stacks.push(taken),
                _ => break,
            }
        }
        self.stacks = Some(stacks.clone());
        stacks
    }

    fn capture(&mut self) -> Option<Taken> {
        let seen = self.seen()?;
        let still = self.still();
        match self.capturer.as_mut()?.capture(&seen.info.thread, still) {
            Ok(stack) => Some(Taken {
                stack,
                syscall: match seen.activity {
                    Activity::Syscall(call) => Some(call.describe()),
                    Activity::Waiting if seen.waits_for_io => Some("a page fault".to_owned()),
                    _ => None,
                },
            }),
            // It ended meanwhile: nothing is lost.
            Err(CaptureError::Stale | CaptureError::Gone) => None,
            Err(_) => {
                drops::count(drops::What::Captures);
                None
            }
        }
    }

    /// The page faults of the thread so far.
    pub(super) fn faults(&mut self) -> Option<Faults> {
        self.seen()?.info.thread.faults()
    }

    /// Whether the thread waits for what may be a lock whose holder can be searched for
    /// now.
    pub(super) fn can_search(&mut self) -> Option<Lock> {
        let Activity::Syscall(call) = self.seen()?.activity else {
            return None;
        };
        let lock = Lock::waited_for(&call)?;
        let since = clock::now().saturating_sub(*self.searched);
        (clock::to_duration(since) >= BETWEEN_SEARCHES).then_some(lock)
    }

    /// Who seems to hold that lock, if that can be told.
    pub(super) fn holder_of(&mut self, lock: Lock) -> Option<HeldBy> {
        *self.searched = clock::now();
        let waiter = self.seen()?.info.thread.tid();
        let still = self.still();
        let holder = self.capturer.as_mut()?.holder_of(lock, waiter, still)?;
        let worker = slots::all()
            .filter_map(Slot::info)
            .find(|info| info.thread.tid() == holder.tid);
        Some(HeldBy {
            thread: match worker {
                Some(info) => info.label(),
                None if holder.name.is_empty() => format!("thread {}", holder.tid),
                None => format!("thread `{}`", holder.name),
            },
            stack: holder.stack,
        })
    }

    fn still(&self) -> Still {
        Still {
            seq: self.slot.sequence(),
            expected: self.sequence,
        }
    }

    pub(super) fn slot_number(&self) -> u32 {
        self.slot.number
    }

    /// Asks the thread for something at its next end of a poll.
    pub(super) fn ask(&self, what: u32) {
        self.slot.ask(what);
    }

    /// Whether the innermost poll still is the same: otherwise what was read may be
    /// another one's.
    pub(super) fn holds(&self) -> bool {
        self.slot
            .read()
            .is_some_and(|now| now.sequence == self.sequence)
    }
}
