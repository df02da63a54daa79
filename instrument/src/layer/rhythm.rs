//! Whether an interval makes up for missed ticks in a burst: pure arithmetic over the
//! times at which its ticks came.
//!
//! tokio tells neither the period of an interval nor how it treats missed ticks. Both
//! follow from its ticks: the period is the usual distance of two that were waited
//! for, and only an interval that bursts gives as many ticks at once as it missed.

use std::time::Duration;

use crate::clock::{self, Ticks};

/// Distances of which the middle one is taken for the period.
const DISTANCES: usize = 5;
/// The ticks of a burst come within this part of the time they stand for.
const BACK_TO_BACK: u64 = 4;
/// A shorter stall is nothing to speak of, however short the period: timers are late
/// by some milliseconds on any busy machine.
const STALL_MIN: Duration = Duration::from_millis(100);

/// What the ticks of one interval came to so far.
#[derive(Debug)]
pub(super) struct Rhythm {
    /// The last tick; at first, when the interval was made.
    last: Ticks,
    /// Ticks since one had to be waited for, itself included.
    at_once: u64,
    /// Those of them that came after the longest pause.
    run: Run,
    /// Before that there was a single one.
    single: bool,
    distances: [Ticks; DISTANCES],
    measured: usize,
    /// A run that is to be judged when the period is known.
    undecided: Option<Run>,
}

/// Ticks between which none had to be waited for.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    /// The tick before the pause that led to it.
    before: Ticks,
    first: Ticks,
    last: Ticks,
    ticks: u64,
}

impl Run {
    fn pause(self) -> Ticks {
        self.first.saturating_sub(self.before)
    }
}

/// Missed ticks that were made up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Burst {
    /// Ticks that came at once.
    pub(crate) ticks: u64,
    /// In which time they came.
    pub(crate) within: Duration,
    /// For how long there had been none.
    pub(crate) stall: Duration,
    pub(crate) period: Duration,
}

impl Rhythm {
    /// That of an interval made at `now`.
    pub(super) fn new(now: Ticks) -> Rhythm {
        Rhythm {
            last: now,
            at_once: 0,
            run: Run::default(),
            single: false,
            distances: [0; DISTANCES],
            measured: 0,
            undecided: None,
        }
    }

    /// A tick came.
    pub(super) fn tick(&mut self, now: Ticks) {
        let pause = now.saturating_sub(self.last);
        if self.at_once == 0 || pause > self.run.pause() {
            self.run = Run {
                before: self.last,
                first: now,
                last: now,
                ticks: 0,
            };
        }
        self.run.ticks += 1;
        self.run.last = now;
        self.last = now;
        self.at_once += 1;
    }

    /// No tick is due: tells whether those since the last wait were a burst, of
    /// `least` ticks or more.
    pub(super) fn wait(&mut self, least: u64) -> Option<Burst> {
        let single = match std::mem::take(&mut self.at_once) {
            0 => return None,
            ticks => ticks == 1,
        };
        let run = self.run;
        if single && self.single {
            self.measure(run.pause());
        }
        self.single = single;
        if run.ticks >= least.max(2) {
            self.undecided = Some(run);
        }
        let period = self.period()?;
        judge(self.undecided.take()?, period)
    }

    fn measure(&mut self, distance: Ticks) {
        self.distances[self.measured % DISTANCES] = distance;
        self.measured += 1;
    }

    fn period(&self) -> Option<Ticks> {
        let known = self.measured.min(DISTANCES);
        let mut distances = self.distances;
        let distances = &mut distances[..known];
        distances.sort_unstable();
        distances.get(known / 2).copied().filter(|&p| p > 0)
    }
}

