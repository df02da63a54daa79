//! The slot of one thread: what it polls, since when, and what it did so far.
//!
//! The owning thread calls [`Slot::enter`] and [`Slot::leave`] around each poll;
//! nothing else writes here, so plain loads and stores do. Polls nest where a
//! watched future is polled inside a task: the innermost is the published one, and
//! when it ends the outer one goes on. A nested poll that reached the limit is told by
//! itself, and an allowed section by nobody: then the outer one's start is moved by
//! that time, so that "now minus start" is always the time it has to answer for.
//! Short nested polls are part of the outer one.

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

use asyncwatch_stack::{Faults, Usage};

use super::{slab, slots::ThreadInfo, task::Task};
use crate::{
    clock::{self, Ticks},
    drops,
    publish::{Published, Reading},
    runtimes, settings,
    slow::{self, SlowEnd},
    trial,
};

/// Polls nested deeper are not told apart from their outer one.
const DEPTH_MAX: usize = 8;

/// What a thread polls and did so far. What every poll touches comes first, in one
/// cache line.
#[repr(C, align(128))]
pub(crate) struct Slot {
    published: Published<Task>,
    /// End of the last poll, where the next one begins unless [`STALE`] is set.
    last_end: AtomicU64,
    base: Baseline,
    /// What makes the next begin or end more than the ordinary one: the bits below.
    rare: AtomicU32,
    /// Polls that wait for the published one.
    suspended: AtomicU32,
    /// Polls nested too deeply to be published.
    overflowed: AtomicU32,
    /// By depth, a bit each: the stretch there belongs to a poll that is suspended.
    again: AtomicU32,
    pub(crate) number: u32,
    /// A poll this long is a slow one, in ticks.
    limit: AtomicU64,
    busy: AtomicU64,
    /// Time of the published poll that is told apart from it.
    apart: AtomicU64,
    /// What was used in that time.
    apart_usage: Used,
    /// How often a poll was suspended for a nested one.
    nestings: AtomicU64,
    /// The sequence number when the owning thread took the slot.
    claimed_at: AtomicU64,
    parks: AtomicU64,
    /// The task whose watched future is being polled, as [`Inside`] writes it.
    inside: AtomicU64,
    outer: [Outer; DEPTH_MAX],
    in_use: AtomicBool,
    info: Mutex<Option<Arc<ThreadInfo>>>,
}

/// Read the clock at the next begin: the thread has parked, or the watchdog has
/// looked, since the last end. The latter bounds the error where a thread did
/// something unseen between two polls, such as polling an unwatched root.
const STALE: u32 = 1;
/// A poll is or was nested in the published one.
const NESTED: u32 = 2;
/// The watchdog asks to be told the end of this poll, though it is not timed.
pub(crate) const ASK_END: u32 = 4;
/// The watchdog asks for a handle of the runtime.
pub(crate) const ASK_RUNTIME: u32 = 8;

/// A poll that waits for a nested one.
#[derive(Default)]
struct Outer {
    task: std::sync::atomic::AtomicPtr<Task>,
    start: AtomicU64,
    origin: AtomicU64,
    apart: AtomicU64,
    apart_usage: Used,
    base: Baseline,
}

/// A poll that goes on, as the watchdog sees it.
#[derive(Clone, Copy)]
pub(crate) struct Level {
    /// Its start is moved by what is told apart, its number that of the innermost.
    pub(crate) reading: Reading<Task>,
    /// When it really began; 0 in light timing.
    pub(crate) began: Ticks,
    /// The accounting at its begin.
    pub(crate) account: Option<Base>,
    /// The same, moved as its start is.
    pub(crate) base: Option<Base>,
}

/// The polls that go on on one thread, the outermost first.
pub(crate) type Levels = [Option<Level>; DEPTH_MAX + 1];

/// The task that a watched future is polled in: one more than tokio's number of it,
/// which is 0 outside of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inside(u64);

impl Inside {
    /// The task that is being polled.
    pub(crate) fn here() -> Inside {
        Inside(1 + tokio::task::try_id().map_or(0, runtimes::number))
    }

    /// tokio's number of the task; 0 for none, as in a `block_on`.
    pub(crate) fn tokio_id(self) -> u64 {
        self.0 - 1
    }
}

