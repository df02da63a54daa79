//! One long poll, from when the watchdog first sees it to its end.

use std::time::Duration;

use asyncwatch_findings::Code;
use asyncwatch_stack::{Activity, Faults, Neighbours, RawStack, Usage};

use super::{
    glance::{Glance, HeldBy, Seen},
    verdict::{self, Accounting, Verdict},
};
use crate::{
    clock::{self, Ticks},
    publish::Reading,
    registry::{
        slot::{ASK_END, Base, Level, Slot},
        slots,
        task::Task,
    },
    runtimes, settings,
    slow::{SlowEnd, TaskIdentity},
    trial,
};

/// Stacks kept of one poll: one per look from half the limit to four times it (28),
/// then [`DENSE`] in all that grow sparser slowly, up to some forty times the limit,
/// and the last of them at doubled distances: 64 last for days.
const SAMPLES_MAX: usize = 64;
const DENSE: usize = 48;
/// After four times the limit, each sample waits for this part more of the time so far.
const SPARSER: u32 = 8;
/// A stack that could not be taken is tried again after this part of that time.
const SOONER: u32 = 4;
/// Searches for the holder of the lock that a poll waits for.
const SEARCHES_MAX: u8 = 6;

/// A stack, and when it was seen.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// The time it stands for, from the sample before to this one.
    pub(crate) weight: Duration,
    /// That without what the machine withheld.
    pub(crate) own: Duration,
    pub(crate) stack: RawStack,
    /// The system call it slept in, with its object.
    pub(crate) syscall: Option<String>,
    /// How many polls of watched futures it was nested in that are part of this one.
    pub(crate) nested: usize,
}

/// What the watchdog tells of a long poll.
#[derive(Clone, Debug)]
pub(crate) struct PollReport {
    pub(crate) slot: u32,
    /// Where the thread polled; 0 if that was of no interest.
    pub(crate) runtime: u64,
    /// From here on a poll there is slow.
    pub(crate) limit: Duration,
    pub(crate) origin: u64,
    pub(crate) stage: Stage,
    pub(crate) task: TaskIdentity,
    pub(crate) thread: String,
    pub(crate) wall: Duration,
    pub(crate) verdict: Verdict,
    pub(crate) unix_ns: u64,
    /// Seen since the last report of the same poll.
    pub(crate) samples: Vec<Sample>,
    pub(crate) queued_behind: Option<u64>,
    /// For how long tasks waited behind it, all of them added up.
    pub(crate) waited_behind: Duration,
    /// It is, or lies in, the first poll of its task.
    pub(crate) first: bool,
    /// Its begin was seen from outside only (light timing).
    pub(crate) dated: bool,
    /// Its page faults.
    pub(crate) faults: Option<Faults>,
    pub(crate) looks: Looks,
    /// Who seems to hold the lock that it waits for.
    pub(crate) held_by: Option<HeldBy>,
}

/// How often it was looked at closely.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Looks {
    pub(crate) all: u64,
    /// Found in an uninterruptible sleep.
    pub(crate) in_io: u64,
}

/// Where in the life of the poll a report stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It has reached the limit and goes on.
    Begin,
    /// It has doubled its time since the last report and still goes on.
    Still,
    /// It has ended; the numbers are final.
    End,
}

impl PollReport {
    /// The report of the poll without the part in which it blocked on purpose, judged
    /// anew. That part was asleep if anything was.
    pub(crate) fn without(&self, excused: Duration) -> PollReport {
        PollReport {
            wall: self.wall.saturating_sub(excused),
            verdict: self.verdict.without(excused, self.limit),
            ..self.clone()
        }
    }

    /// The report of a poll that every stack shows at work: what is neither computing nor
    /// waiting for a CPU was taken from the program by the machine.
    pub(crate) fn never_asleep(&self) -> PollReport {
        PollReport {
            verdict: self.verdict.sparing(self.verdict.blocked, self.limit),
            ..self.clone()
        }
    }
}

