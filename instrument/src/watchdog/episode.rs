//! One long poll, from when the watchdog first sees it to its end.

use std::time::Duration;

use asyncwatch_findings::Code;
use asyncwatch_stack::{Activity, CaptureError, Capturer, RawStack, Still, Usage};

use super::verdict::{self, Accounting, Verdict};
use crate::{
    clock::{self, Ticks},
    drops,
    publish::Reading,
    registry::{
        slot::{ASK_END, Base, Slot},
        slots,
        task::Task,
    },
    runtimes, settings,
    slow::{SlowEnd, TaskIdentity},
};

/// Stacks kept of one poll: one per look from half the limit to twice it (12), and
/// then fewer and fewer: 64 last for days.
const SAMPLES_MAX: usize = 64;
/// After twice the limit, each sample waits for this part more of the time so far.
const SPARSER: u32 = 4;
/// A stack, and when it was seen.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// The time it stands for, from the sample before to this one.
    pub(crate) weight: Duration,
    pub(crate) stack: RawStack,
    /// The system call it slept in, with its object.
    pub(crate) syscall: Option<String>,
}

/// What the watchdog tells of a long poll.
#[derive(Clone, Debug)]
pub(crate) struct PollReport {
    pub(crate) slot: u32,
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
    pub(crate) fn without(&self, excused: Duration, limit: Duration) -> PollReport {
        PollReport {
            wall: self.wall.saturating_sub(excused),
            verdict: self.verdict.without(excused, limit),
            ..self.clone()
        }
    }
}