/// Ends [`Slot::go_inside`], also when a panic passes by.
#[derive(Debug)]
pub(crate) struct WasInside(&'static Slot, u64);

impl Drop for WasInside {
    #[inline]
    fn drop(&mut self) {
        self.0.inside.store(self.1, Relaxed);
    }
}

/// CPU accounting at or shortly before the begin of a poll.
#[derive(Default)]
struct Baseline {
    at: AtomicU64,
    cpu_ns: AtomicU64,
    /// `u64::MAX` where the system does not tell; likewise the others.
    run_delay_ns: AtomicU64,
    sleeps: AtomicU64,
    minor_faults: AtomicU64,
    major_faults: AtomicU64,
}

/// A copy of the accounting at a poll's begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) at: Ticks,
    pub(crate) usage: Usage,
    /// How often it had gone to sleep.
    pub(crate) sleeps: Option<u64>,
    /// Its page faults.
    pub(crate) faults: Option<Faults>,
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
        let faults = base.faults.unwrap_or(Faults {
            minor: u64::MAX,
            major: u64::MAX,
        });
        self.minor_faults.store(faults.minor, Relaxed);
        self.major_faults.store(faults.major, Relaxed);
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
            faults: Some(Faults {
                minor: self.minor_faults.load(Relaxed),
                major: self.major_faults.load(Relaxed),
            })
            .filter(|faults| faults.minor != u64::MAX),
        }
    }
}

/// Account of several stretches of time.
#[derive(Default)]
struct Used {
    cpu_ns: AtomicU64,
    run_delay_ns: AtomicU64,
    sleeps: AtomicU64,
    minor_faults: AtomicU64,
    major_faults: AtomicU64,
}

/// A copy of such an account.
#[derive(Clone, Copy, Debug, Default)]
struct UsedBy {
    cpu_ns: u64,
    run_delay_ns: u64,
    sleeps: u64,
    faults: Faults,
}

impl Used {
    fn set(&self, used: UsedBy) {
        self.cpu_ns.store(used.cpu_ns, Relaxed);
        self.run_delay_ns.store(used.run_delay_ns, Relaxed);
        self.sleeps.store(used.sleeps, Relaxed);
        self.minor_faults.store(used.faults.minor, Relaxed);
        self.major_faults.store(used.faults.major, Relaxed);
    }

    fn get(&self) -> UsedBy {
        UsedBy {
            cpu_ns: self.cpu_ns.load(Relaxed),
            run_delay_ns: self.run_delay_ns.load(Relaxed),
            sleeps: self.sleeps.load(Relaxed),
            faults: Faults {
                minor: self.minor_faults.load(Relaxed),
                major: self.major_faults.load(Relaxed),
            },
        }
    }
}

impl UsedBy {
    fn between(then: Base, now: Base) -> UsedBy {
        let usage = now.usage.since(then.usage);
        let sleeps = now.sleeps.zip(then.sleeps);
        UsedBy {
            cpu_ns: usage.cpu.as_nanos() as u64,
            run_delay_ns: usage.run_delay.map_or(0, |delay| delay.as_nanos() as u64),
            sleeps: sleeps.map_or(0, |(now, then)| now.saturating_sub(then)),
            faults: (now.faults.zip(then.faults))
                .map_or_else(Faults::default, |(now, then)| now.since(then)),
        }
    }

    fn plus(self, other: UsedBy) -> UsedBy {
        UsedBy {
            cpu_ns: self.cpu_ns + other.cpu_ns,
            run_delay_ns: self.run_delay_ns + other.run_delay_ns,
            sleeps: self.sleeps + other.sleeps,
            faults: Faults {
                minor: self.faults.minor + other.faults.minor,
                major: self.faults.major + other.faults.major,
            },
        }
    }
}

impl Base {
    /// As if the poll had begun with `used` already spent.
    fn moved(self, used: UsedBy) -> Base {
        let run_delay = self.usage.run_delay;
        Base {
            at: self.at,
            usage: Usage {
                cpu: self.usage.cpu + Duration::from_nanos(used.cpu_ns),
                run_delay: run_delay.map(|delay| delay + Duration::from_nanos(used.run_delay_ns)),
            },
            sleeps: self.sleeps.map(|sleeps| sleeps + used.sleeps),
            faults: self.faults.map(|faults| Faults {
                minor: faults.minor + used.faults.minor,
                major: faults.major + used.faults.major,
            }),
        }
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Slot({})", self.number)
    }
}