pub(super) struct Episode {
    origin: u64,
    terms: Terms,
    task: TaskIdentity,
    thread: String,
    /// Its own time began here: moved when nested polls end, in exact timing.
    start: Ticks,
    dated: bool,
    /// The accounting when it was first seen, in light timing.
    base: Option<Base>,
    samples: Vec<Sample>,
    /// Samples taken while a nested poll went on that may yet be told apart.
    unsettled: Vec<Unsettled>,
    taken: usize,
    /// In its own time.
    next_sample: Duration,
    next_report: Duration,
    reported: bool,
    last_sample: Moment,
    /// The last sample, if no nested poll was going on.
    newest: Option<Sample>,
    /// Since then a stack could not be taken.
    missed: bool,
    /// Whether it was found asleep, itself or in a nested poll that is part of it.
    seen_asleep: bool,
    looks: Looks,
    held_by: Option<HeldBy>,
    searches: u8,
    /// The other threads, since it was first seen waiting for one of them.
    neighbours: Option<Neighbours>,
    /// Blocked time at the last look that found it asleep.
    asleep_blocked: Duration,
    queue: Queue,
    first: bool,
    asked: bool,
}

/// By what a poll is judged.
#[derive(Clone, Copy, Debug)]
struct Terms {
    /// 0 where all runtimes have the same limit.
    runtime: u64,
    limit: Duration,
}

impl Terms {
    /// Those of the polls that the thread makes now.
    fn of(slot: &Slot) -> Terms {
        let runtime = match trial::any() {
            true => slot.info().map_or(0, |info| info.runtime()),
            false => 0,
        };
        Terms {
            runtime,
            limit: trial::limit_on(runtime),
        }
    }
}

/// The tasks that wait behind a poll, as a curve through the looks at them.
#[derive(Clone, Copy, Debug, Default)]
struct Queue {
    /// The newest look, and what it saw.
    at: Duration,
    tasks: u64,
    most: Option<u64>,
    /// Up to that look.
    waited: Duration,
}

impl Queue {
    fn see(&mut self, held: Duration, tasks: u64) {
        self.waited = self.until(held, tasks);
        self.at = held;
        self.tasks = tasks;
        self.most = self.most.max(Some(tasks));
    }

    /// For how long tasks waited, all added up, if there are `tasks` at `held`.
    fn until(&self, held: Duration, tasks: u64) -> Duration {
        let mean = (self.tasks + tasks) as f64 / 2.0;
        self.waited + held.saturating_sub(self.at).mul_f64(mean)
    }
}

/// A sample that stands only if none of the polls it was taken in is told apart.
struct Unsettled {
    inside: Vec<u64>,
    asleep: bool,
    sample: Sample,
}

/// The polls nested in the one that is looked at, the outermost first.
#[derive(Default)]
pub(super) struct Inner {
    origins: Vec<u64>,
    /// When the first of them began, and the accounting then.
    began: Ticks,
    account: Option<Base>,
    /// One of them is nobody's.
    has_nobody: bool,
}

impl<'a> FromIterator<&'a Level> for Inner {
    fn from_iter<T: IntoIterator<Item = &'a Level>>(levels: T) -> Inner {
        let mut inner = Inner::default();
        for level in levels {
            if inner.origins.is_empty() {
                inner.began = level.began;
                inner.account = level.account;
            }
            inner.has_nobody |= level.reading.task.is_null();
            inner.origins.push(level.reading.origin);
        }
        inner
    }
}

impl Episode {
    /// A poll is seen for the first time; `None` for stretches that are nobody's.
    pub(super) fn begin(
        slot: &'static Slot,
        reading: Reading<Task>,
        now: Ticks,
    ) -> Option<Episode> {
        let task = Task::from_ptr(reading.task)?;
        let terms = Terms::of(slot);
        let limit = terms.limit;
        let dated = reading.start == 0;
        let base = if dated {
            let usage = slot.info()?.thread.usage()?;
            Some(Base {
                at: now,
                usage,
                sleeps: None,
                faults: None,
            })
        } else {
            None
        };
        Some(Episode {
            origin: reading.origin,
            terms,
            task: TaskIdentity::of(task),
            thread: String::new(),
            start: if dated { now } else { reading.start },
            dated,
            base,
            samples: Vec::new(),
            unsettled: Vec::new(),
            taken: 0,
            next_sample: limit / 2,
            next_report: limit,
            reported: false,
            last_sample: Moment::default(),
            newest: None,
            missed: false,
            seen_asleep: false,
            looks: Looks::default(),
            held_by: None,
            searches: 0,
            neighbours: None,
            asleep_blocked: Duration::ZERO,
            queue: Queue::default(),
            first: slot
                .outermost(reading)
                .is_some_and(|task| task.polls() == 0 && task.kind().is_spawned()),
            asked: false,
        })
    }

