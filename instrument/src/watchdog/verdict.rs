//! Why a poll took long: pure arithmetic over what the kernel accounted.
//!
//! `wall = cpu + run_delay + blocked`: on a CPU, runnable but without one, and the
//! rest, which is waiting for something else. Only what the program itself causes
//! counts against the limit; a machine that had no CPU to give is nobody's fault.
//!
//! The rest is not always waiting. A virtual machine's CPU can itself be taken away,
//! and such stolen time is in no account. So a poll counts as blocked only if its
//! thread went to sleep: once for certain if it was seen asleep, else often enough
//! that a few close looks could have missed every sleep. Where all stacks that were
//! taken show it at work, the reporter takes back what was blocked.

use std::time::Duration;

use asyncwatch_findings::Class;

/// The time of one poll, or of the part of it that has passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accounting {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    /// `None` where the kernel does not tell (no schedstat).
    pub(crate) run_delay: Option<Duration>,
    /// How often the thread went to sleep, where that is known.
    pub(crate) sleeps: Option<u64>,
    /// How often the watchdog looked at it closely.
    pub(crate) looks: u64,
    /// Whether one of the looks found it asleep.
    pub(crate) seen_asleep: bool,
}

impl Accounting {
    /// Whether its thread can have been asleep for long.
    fn slept(&self) -> bool {
        match self.sleeps {
            _ if self.seen_asleep => true,
            Some(sleeps) => sleeps > self.looks,
            // Nobody counts sleeps here: the run delay has to do.
            None => self.run_delay.is_some(),
        }
    }
}

/// What to make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) class: Class,
    pub(crate) cpu: Duration,
    pub(crate) blocked: Duration,
    pub(crate) run_delay: Option<Duration>,
    /// The time is off-CPU, and whether it was the program's or the machine's doing
    /// is not known.
    pub(crate) cause_unknown: bool,
}

impl Verdict {
    /// Whether the program is to blame.
    pub(crate) fn is_guilty(&self) -> bool {
        self.class != Class::Descheduled
    }

    /// The verdict when `excused` of the time does not count: first of the blocked
    /// part, then of the computing one.
    pub(crate) fn without(self, excused: Duration, limit: Duration) -> Verdict {
        let blocked = self.blocked.saturating_sub(excused);
        let cpu = self.cpu.saturating_sub(excused - (self.blocked - blocked));
        Verdict {
            class: classify(cpu, blocked, limit),
            cpu,
            blocked,
            ..self
        }
    }

    /// The verdict when it is certain to have been asleep for `asleep` in all.
    ///
    /// Since Linux 6.12 a thread that goes to sleep may stay on the run queue for a while.
    /// If it is moved to another CPU meanwhile, its whole sleep is accounted as a wait for
    /// a CPU once it is over. While it sleeps, its account is still right.
    pub(crate) fn asleep_for(self, asleep: Duration, limit: Duration) -> Verdict {
        let wrong = asleep.saturating_sub(self.blocked);
        let delay = self.run_delay.unwrap_or_default();
        let wrong = wrong.min(delay);
        let blocked = self.blocked + wrong;
        Verdict {
            class: classify(self.cpu, blocked, limit),
            blocked,
            run_delay: self.run_delay.map(|delay| delay - wrong),
            ..self
        }
    }

    /// The verdict when other threads of the program were ready to run for `starved`
    /// without a CPU while this one waited for one of them: that was waiting for a CPU,
    /// too.
    pub(crate) fn sparing(self, starved: Duration, limit: Duration) -> Verdict {
        let starved = starved.min(self.blocked);
        let blocked = self.blocked - starved;
        Verdict {
            class: classify(self.cpu, blocked, limit),
            blocked,
            run_delay: self.run_delay.map(|delay| delay + starved),
            ..self
        }
    }
}

fn classify(cpu: Duration, blocked: Duration, limit: Duration) -> Class {
    if cpu >= limit {
        Class::Cpu
    } else if blocked >= limit {
        Class::Blocked
    } else if cpu + blocked >= limit {
        Class::Mixed
    } else {
        Class::Descheduled
    }
}