impl Slot {
    pub(super) fn new(number: u32) -> Slot {
        Slot {
            published: Published::new(),
            last_end: AtomicU64::new(0),
            base: Baseline::default(),
            rare: AtomicU32::new(STALE),
            suspended: AtomicU32::new(0),
            overflowed: AtomicU32::new(0),
            again: AtomicU32::new(0),
            number,
            limit: AtomicU64::new(u64::MAX),
            busy: AtomicU64::new(0),
            apart: AtomicU64::new(0),
            apart_usage: Used::default(),
            nestings: AtomicU64::new(0),
            claimed_at: AtomicU64::new(0),
            parks: AtomicU64::new(0),
            inside: AtomicU64::new(0),
            outer: Default::default(),
            in_use: AtomicBool::new(false),
            info: Mutex::new(None),
        }
    }

    // For the owning thread, around polls.

    /// A poll of `task` begins; `None` is a stretch that is nobody's fault: a poll
    /// that could not be told to a task, or an allowed blocking section.
    #[inline]
    pub(crate) fn enter(&'static self, task: Option<&'static Task>) {
        if settings::exact() {
            self.enter_exact(task);
        } else {
            self.enter_light(task);
        }
    }

    /// The poll that began last ends.
    #[inline]
    pub(crate) fn leave(&'static self) {
        if settings::exact() {
            self.leave_exact();
        } else {
            self.leave_light();
        }
    }

    /// [`enter`](Slot::enter) in light timing.
    #[inline]
    pub(crate) fn enter_light(&'static self, task: Option<&'static Task>) {
        match self.published.closed() {
            Some(next) => self.published.begin_undated(next, as_ptr(task)),
            None => self.enter_nested(task),
        }
    }

    /// [`leave`](Slot::leave) in light timing.
    #[inline]
    pub(crate) fn leave_light(&'static self) {
        let Some(sequence) = self.ordinary() else {
            return self.leave_rarely();
        };
        let task = Task::from_ptr(self.published.task());
        self.published.end(sequence);
        if let Some(task) = task {
            task.count_poll();
            Self::bury(task);
        }
    }

    /// [`enter`](Slot::enter) in exact timing.
    #[inline]
    pub(crate) fn enter_exact(&'static self, task: Option<&'static Task>) {
        let Some(next) = self.published.closed() else {
            return self.enter_nested(task);
        };
        let start = if self.rare.load(Relaxed) & STALE == 0 {
            self.last_end.load(Relaxed)
        } else {
            self.unchained_start()
        };
        self.age_baseline(start);
        self.published.begin(next, as_ptr(task), start);
    }

    /// [`leave`](Slot::leave) in exact timing.
    #[inline]
    pub(crate) fn leave_exact(&'static self) {
        let Some(sequence) = self.ordinary() else {
            return self.leave_rarely();
        };
        let task = Task::from_ptr(self.published.task());
        let start = self.published.start();
        self.published.end(sequence);
        let end = clock::now();
        let ticks = end.saturating_sub(start);
        self.last_end.store(end, Relaxed);
        self.busy.store(self.busy.load(Relaxed) + ticks, Relaxed);
        if let Some(task) = task {
            task.record_poll(clock::to_ns(ticks), end);
            if ticks >= self.limit.load(Relaxed) {
                self.slow_end(task, self.published.own(sequence), end);
            }
            Self::bury(task);
        }
    }

    /// The number of the published poll, if its end is an ordinary one.
    #[inline]
    fn ordinary(&self) -> Option<u64> {
        if self.rare.load(Relaxed) & !STALE != 0 {
            return None;
        }
        self.published.open()
    }

