//! The slot of one thread: what it polls, since when, and what it did so far.
//!
//! The owning thread calls [`Slot::enter`] and [`Slot::leave`] around each poll;
//! nothing else writes here, so plain loads and stores do. Polls nest where a
//! watched future is polled inside a task: the innermost is the published one, and
//! when it ends the outer one goes on with its start moved by the nested time, so
//! that "now minus start" is always the poll's own time.

use std::{
    ptr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicU32, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use asyncwatch_stack::Usage;

use super::{slab, slots::ThreadInfo, task::Task};
use crate::{
    clock::{self, Ticks},
    drops,
    publish::{Published, Reading},
    settings,
    slow::{self, SlowEnd},
};

/// Polls nested deeper are not told apart from their outer one.
const DEPTH_MAX: usize = 8;

/// What a thread polls and did so far.
#[repr(align(128))]
pub(crate) struct Slot {
    published: Published<Task>,
    /// Depth of nesting: 0 outside a poll.
    depth: AtomicU32,
    /// When the current poll began; its published start may have been moved.
    began: AtomicU64,
    /// End of the last poll; valid only if no park and no heartbeat came since.
    last_end: AtomicU64,
    last_heartbeat: AtomicU64,
    base: Baseline,
    polls: AtomicU64,
    busy_ns: AtomicU64,
    parks: AtomicU64,
    /// Requests of the watchdog, looked at when a poll ends: see the ASK constants.
    asks: AtomicU32,
    outer: [Outer; DEPTH_MAX],
    pub(crate) number: u32,
    in_use: AtomicBool,
    info: Mutex<Option<Arc<ThreadInfo>>>,
}

/// Tell the end of this poll, though it is not timed.
pub(crate) const ASK_END: u32 = 1;
/// Hand in a handle of the runtime.
pub(crate) const ASK_RUNTIME: u32 = 2;

/// A poll that waits for a nested one.
#[derive(Default)]
struct Outer {
    task: std::sync::atomic::AtomicPtr<Task>,
    start: AtomicU64,
    origin: AtomicU64,
    began: AtomicU64,
    base: Baseline,
}

/// CPU accounting at or shortly before the begin of a poll.
#[derive(Default)]
struct Baseline {
    at: AtomicU64,
    cpu_ns: AtomicU64,
    /// `u64::MAX` where the system does not tell; likewise `sleeps`.
    run_delay_ns: AtomicU64,
    sleeps: AtomicU64,
}

/// A copy of the accounting at a poll's begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) at: Ticks,
    pub(crate) usage: Usage,
    /// How often it had gone to sleep.
    pub(crate) sleeps: Option<u64>,
}

impl Baseline {
    fn set(&self, base: Base) {
        let run_delay = base.usage.run_delay;
        self.at.store(base.at, Relaxed);
        self.cpu_ns.store(base.usage.cpu.as_nanos() as u64, Relaxed);
        self.run_delay_ns.store(
            run_delay.map_or(u64::MAX, |delay| delay.as_nanos() as u64),
            Relaxed,
        );
        self.sleeps.store(base.sleeps.unwrap_or(u64::MAX), Relaxed);
    }

    fn get(&self) -> Base {
        let run_delay = self.run_delay_ns.load(Relaxed);
        Base {
            at: self.at.load(Relaxed),
            usage: Usage {
                cpu: Duration::from_nanos(self.cpu_ns.load(Relaxed)),
                run_delay: (run_delay != u64::MAX).then(|| Duration::from_nanos(run_delay)),
            },
            sleeps: Some(self.sleeps.load(Relaxed)).filter(|&sleeps| sleeps != u64::MAX),
        }
    }
}

impl Slot {
    pub(super) fn new(number: u32) -> Slot {
        Slot {
            published: Published::new(),
            depth: AtomicU32::new(0),
            began: AtomicU64::new(0),
            last_end: AtomicU64::new(0),
            last_heartbeat: AtomicU64::new(u64::MAX),
            base: Baseline::default(),
            polls: AtomicU64::new(0),
            busy_ns: AtomicU64::new(0),
            parks: AtomicU64::new(0),
            asks: AtomicU32::new(0),
            outer: Default::default(),
            number,
            in_use: AtomicBool::new(false),
            info: Mutex::new(None),
        }
    }

    // For the owning thread, around polls.

