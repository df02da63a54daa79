//! What a task awaits while it holds a lock.
//!
//! A future that suspends leaves its waker somewhere, and tokio tells of the copy: at
//! that moment the stack shows the very line that waits. It is taken only of tasks
//! that hold a lock, and no more often than [`Budget`] allows.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

use asyncwatch_stack::RawStack;

use crate::clock::{self, Ticks};

/// Of what is awaited at once, as in a `select!`, this much is kept.
const STACKS_MAX: usize = 3;
const FRAMES_MAX: usize = 64;

/// Locks that are held now, in the whole program.
static HELD: AtomicU32 = AtomicU32::new(0);

/// Whether any task holds a lock. If not, nobody need look which one suspends.
pub(super) fn any_lock_is_held() -> bool {
    HELD.load(Relaxed) > 0
}

/// The locks of one task.
#[derive(Debug, Default)]
pub(super) struct Holding {
    locks: AtomicU32,
    awaits: Mutex<Vec<RawStack>>,
    budget: Budget,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Taken(Arc<Holding>);

impl Taken {
    pub(super) fn new(holding: Arc<Holding>) -> Taken {
        holding.locks.fetch_add(1, Relaxed);
        HELD.fetch_add(1, Relaxed);
        Taken(holding)
    }

    /// What the task awaited last.
    pub(super) fn awaits(&self) -> Vec<RawStack> {
        self.0.awaits()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.locks.fetch_sub(1, Relaxed);
        HELD.fetch_sub(1, Relaxed);
    }
}

impl Holding {
    pub(super) fn holds_any(&self) -> bool {
        self.locks.load(Relaxed) > 0
    }

    /// The task leaves its waker somewhere; for the first time in this poll if `fresh`.
    pub(super) fn suspends(&self, fresh: bool) {
        let Ok(mut awaits) = self.awaits.try_lock() else {
            return;
        };
        if fresh {
            awaits.clear();
        }
        if awaits.len() < STACKS_MAX
            && let Some(stack) = self.budget.trace(clock::now())
        {
            awaits.push(stack);
        }
    }

    fn awaits(&self) -> Vec<RawStack> {
        self.awaits
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// How often a stack is worth its price of some microseconds: the first
/// [`Budget::FREE`] times, and then every 10 ms; and for the whole program every
/// millisecond, which is 1 % of a CPU.
#[derive(Debug, Default)]
pub(super) struct Budget {
    taken: AtomicU32,
    last: AtomicU64,
}

static PROGRAM: Budget = Budget {
    taken: AtomicU32::new(0),
    last: AtomicU64::new(0),
};

impl Budget {
    const FREE: u32 = 16;
    const EVERY_NS: u64 = 10_000_000;
    const PROGRAM_FREE: u32 = 256;
    const PROGRAM_EVERY_NS: u64 = 1_000_000;

    /// The stack of this thread, if it may be taken.
    pub(super) fn trace(&self, now: Ticks) -> Option<RawStack> {
        let allowed = self.allows(now, Budget::FREE, Budget::EVERY_NS)
            && PROGRAM.allows(now, Budget::PROGRAM_FREE, Budget::PROGRAM_EVERY_NS);
        allowed.then(|| asyncwatch_stack::own_trace(FRAMES_MAX))
    }

    fn allows(&self, now: Ticks, free: u32, every_ns: u64) -> bool {
        if self.taken.load(Relaxed) < free {
            self.taken.fetch_add(1, Relaxed);
            return true;
        }
        let last = self.last.load(Relaxed);
        clock::to_ns(now.saturating_sub(last)) >= every_ns
            && self
                .last
                .compare_exchange(last, now, Relaxed, Relaxed)
                .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_are_taken_seldom_after_the_first_ones() {
        clock::measure();
        let budget = Budget::default();
        let now = clock::now();
        let taken = (0..100).filter(|_| budget.allows(now, 16, 10_000_000));
        assert_eq!(taken.count(), 17, "16 at once, and one by the clock");
        let later = now + clock::from_duration(std::time::Duration::from_millis(11));
        assert!(budget.allows(later, 16, 10_000_000));
        assert!(!budget.allows(later, 16, 10_000_000));
    }
}
