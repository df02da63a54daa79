//! tokio's locks, on the side of the threads that use them: who took one when, and
//! who queues for it.
//!
//! Only what concerns a queue is told to the watchdog, which judges it
//! ([`contention`](super::contention)); a lock that nobody waits for notes its holder
//! and no more.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, TryLockError,
    atomic::{
        AtomicBool, AtomicU32, AtomicU64,
        Ordering::{AcqRel, Relaxed},
    },
};

use asyncwatch_stack::RawStack;

use super::{
    holding::{Budget, Holding, Taken},
    signals::{self, Signal},
};
use crate::{
    clock::{self, Ticks},
    registry::{slot::Slot, slots, task::Task},
    settings,
    slow::TaskIdentity,
    source::SourceLine,
};

/// Readers of one lock that are told apart.
const HOLDS_MAX: usize = 16;
/// A release that another task tells this soon after a lock was taken is that of the
/// one before, which was overtaken.
const OVERTAKEN_NS: u64 = 1_000_000;

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A `Mutex` or an `RwLock`.
#[derive(Debug)]
pub(crate) struct Lock {
    pub(crate) number: u64,
    /// tokio's name of its type.
    pub(crate) kind: &'static str,
    pub(crate) made: SourceLine,
    waiting: AtomicU32,
    budget: Budget,
    holds: Mutex<Vec<Hold>>,
}

/// Somebody has the lock.
#[derive(Debug)]
struct Hold {
    who: Option<Who>,
    since: Ticks,
    exclusive: bool,
    busy_ns: u64,
    polls: u64,
    /// When somebody else took the lock, so that this is over, though nobody said so.
    overtaken: bool,
    holding: Option<Taken>,
}

/// A task, and the means to see whether it still is that.
#[derive(Clone, Copy)]
pub(crate) struct Who {
    task: &'static Task,
    entry: u64,
    span: Option<u64>,
    pub(crate) identity: TaskIdentity,
}

/// How long a task had a lock, and what it did meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) who: Option<Who>,
    pub(crate) since: Ticks,
    pub(crate) until: Ticks,
    /// The part during which it was not polled.
    pub(crate) idle: Ticks,
    /// Where it suspended last.
    pub(crate) awaits: Vec<RawStack>,
}

impl std::fmt::Debug for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.identity.fmt(f)
    }
}

impl Who {
    /// The task that is being polled on this thread.
    pub(super) fn here(span: Option<u64>) -> Option<Who> {
        let task = slots::known().and_then(Slot::current)?;
        Some(Who {
            task,
            entry: task.id(),
            span,
            identity: TaskIdentity::of(task),
        })
    }

    pub(super) fn is(&self, other: &Who) -> bool {
        match (self.span, other.span) {
            (Some(own), Some(others)) => own == others,
            _ => self.entry == other.entry && std::ptr::eq(self.task, other.task),
        }
    }

    /// Its polls so far; `None` if it has ended.
    pub(super) fn polls(&self) -> Option<u64> {
        let polls = self.task.polls();
        (self.task.id() == self.entry).then_some(polls)
    }

    /// For how long it was polled so far, the poll that began at `present` included;
    /// `None` if it has ended.
    fn busy_ns(&self, present: Ticks, now: Ticks) -> Option<u64> {
        let present = if present == 0 { now } else { present };
        let busy = self.task.busy_ns() + clock::to_ns(now.saturating_sub(present));
        (self.task.id() == self.entry).then_some(busy)
    }

    /// When its present poll began, on whatever thread; 0 if there is none, or nobody
    /// knows.
    fn present(&self) -> Ticks {
        slots::all()
            .filter_map(Slot::read)
            .find(|reading| std::ptr::eq(reading.task, self.task))
            .map_or(0, |reading| reading.start)
    }

    /// The same, if it is polled on this thread.
    fn present_here(&self) -> Ticks {
        slots::known()
            .filter(|slot| {
                slot.current()
                    .is_some_and(|task| std::ptr::eq(task, self.task))
            })
            .map_or(0, Slot::began)
    }
}

impl Lock {
    pub(super) fn new(kind: &str, made: SourceLine) -> Option<Lock> {
        let kind = match kind {
            "Mutex" => "Mutex",
            "RwLock" => "RwLock",
            _ => return None,
        };
        Some(Lock {
            number: NEXT.fetch_add(1, Relaxed),
            kind,
            made,
            waiting: AtomicU32::new(0),
            budget: Budget::default(),
            holds: Mutex::default(),
        })
    }