    /// A poll of `task` begins; `None` is a stretch that is nobody's fault: a poll
    /// that could not be told to a task, or an allowed blocking section.
    #[inline]
    pub(crate) fn enter(&'static self, task: Option<&'static Task>) {
        let depth = self.depth.load(Relaxed);
        if depth > 0 {
            return self.enter_nested(task, depth);
        }
        let start = if settings::exact() {
            let start = self.chained_start();
            if start.saturating_sub(self.base.at.load(Relaxed)) > settings::baseline_age_ticks() {
                self.refresh_baseline(start);
            }
            start
        } else {
            0
        };
        self.began.store(start, Relaxed);
        self.depth.store(1, Relaxed);
        self.published.begin(as_ptr(task), start);
    }

    /// The poll that began last ends.
    #[inline]
    pub(crate) fn leave(&'static self) {
        let depth = self.depth.load(Relaxed);
        if depth == 0 || depth > DEPTH_MAX as u32 {
            return self.leave_uncounted(depth);
        }
        let own = self.published.own();
        self.published.end();
        self.depth.store(depth - 1, Relaxed);
        let end = if settings::exact() { clock::now() } else { 0 };
        let ticks = end.saturating_sub(self.began.load(Relaxed));
        let ns = clock::to_ns(ticks);
        let task = Task::from_ptr(own.task);
        if let Some(task) = task {
            if end == 0 {
                task.count_poll();
            } else {
                task.record_poll(ns);
            }
            if end.saturating_sub(own.start) >= settings::limit_ticks() && own.start != 0 {
                self.slow_end(task, own, end);
            }
        }
        if depth == 1 {
            self.count_poll(ns);
            self.last_end.store(end, Relaxed);
            self.last_heartbeat.store(settings::heartbeat(), Relaxed);
        }
        if self.asks.load(Relaxed) != 0 {
            self.answer(task, own);
        }
        if let Some(task) = task
            && task.ending.load(Relaxed)
        {
            slab::remove(task);
        }
        if depth > 1 {
            self.resume_outer(depth - 2, ticks);
        }
    }

