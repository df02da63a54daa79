//! Closures that wait because every thread of their pool is taken.

use std::time::Duration;

/// What a pool showed at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) at: Duration,
    pub(super) threads: usize,
    pub(super) idle: usize,
    /// Closures that wait for a thread.
    pub(super) queued: usize,
    /// Closures that have ended so far.
    pub(super) ended: u64,
}

/// A pool that is full, since when, and how full.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pressure(Option<Since>);

#[derive(Clone, Copy, Debug)]
struct Since {
    at: Duration,
    ended: u64,
    /// The fewest that waited.
    queued: usize,
}

/// What is told of a full pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Saturation {
    pub(super) threads: usize,
    pub(super) queued: usize,
    /// For how long it has been full without a pause.
    pub(super) lasted: Duration,
    /// How long a closure waits for its thread, at least.
    pub(super) wait: Duration,
}

impl Pressure {
    /// Takes another look; gives what it comes to if closures have to wait for `limit`.
    ///
    /// A queue that is never empty may still move on: how long one closure waits follows
    /// from how many end.
    pub(super) fn see(&mut self, now: Look, limit: Duration) -> Option<Saturation> {
        if now.queued == 0 || now.idle > 0 {
            self.0 = None;
            return None;
        }
        let since = self.0.get_or_insert(Since {
            at: now.at,
            ended: now.ended,
            queued: now.queued,
        });
        since.queued = since.queued.min(now.queued);
        let lasted = now.at.saturating_sub(since.at);
        let ended = now.ended.saturating_sub(since.ended);
        let wait = match ended {
            0 => lasted,
            _ => lasted.min(lasted.mul_f64(since.queued as f64 / ended as f64)),
        };
        (wait >= limit).then_some(Saturation {
            threads: now.threads,
            queued: since.queued,
            lasted,
            wait,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(500);

    fn look(at_ms: u64, idle: usize, queued: usize, ended: u64) -> Look {
        Look {
            at: Duration::from_millis(at_ms),
            threads: 4,
            idle,
            queued,
            ended,
        }
    }

    #[test]
    fn a_pool_that_stands_still_is_told_at_the_limit() {
        let mut pool = Pressure::default();
        assert_eq!(pool.see(look(0, 0, 7, 0), LIMIT), None);
        assert_eq!(pool.see(look(450, 0, 5, 0), LIMIT), None);
        let full = pool.see(look(500, 0, 9, 0), LIMIT).expect("full");
        assert_eq!((full.threads, full.queued), (4, 5));
        assert_eq!((full.lasted, full.wait), (LIMIT, LIMIT));
    }

    #[test]
    fn a_queue_that_moves_on_is_judged_by_one_closures_wait() {
        let mut pool = Pressure::default();
        pool.see(look(0, 0, 10, 0), LIMIT);
        assert_eq!(
            pool.see(look(1_000, 0, 10, 100), LIMIT),
            None,
            "100 ms each"
        );
        let mut pool = Pressure::default();
        pool.see(look(0, 0, 100, 0), LIMIT);
        let full = pool.see(look(1_000, 0, 100, 120), LIMIT).expect("full");
        assert_eq!(full.wait.as_millis(), 833);
    }

    #[test]
    fn a_pause_begins_anew() {
        let mut pool = Pressure::default();
        pool.see(look(0, 0, 5, 0), LIMIT);
        pool.see(look(300, 0, 0, 0), LIMIT);
        assert_eq!(pool.see(look(600, 0, 5, 0), LIMIT), None);
        pool.see(look(700, 1, 5, 0), LIMIT);
        assert_eq!(pool.see(look(1_150, 0, 5, 0), LIMIT), None);
    }
}