    pub(super) fn origin(&self) -> u64 {
        self.origin
    }

    pub(super) fn has_samples(&self) -> bool {
        self.taken > 0
    }

    /// Whether its time was reported in light timing, where nobody else takes it out
    /// of that of the outer polls.
    pub(super) fn is_dated_and_reported(&self) -> bool {
        self.dated && self.reported
    }

    /// Has it begin now, as far as is known: a nested poll that was told by itself has
    /// just ended.
    pub(super) fn date_anew(&mut self, slot: &'static Slot, now: Ticks) {
        if let (true, Some(usage)) = (self.dated, slot.info().and_then(|info| info.thread.usage()))
        {
            self.start = now;
            self.asleep_blocked = Duration::ZERO;
            self.base = Some(Base {
                at: now,
                usage,
                sleeps: None,
                faults: None,
            });
        }
    }

    /// The poll `origin` in it is told by itself.
    pub(super) fn forget_inside(&mut self, origin: u64) {
        self.unsettled
            .retain(|unsettled| !unsettled.inside.contains(&origin));
    }

    /// What was seen in nested polls that do not go on any more is part of this one.
    fn settle(&mut self, going_on: &[u64]) {
        for unsettled in std::mem::take(&mut self.unsettled) {
            if unsettled.inside.iter().any(|poll| going_on.contains(poll)) {
                self.unsettled.push(unsettled);
            } else {
                self.seen_asleep |= unsettled.asleep;
                self.samples.push(unsettled.sample);
            }
        }
    }

    /// Looks at the poll once more; gives a report when one is due.
    ///
    /// Its time ends where the nested poll that goes on has begun: whether that one is
    /// part of it or will be told by itself is not known yet.
    pub(super) fn look(
        &mut self,
        level: &Level,
        inner: &Inner,
        now: Ticks,
        glance: &mut Glance<'_>,
    ) -> Option<PollReport> {
        if level.reading.start != 0 && level.reading.start != self.start {
            self.start = level.reading.start;
            self.asleep_blocked = Duration::ZERO;
        }
        let is_innermost = inner.origins.is_empty();
        let until = match (is_innermost, self.dated) {
            (true, _) => now,
            (false, false) => inner.began,
            // Nobody dates nested polls, either.
            (false, true) => return None,
        };
        let held = clock::to_duration(until.saturating_sub(self.start));
        if held < self.next_sample.min(self.next_report) {
            return None;
        }
        let seen = glance.seen()?;
        if self.thread.is_empty() {
            self.thread = seen.info.label();
            // The task was read while it may have been ending: now it is long here.
            self.task = Task::from_ptr(level.reading.task).map(TaskIdentity::of)?;
        }
        if self.dated && !self.asked {
            self.asked = true;
            glance.ask(ASK_END);
        }
        self.settle(&inner.origins);
        let base = if self.dated { self.base } else { level.base };
        if !inner.has_nobody {
            let now = Moment {
                held,
                own: own_time(held, is_innermost, base, seen.usage),
            };
            self.sample(&seen, inner, now, glance);
        }
        if let Some(tasks) = runtimes::queued(seen.info.runtime(), seen.info.worker()) {
            self.queue.see(held, tasks);
        }
        if !glance.holds() {
            // It ended while we looked: what was read may be another poll's.
            return None;
        }
        let (usage, asleep) = if is_innermost {
            (seen.usage?, is_asleep(seen.activity))
        } else {
            (inner.account?.usage, self.seen_asleep)
        };
        if is_innermost {
            self.looks.in_io += u64::from(seen.waits_for_io);
            self.search_holder(glance);
        }
        if is_innermost && waits_for_a_thread(seen.activity) {
            self.neighbours
                .get_or_insert_with(|| Neighbours::of(seen.info.thread.tid()));
        }
        let verdict = self.judge_running(held, base, usage, asleep);
        let limit = self.terms.limit;
        let verdict = spare_the_starved(verdict, &mut self.neighbours, limit);
        if held < self.next_report || !verdict.is_guilty() {
            return None;
        }
        let faults = if is_innermost {
            glance.faults()
        } else {
            inner.account.and_then(|account| account.faults)
        };
        let faults = faults.zip(base.and_then(|base| base.faults));
        let faults = faults.map(|(now, then)| now.since(then));
        Some(self.report(glance.slot_number(), held, verdict, now, faults))
    }

