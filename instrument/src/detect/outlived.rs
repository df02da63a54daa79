//! Runtimes that shut down while closures on their blocking pool go on.
//!
//! Of `main` and of tests it is known when they let go of their runtime. Another
//! multi-thread runtime has shut down when its workers are gone: they live as long as it
//! does.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::pool::Crew;
use crate::{clock, clock::Ticks};

static ENDING: Mutex<Vec<(u64, Ticks)>> = Mutex::new(Vec::new());

/// Runs `shut_down`, during which `runtime` is known to end.
pub(crate) fn while_ending(runtime: u64, shut_down: impl FnOnce()) {
    lock().push((runtime, clock::now()));
    shut_down();
    lock().retain(|(ending, _)| *ending != runtime);
}

/// The runtimes that are being dropped, and since when.
pub(super) fn ending() -> Vec<(u64, Duration)> {
    let ending = lock().clone();
    let since = |(runtime, began)| (runtime, clock::to_duration(began));
    ending.into_iter().map(since).collect()
}

fn lock() -> MutexGuard<'static, Vec<(u64, Ticks)>> {
    ENDING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is known of the ends of runtimes.
#[derive(Debug, Default)]
pub(super) struct Shutdowns(HashMap<u64, Course>);

#[derive(Clone, Copy, Debug, Default)]
struct Course {
    had_workers: bool,
    /// Since when it is known to end.
    since: Option<Duration>,
    told: bool,
}

impl Shutdowns {
    /// The runtimes whose end has taken `limit` just now, with the time it has taken.
    pub(super) fn look(
        &mut self,
        crews: &[Crew],
        ending: &[(u64, Duration)],
        now: Duration,
        limit: Duration,
    ) -> Vec<(u64, Duration)> {
        self.0
            .retain(|runtime, _| crews.iter().any(|crew| crew.runtime == *runtime));
        let mut late = Vec::new();
        for crew in crews {
            let course = self.0.entry(crew.runtime).or_default();
            course.had_workers |= crew.workers > 0;
            let told_of = ending.iter().find(|(runtime, _)| *runtime == crew.runtime);
            course.since = match told_of {
                Some((_, since)) => Some(*since),
                None if course.had_workers && crew.workers == 0 => course.since.or(Some(now)),
                None => None,
            };
            let lasted = course.since.map(|since| now.saturating_sub(since));
            if let Some(lasted) = lasted.filter(|lasted| *lasted >= limit)
                && crew.others > 0
                && !course.told
            {
                course.told = true;
                late.push((crew.runtime, lasted));
            }
        }
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(500);

    fn crew(workers: usize, others: usize) -> [Crew; 1] {
        [Crew {
            runtime: 1,
            workers,
            others,
        }]
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_drop_that_waits_is_told_once() {
        let mut shutdowns = Shutdowns::default();
        let mut look = |at, others| shutdowns.look(&crew(0, others), &[(1, ms(100))], at, LIMIT);
        assert_eq!(look(ms(550), 2), []);
        assert_eq!(look(ms(600), 2), [(1, LIMIT)]);
        assert_eq!(look(ms(1_200), 2), []);
    }

    #[test]
    fn workers_that_are_gone_tell_of_a_shutdown() {
        let mut shutdowns = Shutdowns::default();
        assert_eq!(shutdowns.look(&crew(2, 1), &[], ms(0), LIMIT), []);
        assert_eq!(shutdowns.look(&crew(0, 1), &[], ms(50), LIMIT), []);
        assert_eq!(
            shutdowns.look(&crew(0, 1), &[], ms(550), LIMIT),
            [(1, LIMIT)]
        );
    }

    #[test]
    fn a_runtime_without_workers_need_not_end() {
        let mut shutdowns = Shutdowns::default();
        assert_eq!(shutdowns.look(&crew(0, 1), &[], ms(0), LIMIT), []);
        assert_eq!(shutdowns.look(&crew(0, 1), &[], ms(900), LIMIT), []);
    }

    #[test]
    fn closures_that_end_in_time_are_nobodys_fault() {
        let mut shutdowns = Shutdowns::default();
        shutdowns.look(&crew(2, 3), &[(1, ms(0))], ms(10), LIMIT);
        shutdowns.look(&crew(0, 1), &[(1, ms(0))], ms(450), LIMIT);
        assert_eq!(shutdowns.look(&[], &[], ms(500), LIMIT), []);
        assert_eq!(shutdowns.look(&crew(2, 1), &[], ms(600), LIMIT), []);
    }
}