    /// The current task took it.
    pub(super) fn taken(&self, who: Option<Who>, exclusive: bool, holding: Option<Arc<Holding>>) {
        let now = clock::now();
        let mut holds = self.holds();
        holds.retain(|hold| !hold.overtaken);
        for hold in holds.iter_mut() {
            hold.overtaken = exclusive || hold.exclusive;
        }
        if holds.len() == HOLDS_MAX {
            return;
        }
        holds.push(Hold {
            who,
            since: now,
            exclusive,
            busy_ns: who
                .and_then(|who| who.busy_ns(who.present_here(), now))
                .unwrap_or(0),
            polls: who.and_then(|who| who.polls()).unwrap_or(0),
            overtaken: false,
            holding: holding.map(Taken::new),
        });
    }

    /// The current task let go of it, or of one of its reads.
    pub(super) fn released(&self, who: Option<Who>, exclusive: bool) {
        let now = clock::now();
        let mut holds = self.holds();
        let own = holds.iter().position(|hold| {
            hold.exclusive == exclusive
                && match (&hold.who, &who) {
                    (Some(holder), Some(who)) => holder.is(who),
                    (None, None) => true,
                    _ => false,
                }
        });
        let Some(own) = own else {
            // A guard that another task was given; or the lock has changed hands already.
            return holds.retain(|hold| {
                let ns = clock::to_ns(now.saturating_sub(hold.since));
                !(hold.exclusive && exclusive && ns > OVERTAKEN_NS)
            });
        };
        let hold = holds.remove(own);
        drop(holds);
        if self.waiting.load(Relaxed) > 0 {
            signals::push(Signal::Released {
                lock: self.number,
                held: Box::new(hold.held(Who::present_here, now)),
            });
        }
    }

    /// Who has it now and what they did so far, for the watchdog; `None` if that
    /// changes just now.
    pub(super) fn held(&self, now: Ticks) -> Option<Vec<Held>> {
        let holds = match self.holds.try_lock() {
            Ok(holds) => holds,
            Err(TryLockError::Poisoned(holds)) => holds.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let present = holds.iter().filter(|hold| !hold.overtaken);
        Some(present.map(|hold| hold.held(Who::present, now)).collect())
    }

    fn holds(&self) -> MutexGuard<'_, Vec<Hold>> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold {
    fn held(&self, present: fn(&Who) -> Ticks, now: Ticks) -> Held {
        Held {
            who: self.who,
            since: self.since,
            until: now,
            idle: self.idle(present, now),
            awaits: self.holding.as_ref().map_or_else(Vec::new, Taken::awaits),
        }
    }

    /// Nothing where it cannot be told.
    fn idle(&self, present: fn(&Who) -> Ticks, now: Ticks) -> Ticks {
        let held = now.saturating_sub(self.since);
        let Some(who) = &self.who else { return 0 };
        let (Some(busy_ns), Some(polls)) = (who.busy_ns(present(who), now), who.polls()) else {
            return 0;
        };
        if settings::exact() {
            let busy = std::time::Duration::from_nanos(busy_ns.saturating_sub(self.busy_ns));
            held.saturating_sub(clock::from_duration(busy))
        } else if polls != self.polls {
            held
        } else {
            0
        }
    }
}

/// One attempt to take a lock.
#[derive(Debug)]
pub(super) struct Attempt {
    number: u64,
    lock: Arc<Lock>,
    waiting: AtomicBool,
}

impl Attempt {
    pub(super) fn new(lock: Arc<Lock>) -> Attempt {
        Attempt {
            number: NEXT.fetch_add(1, Relaxed),
            lock,
            waiting: AtomicBool::new(false),
        }
    }

    /// It has to wait.
    pub(super) fn waits(&self, who: Option<Who>) {
        if self.waiting.swap(true, AcqRel) {
            return;
        }
        self.lock.waiting.fetch_add(1, Relaxed);
        let now = clock::now();
        signals::push(Signal::Waits {
            lock: self.lock.clone(),
            attempt: self.number,
            at: now,
            who,
            stack: self.lock.budget.trace(now).map(Box::new),
        });
    }

    /// It waits no more: it has the lock, or was given up.
    pub(super) fn ends(&self) {
        if self.waiting.swap(false, AcqRel) {
            self.lock.waiting.fetch_sub(1, Relaxed);
            signals::push(Signal::WaitEnds {
                lock: self.lock.number,
                attempt: self.number,
                at: clock::now(),
            });
        }
    }
}