    fn search_holder(&mut self, glance: &mut Glance<'_>) {
        if self.held_by.is_some() || self.searches >= SEARCHES_MAX {
            return;
        }
        if let Some(lock) = glance.can_search() {
            self.searches += 1;
            self.held_by = glance.holder_of(lock);
        }
    }

    fn sample(&mut self, seen: &Seen, inner: &Inner, now: Moment, glance: &mut Glance<'_>) {
        // While a nested poll goes on, its time stands still: one sample is enough. While
        // it has no CPU, there is nothing new to be seen.
        let stands_still = !inner.origins.is_empty() && now.held <= self.last_sample.held;
        if stands_still || now.own < self.next_sample {
            return;
        }
        self.next_sample = next_sample(now.own, self.terms.limit, self.taken);
        if self.taken >= SAMPLES_MAX {
            return;
        }
        let stacks = glance.stacks();
        let Ok(count @ 1..) = u32::try_from(stacks.len()) else {
            self.missed = true;
            self.next_sample = now.own + self.next_sample.saturating_sub(now.own) / SOONER;
            return;
        };
        let mut passed = now.since(self.last_sample);
        self.taken += 1;
        self.last_sample = now;
        let before = self.newest.take();
        if std::mem::take(&mut self.missed)
            && let Some(before) = before
        {
            // Nobody knows when it went from the one to the other.
            passed = passed.half();
            self.samples.push(Sample {
                weight: passed.held,
                own: passed.own,
                ..before
            });
        }
        for taken in stacks {
            let sample = Sample {
                weight: passed.held / count,
                own: passed.own / count,
                stack: taken.stack,
                syscall: taken.syscall,
                nested: inner.origins.len(),
            };
            if inner.origins.is_empty() {
                self.newest = Some(sample.clone());
                self.samples.push(sample);
            } else {
                self.unsettled.push(Unsettled {
                    inside: inner.origins.clone(),
                    asleep: is_asleep(seen.activity),
                    sample,
                });
            }
        }
    }

    /// What can be said while it still runs.
    ///
    /// The kernel adds a wait for the CPU to the account when the wait ends, so the
    /// rest is blocked time for certain only while the thread is seen asleep.
    fn judge_running(
        &mut self,
        held: Duration,
        base: Option<Base>,
        usage: Usage,
        asleep: bool,
    ) -> Verdict {
        let limit = self.terms.limit;
        let Some(base) = base else {
            return verdict::judge(Accounting::default(), limit);
        };
        let Usage { cpu, run_delay } = usage.since(base.usage);
        self.looks.all += 1;
        if asleep {
            self.seen_asleep = true;
            self.asleep_blocked = held
                .saturating_sub(cpu)
                .saturating_sub(run_delay.unwrap_or_default());
        }
        let unsure = held
            .saturating_sub(cpu)
            .saturating_sub(run_delay.unwrap_or_default())
            .saturating_sub(self.asleep_blocked);
        verdict::judge(
            Accounting {
                wall: held,
                cpu,
                run_delay: run_delay.map(|delay| delay + unsure),
                sleeps: None,
                looks: self.looks.all,
                seen_asleep: asleep,
            },
            limit,
        )
    }

