//! How much time a thread has spent on a CPU, and waiting for one.

use std::time::Duration;

/// A thread's account since it began. The difference of two of them, taken
/// from the wall-clock time between, leaves what the thread spent asleep:
/// `wall = cpu + run_delay + blocked`.
///
/// ```
/// let thread = asyncwatch_stack::Thread::current();
/// let before = thread.usage_here();
/// std::hint::black_box((0..100_000).sum::<u64>());
/// let spent = thread.usage_here().since(before);
/// assert!(spent.cpu >= std::time::Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Usage {
    /// Time on a CPU, in user code and in the kernel. Exact even while the
    /// thread runs.
    pub cpu: Duration,
    /// Time spent ready to run while others had the CPU; what the current wait
    /// has taken so far comes in only when it ends. `None` where the kernel
    /// keeps no scheduler statistics.
    pub run_delay: Option<Duration>,
}

impl Usage {
    /// What was used between `earlier` and this account.
    #[must_use]
    pub fn since(self, earlier: Usage) -> Usage {
        Usage {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            run_delay: self
                .run_delay
                .zip(earlier.run_delay)
                .map(|(now, then)| now.saturating_sub(then)),
        }
    }
}

/// What a thread has waited for so far, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Waits {
    /// How often it has gone to sleep of its own accord: in a system call, or for a
    /// page.
    pub sleeps: u64,
    /// Its page faults.
    pub faults: Faults,
}

/// Accesses to memory that was not there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Faults {
    /// Those that cost CPU time only: fresh memory, or a page that another process
    /// had loaded.
    pub minor: u64,
    /// Those that waited for a disk: files that are mapped, memory that was swapped out.
    pub major: u64,
}

impl Faults {
    /// Those between `earlier` and now.
    #[must_use]
    pub fn since(self, earlier: Faults) -> Faults {
        Faults {
            minor: self.minor.saturating_sub(earlier.minor),
            major: self.major.saturating_sub(earlier.major),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Usage;
    use std::time::Duration;

    fn usage(cpu: u64, run_delay: Option<u64>) -> Usage {
        Usage {
            cpu: Duration::from_millis(cpu),
            run_delay: run_delay.map(Duration::from_millis),
        }
    }

    #[test]
    fn accounts_are_subtracted_field_by_field() {
        assert_eq!(
            usage(9, Some(5)).since(usage(2, Some(1))),
            usage(7, Some(4))
        );
    }

    #[test]
    fn an_unknown_delay_stays_unknown() {
        assert_eq!(usage(9, Some(5)).since(usage(2, None)), usage(7, None));
        assert_eq!(usage(9, None).since(usage(2, Some(1))), usage(7, None));
    }
}