    /// The innermost task that is being polled on this thread.
    #[inline]
    pub(crate) fn current(&self) -> Option<&'static Task> {
        self.published.open()?;
        Task::from_ptr(self.published.task())
    }

    /// When the current stretch began; 0 in light timing.
    #[inline]
    pub(crate) fn began(&self) -> Ticks {
        self.published.start()
    }

    /// How deep polls are nested now: 0 outside a poll.
    pub(crate) fn depth(&self) -> u32 {
        u32::from(self.published.open().is_some())
            + self.suspended.load(Relaxed)
            + self.overflowed.load(Relaxed)
    }

    /// Whether the thread is in a stretch that is nobody's fault.
    pub(crate) fn is_allowed(&self) -> bool {
        self.published.open().is_some() && self.published.task().is_null()
    }

    /// The innermost task whose poll waits for the published stretch.
    pub(crate) fn suspended_task(&self) -> Option<&'static Task> {
        let level = self.suspended.load(Relaxed) as usize;
        let outer = self.outer[..level].iter().rev();
        outer
            .map(|outer| outer.task.load(Relaxed))
            .find_map(|task| Task::from_ptr(task))
    }

    /// A stretch of `task`'s own poll begins inside an allowed section of it; `false`,
    /// and nothing begins, if polls are nested too deeply.
    pub(crate) fn enter_again(&'static self, task: &'static Task) -> bool {
        let level = self.suspended.load(Relaxed);
        if level >= DEPTH_MAX as u32 {
            return false;
        }
        self.enter_nested(Some(task));
        self.again
            .store(self.again.load(Relaxed) | 1 << (level + 1), Relaxed);
        true
    }

    /// Whether the stretch that ends is one that [`enter_again`](Slot::enter_again)
    /// began.
    fn ends_again(&self) -> bool {
        let bit = 1 << self.suspended.load(Relaxed);
        let again = self.again.load(Relaxed);
        self.again.store(again & !bit, Relaxed);
        again & bit != 0
    }

    /// A watched future of the task `inside` is polled, until the guard is dropped.
    #[inline]
    pub(crate) fn go_inside(&'static self, inside: Inside) -> WasInside {
        let before = self.inside.load(Relaxed);
        self.inside.store(inside.0, Relaxed);
        WasInside(self, before)
    }

    /// Whether a watched future of the task `inside` is being polled.
    #[inline]
    pub(crate) fn is_inside(&self, inside: Inside) -> bool {
        self.inside.load(Relaxed) == inside.0
    }

    /// The thread parks: the next poll does not begin where the last one ended.
    #[inline]
    pub(crate) fn park(&self) {
        self.parks.store(self.parks.load(Relaxed) + 1, Relaxed);
        self.unchain();
    }

    /// Takes a task out whose end tokio told while its last poll still ran.
    #[inline]
    fn bury(task: &'static Task) {
        if task.ending.load(Relaxed) && task.ending.swap(false, Relaxed) {
            slab::remove(task);
        }
    }

    #[inline(never)]
    fn unchained_start(&self) -> Ticks {
        if settings::chained() {
            self.rare.fetch_and(!STALE, Relaxed);
        }
        clock::now()
    }

    #[inline]
    fn age_baseline(&self, now: Ticks) {
        if now.saturating_sub(self.base.at.load(Relaxed)) > settings::baseline_age_ticks() {
            self.refresh_baseline(now);
        }
    }

    #[cold]
    fn refresh_baseline(&self, now: Ticks) {
        super::slots::refresh_here();
        if let Some(base) = super::slots::account_here(now) {
            self.base.set(base);
        }
    }

    #[inline(never)]
    fn enter_nested(&'static self, task: Option<&'static Task>) {
        self.rare.fetch_or(NESTED, Relaxed);
        let level = self.suspended.load(Relaxed);
        if level >= DEPTH_MAX as u32 {
            self.overflowed
                .store(self.overflowed.load(Relaxed) + 1, Relaxed);
            drops::count(drops::What::Polls);
            return;
        }
        let Some(sequence) = self.published.open() else {
            return;
        };
        let own = self.published.own(sequence);
        self.published.end(sequence);
        let outer = &self.outer[level as usize];
        outer.task.store(own.task, Relaxed);
        outer.start.store(own.start, Relaxed);
        outer.origin.store(own.origin, Relaxed);
        outer.apart.store(self.apart.load(Relaxed), Relaxed);
        outer.apart_usage.set(self.apart_usage.get());
        outer.base.set(self.base.get());
        self.suspended.store(level + 1, Relaxed);
        self.apart.store(0, Relaxed);
        self.apart_usage.set(UsedBy::default());
        self.nestings
            .store(self.nestings.load(Relaxed) + 1, Relaxed);
        if settings::exact() {
            let start = clock::now();
            self.age_baseline(start);
            self.published.begin(sequence + 2, as_ptr(task), start);
        } else {
            self.published.begin_undated(sequence + 2, as_ptr(task));
        }
    }

    /// The end of a poll with nested ones, of a nested one, of one that the watchdog
    /// asks about, or of none.
    #[cold]
    fn leave_rarely(&'static self) {
        let overflowed = self.overflowed.load(Relaxed);
        if overflowed > 0 {
            self.overflowed.store(overflowed - 1, Relaxed);
            return;
        }
        let Some(sequence) = self.published.open() else {
            // An end whose begin came before the slot, or went to a hook that
            // replaced ours.
            return;
        };
        let own = self.published.own(sequence);
        self.published.end(sequence);
        let end = if settings::exact() { clock::now() } else { 0 };
        let ticks = end.saturating_sub(own.start) + self.apart.load(Relaxed);
        let task = Task::from_ptr(own.task);
        // A stretch that is nobody's is told apart from what is around it.
        let mut is_apart = task.is_none();
        if let Some(task) = task {
            // A stretch of a poll is counted with it.
            let whole = !self.ends_again();
            if settings::exact() {
                if whole {
                    task.record_poll(clock::to_ns(ticks), end);
                }
                if end.saturating_sub(own.start) >= self.limit.load(Relaxed) {
                    self.slow_end(task, own, end);
                    is_apart = true;
                }
            } else if whole {
                task.count_poll();
            }
        }
        self.answer(task, own);
        if let Some(task) = task {
            Self::bury(task);
        }
        match self.suspended.load(Relaxed) {
            0 => {
                self.apart.store(0, Relaxed);
                self.apart_usage.set(UsedBy::default());
                self.rare.fetch_and(!NESTED, Relaxed);
                self.last_end.store(end, Relaxed);
                self.busy.store(self.busy.load(Relaxed) + ticks, Relaxed);
            }
            level if is_apart => {
                let used = self.used_in_all(ticks);
                self.resume_outer(level - 1, ticks, used);
            }
            level => {
                let (apart, used) = (self.apart.load(Relaxed), self.apart_usage.get());
                self.resume_outer(level - 1, apart, used);
            }
        }
    }

    /// Goes on with the outer poll, of which `apart` and what was `used` in that time
    /// are told apart.
    fn resume_outer(&self, level: u32, apart: Ticks, used: UsedBy) {
        self.suspended.store(level, Relaxed);
        let outer = &self.outer[level as usize];
        let start = outer.start.load(Relaxed);
        let start = if start == 0 { 0 } else { start + apart };
        self.base.set(outer.base.get());
        self.apart.store(outer.apart.load(Relaxed) + apart, Relaxed);
        self.apart_usage.set(outer.apart_usage.get().plus(used));
        self.published
            .resume(outer.task.load(Relaxed), start, outer.origin.load(Relaxed));
    }

    /// What the poll that has just ended has used; nothing worth asking for if it was
    /// shorter than the accounting is exact.
    fn used_in_all(&self, ticks: Ticks) -> UsedBy {
        if ticks <= settings::baseline_age_ticks() {
            return UsedBy::default();
        }
        let begin = self.base.get();
        super::slots::account_here(begin.at)
            .map_or_else(UsedBy::default, |now| UsedBy::between(begin, now))
    }

    #[cold]
    fn slow_end(&'static self, task: &'static Task, own: Reading<Task>, end: Ticks) {
        slow::push(SlowEnd {
            slot: self.number,
            origin: own.origin,
            task: slow::TaskIdentity::of(task),
            base: Some(self.base.get().moved(self.apart_usage.get())),
            start: Some(own.start),
            end,
            account: super::slots::account_here(end),
        });
    }

    /// Does what the watchdog asked for; it asks for the end of the outermost poll.
    fn answer(&'static self, task: Option<&'static Task>, own: Reading<Task>) {
        let outermost = self.suspended.load(Relaxed) == 0;
        let answered = if outermost {
            ASK_END | ASK_RUNTIME
        } else {
            ASK_RUNTIME
        };
        let asks = self.rare.fetch_and(!answered, Relaxed) & answered;
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

    /// The task whose poll the published one is, or lies in; `None` if `reading` is no
    /// longer true.
    pub(crate) fn outermost(&self, reading: Reading<Task>) -> Option<&'static Task> {
        let task = match self.suspended.load(Relaxed) {
            0 => reading.task,
            _ => self.outer[0].task.load(Relaxed),
        };
        std::sync::atomic::fence(Acquire);
        let same = self.sequence().load(Relaxed) == reading.sequence;
        Task::from_ptr(task).filter(|_| same)
    }

    /// All that the thread polls, consistently. What is written of suspended polls is
    /// written between two numbers, as the published one's fields are.
    pub(crate) fn levels(&self) -> Option<Levels> {
        let reading = self.read()?;
        let known = |base: Base| (base.at != 0).then_some(base);
        let mut levels = [None; DEPTH_MAX + 1];
        let suspended = (self.suspended.load(Relaxed) as usize).min(DEPTH_MAX);
        for (level, outer) in levels.iter_mut().zip(&self.outer[..suspended]) {
            let start = outer.start.load(Relaxed);
            *level = Some(Level {
                reading: Reading {
                    sequence: reading.sequence,
                    task: outer.task.load(Relaxed),
                    start,
                    origin: outer.origin.load(Relaxed),
                },
                began: start.saturating_sub(outer.apart.load(Relaxed)),
                account: known(outer.base.get()),
                base: known(outer.base.get().moved(outer.apart_usage.get())),
            });
        }
        levels[suspended] = Some(Level {
            reading,
            began: reading.start.saturating_sub(self.apart.load(Relaxed)),
            account: known(self.base.get()),
            base: known(self.base.get().moved(self.apart_usage.get())),
        });
        std::sync::atomic::fence(Acquire);
        (self.sequence().load(Relaxed) == reading.sequence).then_some(levels)
    }

    /// How often the owning thread had gone to sleep when that was last asked.
    pub(crate) fn sleeps(&self) -> Option<u64> {
        self.base.get().sleeps
    }

    /// The sequence number, for a signal handler that must see whether it is late.
    pub(crate) fn sequence(&self) -> &AtomicU64 {
        self.published.sequence()
    }

    pub(crate) fn ask(&self, what: u32) {
        self.rare.fetch_or(what, Relaxed);
    }

    /// [`enter`](Slot::enter) for a watched future, which no hook announced.
    ///
    /// A thread that polls a root future parks unseen, and so do the threads of
    /// runtimes without our hooks: what lies between two of their polls may be sleep.
    #[inline]
    pub(crate) fn enter_watched(&'static self, task: &'static Task) {
        if self.parks.load(Relaxed) == 0 && self.published.open().is_none() {
            self.unchain();
        }
        self.enter(Some(task));
    }

    /// Has the next poll begin by the clock.
    #[inline]
    pub(crate) fn unchain(&self) {
        if self.rare.load(Relaxed) & STALE == 0 {
            self.rare.fetch_or(STALE, Relaxed);
        }
    }

    /// Polls made by the owning thread, nested ones not counted.
    ///
    /// A poll moves the sequence number by two, a nested one by four: it ends and
    /// resumes the outer one besides.
    pub(crate) fn polls(&self) -> u64 {
        // The thread may end and give the slot back meanwhile.
        let nestings = self.nestings.load(Relaxed);
        let claimed_at = self.claimed_at.load(Relaxed);
        let moved = self.sequence().load(Relaxed).saturating_sub(claimed_at);
        (moved / 2).saturating_sub(2 * nestings)
    }

    pub(crate) fn busy_ns(&self) -> u64 {
        clock::to_ns(self.busy.load(Relaxed))
    }

    pub(crate) fn parks(&self) -> u64 {
        self.parks.load(Relaxed)
    }

    /// Takes over the limit that holds where the thread polls.
    pub(super) fn adopt_limit(&self, info: &ThreadInfo) {
        let limit = trial::limit_on(info.runtime());
        self.limit.store(clock::from_duration(limit), Relaxed);
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
        self.rare.store(STALE, Relaxed);
        for count in [&self.suspended, &self.overflowed, &self.again] {
            count.store(0, Relaxed);
        }
        for counter in [
            &self.busy,
            &self.apart,
            &self.nestings,
            &self.parks,
            &self.inside,
        ] {
            counter.store(0, Relaxed);
        }
        self.claimed_at
            .store(self.sequence().load(Relaxed), Relaxed);
        self.apart_usage.set(UsedBy::default());
        self.base.at.store(0, Relaxed);
        self.adopt_limit(info);
        *self.info.lock().unwrap_or_else(PoisonError::into_inner) = Some(info.clone());
        true
    }

    /// The owning thread ends; gives the number of polls it made.
    pub(super) fn release(&self) -> u64 {
        if let Some(sequence) = self.published.open() {
            self.published.end(sequence);
        }
        *self.info.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let polls = self.polls();
        self.nestings.store(0, Relaxed);
        self.claimed_at
            .store(self.sequence().load(Relaxed), Relaxed);
        self.in_use.store(false, Release);
        polls
    }
}

#[inline]
fn as_ptr(task: Option<&'static Task>) -> *mut Task {
    task.map_or(ptr::null_mut(), |task| ptr::from_ref(task).cast_mut())
}
