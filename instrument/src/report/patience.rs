//! How long a program that ends waits for its findings to be named and written.

use std::time::Duration;

use crate::FINISH_WAIT;

/// With a report to be written, in all: the first names in a large debug build take
/// seconds on an idle machine, and many times as long on a busy one.
const REPORT_WAIT_MAX: Duration = Duration::from_secs(60);

/// Waits for as long as something gets done, within bounds.
#[derive(Debug)]
pub(super) struct Patience {
    /// While nothing gets done.
    idle_max: Duration,
    most: Duration,
    /// When something was last seen to be done, since the wait began, and what that was.
    last: (Duration, Progress),
}

/// What the reporter had done by one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) events: u64,
    /// Its thread's, where that is known. Looking up names is one long computation.
    pub(super) cpu: Duration,
}

impl Patience {
    /// `reports`: somebody waits for the report that the program writes.
    pub(super) fn new(reports: bool) -> Patience {
        Patience {
            idle_max: FINISH_WAIT,
            most: if reports {
                REPORT_WAIT_MAX
            } else {
                FINISH_WAIT
            },
            last: (Duration::ZERO, Progress::default()),
        }
    }

    /// Whether it has run out, `waited` after the wait began.
    pub(super) fn is_over(&mut self, waited: Duration, now: Progress) -> bool {
        let (since, before) = self.last;
        if now != before {
            self.last = (waited, now);
        }
        let idle = if now == before {
            waited.saturating_sub(since)
        } else {
            Duration::ZERO
        };
        waited >= self.most || idle >= self.idle_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(events: u64, cpu: u64) -> Progress {
        Progress {
            events,
            cpu: Duration::from_millis(cpu),
        }
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_report_is_waited_for_while_it_gets_on() {
        let mut patience = Patience::new(true);
        assert!(!patience.is_over(s(4), done(0, 0)));
        assert!(!patience.is_over(s(8), done(0, 3)), "it computes");
        assert!(!patience.is_over(s(12), done(1, 3)), "one is done");
        assert!(!patience.is_over(s(16), done(1, 3)));
        assert!(patience.is_over(s(17), done(1, 3)), "it is stuck");
    }

    #[test]
    fn nothing_is_waited_for_without_end() {
        let mut patience = Patience::new(true);
        assert!(!patience.is_over(s(59), done(8, 9)));
        assert!(patience.is_over(s(60), done(9, 9)));
        let mut without_report = Patience::new(false);
        assert!(!without_report.is_over(s(4), done(1, 1)));
        assert!(without_report.is_over(s(5), done(2, 2)));
    }
}