pub(super) struct Episode {
    origin: u64,
    task: TaskIdentity,
    thread: String,
    /// Its own time began here: moved when nested polls end, in exact timing.
    start: Ticks,
    dated: bool,
    base: Option<Base>,
    samples: Vec<Sample>,
    taken: usize,
    next_sample: Duration,
    next_report: Duration,
    reported: bool,
    last_sample_at: Duration,
    seen_asleep: bool,
    /// How often it was looked at closely.
    looks: u64,
    /// Blocked time at the last look that found it asleep.
    asleep_blocked: Duration,
    queue: Queue,
    first: bool,
    asked: bool,
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

impl Episode {
    /// A poll is seen for the first time; `None` for stretches that are nobody's.
    pub(super) fn begin(
        slot: &'static Slot,
        reading: Reading<Task>,
        now: Ticks,
    ) -> Option<Episode> {
        let task = Task::from_ptr(reading.task)?;
        let limit = settings::limit();
        let dated = reading.start == 0;
        let base = if dated {
            let usage = slot.info()?.thread.usage()?;
            Some(Base {
                at: now,
                usage,
                sleeps: None,
            })
        } else {
            None
        };
        Some(Episode {
            origin: reading.origin,
            task: TaskIdentity::of(task),
            thread: String::new(),
            start: if dated { now } else { reading.start },
            dated,
            base,
            samples: Vec::new(),
            taken: 0,
            next_sample: limit / 2,
            next_report: limit,
            reported: false,
            last_sample_at: Duration::ZERO,
            seen_asleep: false,
            looks: 0,
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

    /// Looks at the poll once more; gives a report when one is due.
    pub(super) fn look(
        &mut self,
        slot: &'static Slot,
        reading: Reading<Task>,
        now: Ticks,
        capturer: Option<&mut Capturer>,
    ) -> Option<PollReport> {
        if reading.start != 0 {
            self.start = reading.start;
        }
        let held = clock::to_duration(now.saturating_sub(self.start));
        if held < self.next_sample.min(self.next_report) {
            return None;
        }
        let info = slot.info()?;
        if self.thread.is_empty() {
            self.thread = info.label();
            // The task was read while it may have been ending: now it is long here.
            self.task = Task::from_ptr(reading.task).map(TaskIdentity::of)?;
        }
        if self.dated && !self.asked {
            self.asked = true;
            slot.ask(ASK_END);
        }
        let activity = info.thread.activity();
        let usage = info.thread.usage();
        if self.base.is_none() {
            self.base = slot.base(self.origin);
        }
        if held >= self.next_sample.min(self.next_report) {
            self.sample(slot, reading, held, &info.thread, activity, capturer);
            if let Some(tasks) = runtimes::queued(info.runtime(), info.worker()) {
                self.queue.see(held, tasks);
            }
        }
        if slot
            .read()
            .is_none_or(|after| after.sequence != reading.sequence)
        {
            // It ended while we looked: what was read may be another poll's.
            return None;
        }
        let verdict = self.judge_running(held, usage?, activity);
        (held >= self.next_report && verdict.is_guilty())
            .then(|| self.report(slot.number, held, verdict, now))
    }

    fn sample(
        &mut self,
        slot: &'static Slot,
        reading: Reading<Task>,
        held: Duration,
        thread: &asyncwatch_stack::Thread,
        activity: Activity,
        capturer: Option<&mut Capturer>,
    ) {
        self.next_sample = next_sample(held, settings::limit());
        if self.taken >= SAMPLES_MAX {
            return;
        }
        let Some(capturer) = capturer else { return };
        let still = Still {
            seq: slot.sequence(),
            expected: reading.sequence,
        };
        match capturer.capture(thread, still) {
            Ok(stack) => {
                let syscall = match activity {
                    Activity::Syscall(call) => Some(call.describe()),
                    _ => None,
                };
                let gap = held.saturating_sub(self.last_sample_at);
                self.taken += 1;
                self.last_sample_at = held;
                self.samples.push(Sample {
                    weight: gap,
                    stack,
                    syscall,
                });
            }
            // It ended meanwhile: nothing is lost.
            Err(CaptureError::Stale | CaptureError::Gone) => {}
            Err(_) => drops::count(drops::What::Captures),
        }
    }

    /// What can be said while it still runs.
    ///
    /// The kernel adds a wait for the CPU to the account when the wait ends, so the
    /// rest is blocked time for certain only while the thread is seen asleep.
    fn judge_running(&mut self, held: Duration, usage: Usage, activity: Activity) -> Verdict {
        let limit = settings::limit();
        let Some(base) = self.base else {
            return verdict::judge(Accounting::default(), limit);
        };
        let Usage { cpu, run_delay } = usage.since(base.usage);
        self.looks += 1;
        let asleep = matches!(activity, Activity::Syscall(_) | Activity::Waiting);
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
                looks: self.looks,
                seen_asleep: asleep,
            },
            limit,
        )
    }

    fn report(&mut self, slot: u32, held: Duration, verdict: Verdict, now: Ticks) -> PollReport {
        let stage = if self.reported {
            Stage::Still
        } else {
            Stage::Begin
        };
        self.reported = true;
        self.next_report = self.next_report_after(held);
        PollReport {
            slot,
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
/// may have been stopped, so only what was seen counts as blocked.
pub(super) fn end(end: SlowEnd, seen: Option<Episode>, stalled: bool) -> Option<PollReport> {
    let limit = settings::limit();
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
    let sleeps = if dated || stalled {
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
            looks: seen.as_ref().map_or(0, |seen| seen.looks),
            seen_asleep: seen.as_ref().is_some_and(|seen| seen.seen_asleep),
        },
        limit,
    );
    // The thread may be gone by now.
    let thread = match &seen {
        Some(seen) if !seen.thread.is_empty() => seen.thread.clone(),
        _ => slots::at(end.slot)
            .and_then(Slot::info)
            .map_or_else(String::new, |info| info.label()),
    };
    let queue = seen.as_ref().map_or_else(Queue::default, |seen| seen.queue);
    let first = seen.as_ref().is_some_and(|seen| seen.first);
    let (samples, dated) = match seen {
        Some(seen) => (close(seen.samples, seen.last_sample_at, wall), seen.dated),
        None => (Vec::new(), end.start.is_none()),
    };
    Some(PollReport {
        slot: end.slot,
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
    })
}

/// The last sample stands for the rest of the poll, too.
fn close(mut samples: Vec<Sample>, last: Duration, wall: Duration) -> Vec<Sample> {
    if let Some(sample) = samples.last_mut() {
        sample.weight += wall.saturating_sub(last);
    }
    samples
}

/// When to take the next stack of a poll that has gone on for `held`: at each look
/// until twice the limit, then at growing distances.
fn next_sample(held: Duration, limit: Duration) -> Duration {
    if held < limit * 2 {
        held
    } else {
        held + held / SPARSER
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
        assert_eq!(next_sample(limit / 2, limit), limit / 2);
        let mut held = limit * 2;
        for _ in 0..SAMPLES_MAX {
            held = next_sample(held, limit);
        }
        assert!(held > Duration::from_secs(86_400), "{held:?}");
    }
}