    fn report(
        &mut self,
        slot: u32,
        held: Duration,
        verdict: Verdict,
        now: Ticks,
        faults: Option<Faults>,
    ) -> PollReport {
        let stage = if self.reported {
            Stage::Still
        } else {
            Stage::Begin
        };
        self.reported = true;
        self.next_report = self.next_report_after(held);
        PollReport {
            slot,
            runtime: self.terms.runtime,
            limit: self.terms.limit,
            origin: self.origin,
            stage,
            task: self.task,
            thread: self.thread.clone(),
            wall: held,
            verdict,
            unix_ns: clock::to_unix_ns(now),
            samples: std::mem::take(&mut self.samples),
            queued_behind: self.queue.most,
            waited_behind: self.queue.until(held, self.queue.tasks),
            first: self.first,
            dated: self.dated,
            faults,
            looks: self.looks,
            held_by: self.held_by.clone(),
        }
    }

    /// At twice the time, or as soon as a first poll is one that never yields.
    fn next_report_after(&self, held: Duration) -> Duration {
        let never_yields = Duration::from_nanos(settings::limit_of(Code::NeverYielded));
        if self.first && held < never_yields {
            never_yields.min(held * 2)
        } else {
            held * 2
        }
    }
}

/// A slow poll has ended: joins its exact numbers with what was seen of it.
///
/// `None` where polls are not timed and this one turns out to be shorter than the
/// limit, or was never seen.
///
/// `stalled` says that the watchdog itself stood still meanwhile: the whole process
/// may have been stopped, so only what was seen counts as blocked. A poll that it never
/// looked at went by while it stood still, or had no CPU.
pub(super) fn end(end: SlowEnd, mut seen: Option<Episode>, stalled: bool) -> Option<PollReport> {
    let terms = match &seen {
        Some(seen) => seen.terms,
        None => Terms::of(slots::at(end.slot)?),
    };
    let limit = terms.limit;
    if let Some(seen) = &mut seen {
        seen.settle(&[]);
    }
    let start = end.start.or(seen.as_ref().map(|seen| seen.start))?;
    let wall = clock::to_duration(end.end.saturating_sub(start));
    if wall < limit {
        return None;
    }
    let base = end.base.or(seen.as_ref().and_then(|seen| seen.base));
    let spent = base.zip(end.account);
    let Usage { cpu, run_delay } =
        spent.map_or_else(Usage::default, |(base, end)| end.usage.since(base.usage));
    // Nobody counted the sleeps of a poll that is only dated.
    let dated = end.start.is_none();
    let unseen = seen.as_ref().is_none_or(|seen| seen.looks.all == 0);
    let sleeps = if dated || stalled || unseen {
        Some(0)
    } else {
        spent.and_then(|(base, end)| Some(end.sleeps?.saturating_sub(base.sleeps?)))
    };
    let verdict = verdict::judge(
        Accounting {
            wall,
            cpu,
            run_delay,
            sleeps,
            looks: seen.as_ref().map_or(0, |seen| seen.looks.all),
            seen_asleep: seen.as_ref().is_some_and(|seen| seen.seen_asleep),
        },
        limit,
    );
    let verdict = match &mut seen {
        Some(seen) => {
            let verdict = verdict.asleep_for(seen.asleep_blocked, limit);
            spare_the_starved(verdict, &mut seen.neighbours, limit)
        }
        None => verdict,
    };
    // The thread may be gone by now.
    let thread = match &seen {
        Some(seen) if !seen.thread.is_empty() => seen.thread.clone(),
        _ => slots::at(end.slot)
            .and_then(Slot::info)
            .map_or_else(String::new, |info| info.label()),
    };
    let faults = spent.and_then(|(base, end)| Some(end.faults?.since(base.faults?)));
    let looks = seen.as_ref().map_or_else(Looks::default, |seen| seen.looks);
    let queue = seen.as_ref().map_or_else(Queue::default, |seen| seen.queue);
    let first = seen.as_ref().is_some_and(|seen| seen.first);
    let (samples, dated, held_by) = match seen {
        Some(seen) => (
            close(
                seen.samples,
                Moment {
                    held: wall,
                    own: own_of(wall, run_delay),
                }
                .since(seen.last_sample),
            ),
            seen.dated,
            seen.held_by,
        ),
        None => (Vec::new(), end.start.is_none(), None),
    };
    Some(PollReport {
        slot: end.slot,
        runtime: terms.runtime,
        limit,
        origin: end.origin,
        stage: Stage::End,
        task: end.task,
        thread,
        wall,
        verdict,
        unix_ns: clock::to_unix_ns(end.end),
        samples,
        queued_behind: queue.most,
        waited_behind: queue.until(wall, queue.tasks),
        first,
        dated,
        faults,
        looks,
        held_by,
    })
}

