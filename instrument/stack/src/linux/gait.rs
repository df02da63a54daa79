//! Whether a thread that is ready to run really runs.
//!
//! The kernel calls a thread running from the moment it is woken, while it is
//! still inside the call that it slept in and waits for a CPU. A signal at that
//! moment makes the call fail. So a thread counts as running only if between
//! two looks it has used a CPU for longer than leaving a call takes, and what
//! it has not used it has spent waiting for one: there is no time left in
//! which it could have slept.

use super::accounts::Place;
use super::thread::Thread;
use crate::{Still, Usage};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two looks; the kernel adds some 50 µs. Threads that run for less
/// than this at a time are found asleep instead.
const NAP: Duration = Duration::from_micros(150);
/// Longer than it takes to leave any call that was only woken.
const USED_MIN: Duration = Duration::from_micros(30);
/// The looks themselves take this long, and the last wait for a CPU is counted
/// only when it is over.
const SLACK: Duration = Duration::from_micros(15);
/// Longer than a time slice, so that a thread which waits for a CPU mostly
/// gets its turn.
const WATCH_TIME_MAX: Duration = Duration::from_millis(20);
/// Having used this much without being seen asleep will do, too: for kernels
/// that do not count the time spent waiting.
const USED_AFTER_ALL_MIN: Duration = Duration::from_millis(2);

/// How a thread goes about its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gait {
    /// It has been on a CPU for a while.
    Running,
    /// It went to sleep, or ended.
    Stopped,
    /// It is ready to run and gets no CPU.
    Starved,
    /// What it was watched for is over.
    Stale,
}

/// Watches a thread that was just found ready to run.
pub(super) fn watch(thread: &Thread, still: Still) -> Gait {
    let Some(first) = Look::at(thread) else {
        return Gait::Stopped;
    };
    let mut before = first;
    loop {
        sleep(NAP);
        if !still.holds() {
            return Gait::Stale;
        }
        let Some(now) = Look::at_ready(thread) else {
            return Gait::Stopped;
        };
        if now.has_run_since(before) {
            return Gait::Running;
        }
        if now.when - first.when >= WATCH_TIME_MAX {
            return now.after_all(first);
        }
        before = now;
    }
}

/// A thread's account at one moment.
#[derive(Clone, Copy, Debug)]
struct Look {
    when: Instant,
    usage: Usage,
}

impl Look {
    fn at(thread: &Thread) -> Option<Look> {
        let when = Instant::now();
        let usage = thread.usage()?;
        Some(Look { when, usage })
    }

    fn at_ready(thread: &Thread) -> Option<Look> {
        match thread.place() {
            Place::Running => Look::at(thread),
            _ => None,
        }
    }

    /// Whether it ran in between and cannot have slept.
    fn has_run_since(self, before: Look) -> bool {
        let spent = self.usage.since(before.usage);
        let awake = spent.cpu + spent.run_delay.unwrap_or_default();
        spent.cpu >= USED_MIN && awake + SLACK >= self.when - before.when
    }

    fn after_all(self, first: Look) -> Gait {
        match self.usage.since(first.usage).cpu >= USED_AFTER_ALL_MIN {
            true => Gait::Running,
            false => Gait::Starved,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Gait, Look, watch};
    use crate::{Still, Thread, Usage};
    use std::hint::spin_loop;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::sync::mpsc;
    use std::thread;
    use std::time::{Duration, Instant};

    /// Looks at a thread 100 µs apart that used and waited so much in between.
    fn looks(cpu_us: u64, run_delay_us: Option<u64>) -> (Look, Look) {
        let before = Look {
            when: Instant::now(),
            usage: Usage {
                cpu: Duration::ZERO,
                run_delay: Some(Duration::ZERO),
            },
        };
        let now = Look {
            when: before.when + Duration::from_micros(100),
            usage: Usage {
                cpu: Duration::from_micros(cpu_us),
                run_delay: run_delay_us.map(Duration::from_micros),
            },
        };
        (before, now)
    }

    #[test]
    fn one_that_had_no_time_to_sleep_has_run() {
        for (cpu_us, run_delay_us) in [(100, Some(0)), (60, Some(40)), (90, None)] {
            let (before, now) = looks(cpu_us, run_delay_us);
            assert!(now.has_run_since(before), "{cpu_us} {run_delay_us:?}");
        }
    }

    #[test]
    fn one_that_may_have_slept_or_only_waited_has_not() {
        for (cpu_us, run_delay_us) in [(40, Some(10)), (5, Some(95)), (0, Some(0)), (60, None)] {
            let (before, now) = looks(cpu_us, run_delay_us);
            assert!(!now.has_run_since(before), "{cpu_us} {run_delay_us:?}");
        }
    }

    #[test]
    fn one_that_was_never_seen_asleep_and_used_the_cpu_was_running() {
        let (first, last) = looks(9_000, None);
        assert_eq!(last.after_all(first), Gait::Running);
        let (first, last) = looks(90, Some(0));
        assert_eq!(last.after_all(first), Gait::Starved);
    }

    #[test]
    fn a_burner_runs_or_starves_and_a_sleeper_does_neither() {
        static SEQ: AtomicU64 = AtomicU64::new(1);
        static STOP: AtomicBool = AtomicBool::new(false);
        let still = Still {
            seq: &SEQ,
            expected: 1,
        };
        let (send, receive) = mpsc::channel();
        let handle = thread::spawn(move || {
            send.send(Thread::current()).expect("the test waits for it");
            while !STOP.load(Ordering::Relaxed) {
                spin_loop();
            }
            thread::park();
        });
        let thread = receive.recv().expect("it introduces itself");
        while watch(&thread, still) != Gait::Running {}
        let over = Still {
            expected: 2,
            ..still
        };
        assert_eq!(watch(&thread, over), Gait::Stale);
        STOP.store(true, Ordering::Relaxed);
        while watch(&thread, still) != Gait::Stopped {}
        handle.thread().unpark();
        handle.join().expect("it cannot fail");
    }
}
