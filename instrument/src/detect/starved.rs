//! Workers whose polls are all short, and which still keep woken tasks waiting: there
//! are too many of them.
//!
//! What is judged is the time of the program's own, without what the machine withheld:
//! a worker that had no CPU keeps tasks waiting too, and is not to blame.

use std::time::Duration;

/// A worker must have been busy for so long without a pause.
pub(super) const WINDOW: Duration = Duration::from_secs(1);
/// Busy is, of the time that passed, so much.
const BUSY: f64 = 0.95;
/// A machine that withheld more of the time than this is what keeps tasks waiting.
const WITHHELD_MAX: f64 = 0.25;
/// Time that is neither on a CPU nor waiting for one is the program's own only if the
/// thread slept: at least so often a second.
const SLEEPS_PER_SECOND: f64 = 10.0;
/// Time of which nobody knows where it went, at most.
const UNEXPLAINED_MAX: f64 = 0.1;

/// What a worker had done by one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Look {
    pub(super) at: Duration,
    pub(super) busy: Duration,
    pub(super) polls: u64,
    pub(super) cpu: Duration,
    /// `None` where the system does not tell.
    pub(super) run_delay: Option<Duration>,
    pub(super) sleeps: Option<u64>,
    /// Tasks that wait for it, now.
    pub(super) queued: u64,
}

/// What is told of a starved worker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Starvation {
    /// For how long it has been busy without a pause.
    pub(super) window: Duration,
    /// The part of that in polls.
    pub(super) busy: f64,
    pub(super) polls: u64,
    /// One poll's own time, on average.
    pub(super) poll: Duration,
    /// How many tasks waited when fewest did.
    pub(super) queued: u64,
    /// How long a task that is woken now waits for its turn.
    pub(super) wait: Duration,
}

/// Whether a worker polled all the time between two looks.
pub(super) fn is_busy(before: &Look, now: &Look) -> bool {
    let passed = now.at.saturating_sub(before.at);
    let busy = now.busy.saturating_sub(before.busy);
    !passed.is_zero() && busy >= passed.mul_f64(BUSY)
}

/// How many of the first looks say nothing, because up to the last of them the tasks in
/// the queue would have had their turn within `limit`.
pub(super) fn kept_up(looks: &[Look], limit: Duration) -> usize {
    let (Some(first), Some(last)) = (looks.first(), looks.last()) else {
        return 0;
    };
    let polls = last.polls.saturating_sub(first.polls);
    let poll = match polls {
        0 => limit,
        _ => last.busy.saturating_sub(first.busy).div_f64(polls as f64),
    };
    let short = |look: &Look| poll.mul_f64(look.queued as f64) < limit;
    looks.iter().rposition(short).map_or(0, |at| at + 1)
}

/// Judges a worker by looks between which it was always busy and no poll was slow.
pub(super) fn judge(looks: &[Look], limit: Duration) -> Option<Starvation> {
    let (first, last) = (looks.first()?, looks.last()?);
    let window = last.at.saturating_sub(first.at);
    let polls = last.polls.saturating_sub(first.polls);
    if window < WINDOW || polls == 0 {
        return None;
    }
    let own = own_time(first, last, window)?;
    let poll = own.div_f64(polls as f64);
    let queued = looks.iter().map(|look| look.queued).min()?;
    let wait = poll.mul_f64(queued as f64);
    let busy = last.busy.saturating_sub(first.busy);
    (wait >= limit).then(|| Starvation {
        window,
        busy: (busy.as_secs_f64() / window.as_secs_f64()).min(1.0),
        polls,
        poll,
        queued,
        wait,
    })
}