/// The last sample stands for the rest of the poll, too.
fn close(mut samples: Vec<Sample>, rest: Moment) -> Vec<Sample> {
    if let Some(sample) = samples.last_mut() {
        sample.weight += rest.held;
        sample.own += rest.own;
    }
    samples
}

/// A moment in a poll, or the time between two.
#[derive(Clone, Copy, Debug, Default)]
struct Moment {
    /// Since it began.
    held: Duration,
    /// That without what the machine withheld.
    own: Duration,
}

impl Moment {
    fn since(self, before: Moment) -> Moment {
        Moment {
            held: self.held.saturating_sub(before.held),
            own: self.own.saturating_sub(before.own),
        }
    }

    fn half(self) -> Moment {
        Moment {
            held: self.held / 2,
            own: self.own / 2,
        }
    }
}

/// As far as the accounts tell; of a poll with another one inside they do not.
fn own_time(
    held: Duration,
    is_innermost: bool,
    base: Option<Base>,
    usage: Option<Usage>,
) -> Duration {
    let spent = base.zip(usage).filter(|_| is_innermost);
    own_of(
        held,
        spent.and_then(|(base, usage)| usage.since(base.usage).run_delay),
    )
}

fn own_of(held: Duration, run_delay: Option<Duration>) -> Duration {
    held.saturating_sub(run_delay.unwrap_or_default())
}

/// Whether only another thread can end its sleep: it waits for a lock, a channel, an end.
fn waits_for_a_thread(activity: Activity) -> bool {
    matches!(activity, Activity::Syscall(call) if call.name() == "futex")
}

/// The verdict without what the other threads of the process waited for a CPU: for as
/// long as that took, a lock was perhaps held only because its holder could not run.
fn spare_the_starved(
    verdict: Verdict,
    neighbours: &mut Option<Neighbours>,
    limit: Duration,
) -> Verdict {
    match neighbours {
        Some(neighbours) => verdict.sparing(neighbours.longest_wait(), limit),
        None => verdict,
    }
}

fn is_asleep(activity: Activity) -> bool {
    matches!(activity, Activity::Syscall(_) | Activity::Waiting)
}

/// When to take the next stack of a poll that has taken `own` time of its own.
fn next_sample(own: Duration, limit: Duration, taken: usize) -> Duration {
    if own < limit * 4 {
        own
    } else if taken < DENSE {
        own + own / SPARSER
    } else {
        own * 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_added_up_over_the_looks() {
        let ms = Duration::from_millis;
        let mut queue = Queue::default();
        assert_eq!(queue.until(ms(300), 0), Duration::ZERO);
        // As many came in equal measure since the begin: half of them waited on average.
        queue.see(ms(100), 10);
        assert_eq!(queue.waited, ms(500));
        queue.see(ms(200), 20);
        assert_eq!((queue.waited, queue.most), (ms(2_000), Some(20)));
        queue.see(ms(300), 0);
        assert_eq!((queue.waited, queue.most), (ms(3_000), Some(20)));
        assert_eq!(queue.until(ms(900), 0), ms(3_000));
    }

    #[test]
    fn samples_grow_sparse_and_last() {
        let limit = Duration::from_millis(100);
        assert_eq!(next_sample(limit / 2, limit, 0), limit / 2);
        let mut held = limit * 4;
        for taken in 28..SAMPLES_MAX {
            held = next_sample(held, limit, taken);
        }
        assert!(held > Duration::from_secs(86_400), "{held:?}");
    }
}
