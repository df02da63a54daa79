//! What the kernel's account of a thread says about it, from one look to the next.
//!
//! Pure, on times that are handed in. A look takes the time right before and right
//! after it reads the account, so that nothing here depends on how late a look is: a
//! machine without a free CPU makes looks rarer, never wrong.

use std::time::{Duration, Instant};

use asyncwatch_stack::outside::Account;

/// One reading of an account.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) before: Instant,
    pub(super) after: Instant,
    pub(super) account: Account,
}

/// What a thread did since the last look, by its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gait {
    /// It has not run for so long, at least: it sleeps, or waits for a CPU.
    Still(Duration),
    /// It ran, and hardly slept.
    Busy,
    /// It ran and slept.
    Moved,
}

/// A thread that is looked at again and again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Follower {
    last: Reading,
    /// The first reading that had the account of the last one was over then.
    since: Instant,
    /// It was asleep then, and has not run since.
    asleep_at: Option<Instant>,
    /// How long it has waited for a CPU, as far as that is believed.
    waited: Duration,
}

/// From this part of the time on, a thread that had a CPU or waited for one is busy, in
/// tenths. Not all: the kernel's account is up to 4 ms old.
const BUSY_TENTHS: u32 = 6;

impl Follower {
    pub(super) fn new(reading: Reading) -> Follower {
        Follower {
            last: reading,
            since: reading.after,
            asleep_at: None,
            waited: reading.account.run_delay,
        }
    }

    pub(super) fn take(&mut self, reading: Reading) -> Gait {
        let last = std::mem::replace(&mut self.last, reading);
        if reading.account == last.account {
            return Gait::Still(reading.before.saturating_duration_since(self.since));
        }
        self.since = reading.after;
        let mut waited = (reading.account.run_delay).saturating_sub(last.account.run_delay);
        if let Some(at) = self.asleep_at.take() {
            // Some kernels count a sleep as a wait for a CPU: it did not wait while it slept.
            waited = waited.min(reading.after.saturating_duration_since(at));
        }
        self.waited += waited;
        let used = reading.account.cpu.saturating_sub(last.account.cpu) + waited;
        let passed = reading.before.saturating_duration_since(last.before);
        if used * 10 >= passed * BUSY_TENTHS {
            Gait::Busy
        } else {
            Gait::Moved
        }
    }

    /// It was seen asleep after the last reading.
    pub(super) fn sleeps(&mut self, at: Instant) {
        self.asleep_at = Some(at);
    }

    /// How long it has waited for a CPU, up to the last reading. The kernel counts a wait
    /// when it is over; one that has never run has waited for its first turn all the time.
    pub(super) fn waited(&self) -> Duration {
        let first = match self.last.account.cpu.is_zero() {
            true => self.last.before.saturating_duration_since(self.since),
            false => Duration::ZERO,
        };
        self.waited + first
    }

    /// Since when it has not run, at the latest.
    pub(super) fn since(&self) -> Instant {
        self.since
    }
}

/// The time of a poll, as far as it is certain, without the part in which those that it
/// may have waited for had no CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) wall: Duration,
    pub(super) cpu: Duration,
    pub(super) blocked: Duration,
    pub(super) run_delay: Duration,
}

impl Time {
    /// What counts against the limit.
    pub(super) fn own(&self) -> Duration {
        self.cpu + self.blocked
    }

    /// When others were ready to run for `starved` without a CPU meanwhile.
    pub(super) fn sparing(self, starved: Duration) -> Time {
        let starved = starved.min(self.blocked);
        Time {
            blocked: self.blocked - starved,
            run_delay: self.run_delay + starved,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn account(cpu: u32, run_delay: u32, turns: u64) -> Account {
        Account {
            cpu: MS * cpu,
            run_delay: MS * run_delay,
            turns,
        }
    }

    /// One that takes a millisecond.
    fn reading(start: Instant, at: u32, account: Account) -> Reading {
        Reading {
            before: start + MS * at,
            after: start + MS * (at + 1),
            account,
        }
    }

    fn gaits(start: Instant, readings: &[(u32, Account)]) -> Vec<Gait> {
        let mut readings = (readings.iter()).map(|&(at, account)| reading(start, at, account));
        let mut follower = Follower::new(readings.next().expect("one"));
        readings.map(|each| follower.take(each)).collect()
    }

    #[test]
    fn a_sleep_is_as_long_as_it_is_certain() {
        let asleep = account(5, 0, 3);
        let woken = account(6, 0, 4);
        let seen = gaits(
            Instant::now(),
            &[
                (0, asleep),
                (10, asleep),
                (25, asleep),
                (30, woken),
                (35, woken),
            ],
        );
        assert_eq!(seen[..2], [Gait::Still(MS * 9), Gait::Still(MS * 24)]);
        assert_eq!(seen[3], Gait::Still(MS * 4));
    }

    #[test]
    fn a_late_look_makes_no_sleep_longer() {
        // It ran between two looks that are a second apart.
        let seen = gaits(
            Instant::now(),
            &[
                (0, account(5, 0, 3)),
                (1_000, account(6, 0, 4)),
                (1_010, account(6, 0, 4)),
            ],
        );
        assert_eq!(seen, [Gait::Moved, Gait::Still(MS * 9)]);
    }

    #[test]
    fn who_never_ran_waits_for_a_first_turn() {
        let start = Instant::now();
        let mut follower = Follower::new(reading(start, 0, account(0, 0, 0)));
        follower.take(reading(start, 91, account(0, 0, 0)));
        assert_eq!(follower.waited(), MS * 90);
        follower.take(reading(start, 95, account(1, 94, 1)));
        assert_eq!(follower.waited(), MS * 94);
    }

    #[test]
    fn who_was_asleep_did_not_wait_for_a_cpu() {
        let start = Instant::now();
        let mut follower = Follower::new(reading(start, 0, account(5, 10, 3)));
        follower.take(reading(start, 199, account(5, 10, 3)));
        follower.sleeps(start + MS * 200);
        // All of the sleep was counted as a wait.
        follower.take(reading(start, 229, account(6, 235, 4)));
        assert_eq!(follower.waited(), MS * 40);
        // It has run since: what is counted now is believed.
        follower.take(reading(start, 299, account(7, 295, 5)));
        assert_eq!(follower.waited(), MS * 100);
    }

    #[test]
    fn who_has_a_cpu_or_waits_for_one_is_busy() {
        let busy = gaits(
            Instant::now(),
            &[
                (0, account(0, 0, 1)),
                (10, account(8, 0, 1)),
                (20, account(10, 8, 2)),
                (30, account(11, 8, 9)),
            ],
        );
        assert_eq!(busy, [Gait::Busy, Gait::Busy, Gait::Moved]);
    }

    #[test]
    fn what_others_waited_for_is_not_blocked() {
        let time = Time {
            wall: MS * 50,
            cpu: MS * 2,
            blocked: MS * 40,
            run_delay: MS * 8,
        };
        assert_eq!(time.own(), MS * 42);
        let spared = time.sparing(MS * 30);
        assert_eq!((spared.blocked, spared.run_delay), (MS * 10, MS * 38));
        assert_eq!(time.sparing(MS * 90).own(), MS * 2);
    }
}