/// What the polls would have taken on an idle machine; `None` if the machine is to
/// blame, or might be.
fn own_time(first: &Look, last: &Look, window: Duration) -> Option<Duration> {
    let withheld = last.run_delay?.saturating_sub(first.run_delay?);
    if withheld > window.mul_f64(WITHHELD_MAX) {
        return None;
    }
    let rest = window.saturating_sub(withheld);
    let cpu = last.cpu.saturating_sub(first.cpu);
    let asleep = rest.saturating_sub(cpu);
    if asleep > window.mul_f64(UNEXPLAINED_MAX) {
        let sleeps = last.sleeps?.saturating_sub(first.sleeps?);
        if (sleeps as f64) < window.as_secs_f64() * SLEEPS_PER_SECOND {
            return None;
        }
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(500);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A worker with `tasks` in its queue, each polled for `poll`, seen for 1.25 s.
    fn worker(tasks: u64, poll: Duration) -> Vec<Look> {
        let look = |n: u32| Look {
            at: ms(250) * n,
            busy: ms(250) * n,
            polls: (ms(250) * n).div_duration_f64(poll) as u64,
            cpu: ms(249) * n,
            run_delay: Some(Duration::ZERO),
            sleeps: Some(0),
            queued: tasks,
        };
        (0..6).map(look).collect()
    }

    #[test]
    fn two_thousand_tasks_that_are_always_ready_starve_their_worker() {
        let starved = judge(&worker(2_000, ms(1)), LIMIT).expect("starved");
        assert_eq!((starved.window, starved.polls), (ms(1_250), 1_250));
        assert!(starved.wait.abs_diff(ms(2_000)) < ms(5), "{starved:?}");
        assert!(starved.poll.abs_diff(ms(1)) < Duration::from_micros(5));
    }

    #[test]
    fn many_short_polls_of_few_tasks_starve_nobody() {
        assert_eq!(judge(&worker(8, Duration::from_micros(20)), LIMIT), None);
    }

    #[test]
    fn a_burst_that_passes_is_none() {
        let mut looks = worker(2_000, ms(1));
        looks[3].queued = 40;
        assert_eq!(judge(&looks, LIMIT), None);
        assert_eq!(judge(&worker(2_000, ms(1))[..4], LIMIT), None, "0.75 s");
    }

    #[test]
    fn only_what_follows_a_short_queue_counts() {
        let mut looks = worker(2_000, ms(1));
        assert_eq!(kept_up(&looks, LIMIT), 0);
        looks[1].queued = 40;
        assert_eq!(kept_up(&looks, LIMIT), 2);
        assert_eq!(
            kept_up(&looks[..1], LIMIT),
            0,
            "one that waits may wait long"
        );
        looks[5].queued = 0;
        assert_eq!(kept_up(&looks, LIMIT), 6);
        assert_eq!(kept_up(&[], LIMIT), 0);
    }

    #[test]
    fn a_busy_machine_starves_nobody() {
        let mut looks = worker(2_000, ms(1));
        for (n, look) in (0..).zip(&mut looks) {
            look.run_delay = Some(ms(125) * n);
            look.cpu = ms(125) * n;
        }
        assert_eq!(judge(&looks, LIMIT), None);
        looks.iter_mut().for_each(|look| look.run_delay = None);
        assert_eq!(judge(&looks, LIMIT), None, "nobody knows");
    }

    #[test]
    fn time_that_a_hypervisor_took_is_not_the_programs() {
        let mut looks = worker(2_000, ms(1));
        for (n, look) in (0..).zip(&mut looks) {
            look.cpu = ms(100) * n;
        }
        assert_eq!(judge(&looks, LIMIT), None);
        for (n, look) in (0..).zip(&mut looks) {
            look.sleeps = Some(n * 200);
        }
        assert!(judge(&looks, LIMIT).is_some(), "short sleeps add up too");
    }

    #[test]
    fn a_pause_ends_it() {
        let looks = worker(1, ms(1));
        assert!(is_busy(&looks[0], &looks[1]));
        let idle = Look {
            busy: looks[1].busy + ms(100),
            ..looks[2]
        };
        assert!(!is_busy(&looks[1], &idle));
    }
}