/// Judges a poll that took at least `limit`.
pub(crate) fn judge(time: Accounting, limit: Duration) -> Verdict {
    let cpu = time.cpu.min(time.wall);
    let rest = time.wall - cpu;
    let (blocked, cause_unknown) = match time.run_delay {
        Some(delay) if time.slept() => (rest.saturating_sub(delay), false),
        None if time.slept() => (rest, false),
        // Taken from the program by the machine, as far as anybody can tell.
        Some(_) => (Duration::ZERO, false),
        None => (Duration::ZERO, rest >= limit),
    };
    Verdict {
        class: classify(cpu, blocked, limit),
        cpu,
        blocked,
        run_delay: time.run_delay,
        cause_unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(100);

    fn class(wall: u64, cpu: u64, run_delay: u64) -> Class {
        judge(
            Accounting {
                wall: Duration::from_millis(wall),
                cpu: Duration::from_millis(cpu),
                run_delay: Some(Duration::from_millis(run_delay)),
                sleeps: Some(1),
                looks: 0,
                seen_asleep: false,
            },
            LIMIT,
        )
        .class
    }

    #[test]
    fn each_class_has_its_case() {
        assert_eq!(class(300, 300, 0), Class::Cpu);
        assert_eq!(class(300, 1, 0), Class::Blocked);
        assert_eq!(class(120, 60, 0), Class::Mixed);
        assert_eq!(class(300, 6, 294), Class::Descheduled);
    }

    #[test]
    fn a_lock_whose_holder_has_no_cpu_is_the_machines_affair() {
        let ms = Duration::from_millis;
        let waited = judge(
            Accounting {
                wall: ms(300),
                cpu: ms(10),
                run_delay: Some(ms(20)),
                seen_asleep: true,
                ..Accounting::default()
            },
            LIMIT,
        );
        assert_eq!(waited.class, Class::Blocked);
        let spared = waited.sparing(ms(200), LIMIT);
        assert_eq!(spared.class, Class::Descheduled);
        assert_eq!((spared.blocked, spared.run_delay), (ms(70), Some(ms(220))));
        assert_eq!(waited.sparing(ms(100), LIMIT).class, Class::Blocked);
        assert_eq!(waited.sparing(ms(900), LIMIT).blocked, Duration::ZERO);
    }

    #[test]
    fn a_sleep_that_was_seen_is_no_wait_for_a_cpu() {
        let ms = Duration::from_millis;
        let told = judge(
            Accounting {
                wall: ms(231),
                cpu: ms(1),
                run_delay: Some(ms(228)),
                seen_asleep: true,
                ..Accounting::default()
            },
            LIMIT,
        );
        assert_eq!(told.class, Class::Descheduled);
        let seen = told.asleep_for(ms(220), LIMIT);
        assert_eq!(seen.class, Class::Blocked);
        assert_eq!((seen.blocked, seen.run_delay), (ms(220), Some(ms(10))));
        // What is in the account already is not counted twice.
        assert_eq!(told.asleep_for(ms(2), LIMIT), told);
        assert_eq!(told.asleep_for(ms(900), LIMIT).blocked, ms(230));
    }

    #[test]
    fn the_limit_itself_is_reached() {
        assert_eq!(class(100, 100, 0), Class::Cpu);
        assert_eq!(class(100, 0, 0), Class::Blocked);
        assert_eq!(class(100, 40, 0), Class::Mixed);
    }

    #[test]
    fn a_busy_machine_alone_never_makes_guilty() {
        for wall in 100..1_000 {
            // 99 ms of its own, all the rest waiting for a CPU.
            assert_eq!(class(wall, 50, wall.saturating_sub(99)), Class::Descheduled);
        }
    }

    #[test]
    fn more_cpu_or_delay_than_wall_is_harmless() {
        assert_eq!(class(100, 150, 20), Class::Cpu);
        assert_eq!(class(100, 10, 500), Class::Descheduled);
    }

    #[test]
    fn excused_time_is_taken_out_of_the_blocked_part_first() {
        let verdict = judge(
            Accounting {
                wall: Duration::from_millis(400),
                cpu: Duration::from_millis(80),
                run_delay: Some(Duration::from_millis(70)),
                sleeps: Some(1),
                looks: 4,
                seen_asleep: true,
            },
            LIMIT,
        );
        assert_eq!(verdict.class, Class::Blocked);
        let rest = verdict.without(Duration::from_millis(240), LIMIT);
        assert_eq!(rest.blocked, Duration::from_millis(10));
        assert_eq!(rest.cpu, Duration::from_millis(80));
        assert_eq!(rest.class, Class::Descheduled);
        let none = verdict.without(Duration::from_millis(300), LIMIT);
        assert_eq!(
            (none.blocked, none.cpu),
            (Duration::ZERO, Duration::from_millis(30))
        );
    }

    #[test]
    fn stolen_time_is_not_blocked_time() {
        let stolen = Accounting {
            wall: Duration::from_millis(102),
            cpu: Duration::from_micros(266),
            run_delay: Some(Duration::ZERO),
            sleeps: Some(0),
            looks: 4,
            seen_asleep: false,
        };
        assert_eq!(judge(stolen, LIMIT).class, Class::Descheduled);
        // One short sleep that no look met does not explain 100 ms, either.
        let one_sleep = Accounting {
            sleeps: Some(1),
            ..stolen
        };
        assert_eq!(judge(one_sleep, LIMIT).class, Class::Descheduled);
        let many_sleeps = Accounting {
            sleeps: Some(500),
            ..stolen
        };
        assert_eq!(judge(many_sleeps, LIMIT).class, Class::Blocked);
        let seen = Accounting {
            sleeps: Some(1),
            seen_asleep: true,
            ..stolen
        };
        assert_eq!(judge(seen, LIMIT).class, Class::Blocked);
        // The watchdog itself was late and never looked: the accounts decide.
        let never_looked = Accounting {
            sleeps: Some(1),
            looks: 0,
            ..stolen
        };
        assert_eq!(judge(never_looked, LIMIT).class, Class::Blocked);
    }

    #[test]
    fn without_run_delay_only_what_was_seen_counts() {
        let time = Accounting {
            wall: Duration::from_millis(300),
            cpu: Duration::from_millis(1),
            run_delay: None,
            sleeps: None,
            looks: 1,
            seen_asleep: true,
        };
        assert_eq!(judge(time, LIMIT).class, Class::Blocked);
        let unseen = judge(
            Accounting {
                seen_asleep: false,
                ..time
            },
            LIMIT,
        );
        assert_eq!(unseen.class, Class::Descheduled);
        assert!(unseen.cause_unknown);
    }
}