fn judge(run: Run, period: Ticks) -> Option<Burst> {
    let within = run.last.saturating_sub(run.first);
    let stall = run.pause();
    let due = run.last.saturating_sub(run.before) / period;
    let back_to_back = within <= (run.ticks - 1) * period / BACK_TO_BACK;
    let stalled = stall >= period + clock::from_duration(STALL_MIN);
    // Of an interval that bursts none is left out; where the period is not exact, or
    // the last one before was late, they are not quite as many as computed.
    let made_up = due.abs_diff(run.ticks) <= (due / 4).max(2);
    (back_to_back && stalled && made_up).then(|| Burst {
        ticks: run.ticks,
        within: clock::to_duration(within),
        stall: clock::to_duration(stall),
        period: clock::to_duration(period),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn ticks(ms: u64) -> Ticks {
        clock::from_duration(Duration::from_nanos(ms * MS))
    }

    /// An interval as tokio's are, on a clock that is set by hand.
    struct Interval {
        rhythm: Rhythm,
        now: u64,
        due: u64,
        period: u64,
        missed: fn(due: u64, now: u64, period: u64) -> u64,
        bursts: Vec<Burst>,
    }

    fn burst(due: u64, _: u64, period: u64) -> u64 {
        due + period
    }

    fn delay(_: u64, now: u64, period: u64) -> u64 {
        now + period
    }

    fn skip(due: u64, now: u64, period: u64) -> u64 {
        now + period - (now - due) % period
    }

    impl Interval {
        fn every(period: u64, missed: fn(u64, u64, u64) -> u64) -> Interval {
            clock::measure();
            Interval {
                rhythm: Rhythm::new(ticks(0)),
                now: 0,
                due: 0,
                period,
                missed,
                bursts: Vec::new(),
            }
        }

        /// `n` ticks, after each of which `work` milliseconds pass.
        fn run(&mut self, n: usize, work: u64) -> &mut Interval {
            for _ in 0..n {
                if self.due > self.now {
                    self.bursts.extend(self.rhythm.wait(5));
                    self.now = self.due;
                }
                self.rhythm.tick(ticks(self.now));
                let late = self.now > self.due + 5;
                let next = if late { self.missed } else { burst };
                self.due = next(self.due, self.now, self.period);
                self.now += work;
            }
            self
        }

        fn stall(&mut self, ms: u64) -> &mut Interval {
            self.now += ms;
            self
        }
    }

    #[test]
    fn missed_ticks_made_up_for_are_a_burst() {
        let mut interval = Interval::every(50, burst);
        interval.run(5, 1).stall(1_000).run(30, 1);
        let [found] = interval.bursts[..] else {
            panic!("one burst: {:?}", interval.bursts);
        };
        assert!((19..=21).contains(&found.ticks), "{found:?}");
        assert!(found.period.abs_diff(Duration::from_millis(50)) < Duration::from_millis(1));
        assert!(found.stall >= Duration::from_millis(1_000));
    }

    #[test]
    fn a_burst_right_at_the_start_is_judged_when_the_period_is_known() {
        let mut interval = Interval::every(20, burst);
        interval.run(1, 0).stall(500).run(40, 0);
        assert_eq!(interval.bursts.len(), 1, "{:?}", interval.bursts);
    }

    #[test]
    fn delayed_and_skipped_ticks_are_not() {
        for missed in [delay, skip] {
            let mut interval = Interval::every(50, missed);
            for _ in 0..5 {
                interval.run(5, 1).stall(1_000);
            }
            assert_eq!(interval.run(20, 1).bursts, []);
        }
    }

    #[test]
    fn a_fast_interval_with_small_delays_is_not() {
        let mut interval = Interval::every(1, burst);
        for _ in 0..50 {
            interval.run(20, 0).stall(30);
        }
        assert_eq!(interval.bursts, []);
    }

    #[test]
    fn work_that_takes_longer_than_the_period_is_not() {
        let mut interval = Interval::every(10, burst);
        interval.run(10, 1).run(100, 15).run(200, 8);
        assert_eq!(interval.bursts, []);
    }

    #[test]
    fn too_few_ticks_are_not() {
        let mut interval = Interval::every(100, burst);
        interval.run(5, 1).stall(390).run(20, 1);
        assert_eq!(interval.bursts, []);
    }
}