    /// The innermost task that is being polled on this thread.
    #[inline]
    pub(crate) fn current(&self) -> Option<&'static Task> {
        if self.depth.load(Relaxed) == 0 {
            return None;
        }
        Task::from_ptr(self.published.own().task)
    }

    /// When the current poll began.
    #[inline]
    pub(crate) fn began(&self) -> Ticks {
        self.began.load(Relaxed)
    }

    /// How deep polls are nested now.
    pub(crate) fn depth(&self) -> u32 {
        self.depth.load(Relaxed)
    }

    /// The thread parks: the next poll does not begin where the last one ended.
    #[inline]
    pub(crate) fn park(&self) {
        self.parks.store(self.parks.load(Relaxed) + 1, Relaxed);
        self.last_heartbeat.store(u64::MAX, Relaxed);
    }

    /// The end of the last poll, if this one follows it directly, else the clock.
    ///
    /// The heartbeat bounds the error where a thread did something unseen between
    /// two polls, such as polling an unwatched `block_on` root.
    #[inline]
    fn chained_start(&self) -> Ticks {
        if self.last_heartbeat.load(Relaxed) == settings::heartbeat() && settings::chained() {
            self.last_end.load(Relaxed)
        } else {
            clock::now()
        }
    }

    #[inline]
    fn count_poll(&self, ns: u64) {
        self.polls.store(self.polls.load(Relaxed) + 1, Relaxed);
        self.busy_ns.store(self.busy_ns.load(Relaxed) + ns, Relaxed);
    }

    #[cold]
    fn refresh_baseline(&self, now: Ticks) {
        if let Some(base) = super::slots::account_here(now) {
            self.base.set(base);
        }
    }

    fn enter_nested(&'static self, task: Option<&'static Task>, depth: u32) {
        self.depth.store(depth + 1, Relaxed);
        if depth >= DEPTH_MAX as u32 {
            drops::count(drops::What::Polls);
            return;
        }
        let own = self.published.own();
        self.published.end();
        let outer = &self.outer[depth as usize - 1];
        outer.task.store(own.task, Relaxed);
        outer.start.store(own.start, Relaxed);
        outer.origin.store(own.origin, Relaxed);
        outer.began.store(self.began.load(Relaxed), Relaxed);
        outer.base.set(self.base.get());
        let start = if settings::exact() { clock::now() } else { 0 };
        if start.saturating_sub(self.base.at.load(Relaxed)) > settings::baseline_age_ticks() {
            self.refresh_baseline(start);
        }
        self.began.store(start, Relaxed);
        self.published.begin(as_ptr(task), start);
    }

    /// Goes on with the outer poll, `nested` ticks later.
    fn resume_outer(&self, level: u32, nested: Ticks) {
        let outer = &self.outer[level as usize];
        let start = outer.start.load(Relaxed);
        let start = if start == 0 { 0 } else { start + nested };
        let inner = self.base.get();
        self.base.set(outer.base.get());
        if nested > settings::baseline_age_ticks() {
            self.discount(inner);
        }
        self.began.store(outer.began.load(Relaxed), Relaxed);
        self.published
            .resume(outer.task.load(Relaxed), start, outer.origin.load(Relaxed));
    }

    /// Takes what a nested poll used since `inner` out of the outer one's account.
    #[cold]
    fn discount(&self, inner: Base) {
        let Some(now) = super::slots::account_here(inner.at) else {
            return;
        };
        let nested = now.usage.since(inner.usage);
        let mut outer = self.base.get();
        outer.usage.cpu += nested.cpu;
        let run_delay = outer.usage.run_delay.zip(nested.run_delay);
        outer.usage.run_delay = run_delay.map(|(outer, nested)| outer + nested);
        let sleeps = now.sleeps.zip(inner.sleeps).zip(outer.sleeps);
        outer.sleeps = sleeps.map(|((now, inner), outer)| outer + now.saturating_sub(inner));
        self.base.set(outer);
    }

    /// Ends that have no published begin: too deep, or before this slot existed.
    #[cold]
    fn leave_uncounted(&self, depth: u32) {
        if depth > 0 {
            self.depth.store(depth - 1, Relaxed);
        }
    }

    #[cold]
    fn slow_end(&'static self, task: &'static Task, own: Reading<Task>, end: Ticks) {
        slow::push(SlowEnd {
            slot: self.number,
            origin: own.origin,
            task: slow::TaskIdentity::of(task),
            base: Some(self.base.get()),
            start: Some(own.start),
            end,
            account: super::slots::account_here(end),
        });
    }

    /// Does what the watchdog asked for.
    #[cold]
    fn answer(&'static self, task: Option<&'static Task>, own: Reading<Task>) {
        let asks = self.asks.swap(0, Relaxed);
        if asks & ASK_END != 0
            && let Some(task) = task
            && !settings::exact()
        {
            let end = clock::now();
            slow::push(SlowEnd {
                slot: self.number,
                origin: own.origin,
                task: slow::TaskIdentity::of(task),
                base: None,
                start: None,
                end,
                account: super::slots::account_here(end),
            });
        }
        if asks & ASK_RUNTIME != 0 {
            crate::runtimes::hand_in();
        }
    }

    // For our own threads.

    /// What the thread polls, consistently.
    pub(crate) fn read(&self) -> Option<Reading<Task>> {
        self.published.read()
    }

    /// The accounting at the begin of the poll `origin`, if it is still that poll.
    pub(crate) fn base(&self, origin: u64) -> Option<Base> {
        let base = self.base.get();
        std::sync::atomic::fence(Acquire);
        let still = self.read().is_some_and(|now| now.origin == origin);
        (still && base.at != 0).then_some(base)
    }

    /// The sequence number, for a signal handler that must see whether it is late.
    pub(crate) fn sequence(&self) -> &AtomicU64 {
        self.published.sequence()
    }

    pub(crate) fn ask(&self, what: u32) {
        self.asks.fetch_or(what, Relaxed);
    }

    pub(crate) fn polls(&self) -> u64 {
        self.polls.load(Relaxed)
    }

    pub(crate) fn busy_ns(&self) -> u64 {
        self.busy_ns.load(Relaxed)
    }

    pub(crate) fn parks(&self) -> u64 {
        self.parks.load(Relaxed)
    }

    /// The thread that owns the slot now.
    pub(crate) fn info(&self) -> Option<Arc<ThreadInfo>> {
        self.info
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Makes the calling thread the owner, if the slot is free.
    pub(super) fn claim(&self, info: &Arc<ThreadInfo>) -> bool {
        if self.in_use.swap(true, Acquire) {
            return false;
        }
        self.asks.store(0, Relaxed);
        self.depth.store(0, Relaxed);
        self.last_heartbeat.store(u64::MAX, Relaxed);
        self.base.at.store(0, Relaxed);
        *self.info.lock().unwrap_or_else(PoisonError::into_inner) = Some(info.clone());
        true
    }

    /// The owning thread ends; gives the number of polls it made.
    pub(super) fn release(&self) -> u64 {
        if self.read().is_some() {
            self.published.end();
        }
        *self.info.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let polls = self.polls();
        for counter in [&self.polls, &self.busy_ns, &self.parks] {
            counter.store(0, Relaxed);
        }
        self.in_use.store(false, Release);
        polls
    }
}

#[inline]
fn as_ptr(task: Option<&'static Task>) -> *mut Task {
    task.map_or(ptr::null_mut(), |task| ptr::from_ref(task).cast_mut())
}
