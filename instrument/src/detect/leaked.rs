//! Tasks that pile up: many of one spawn site, all of which were left waiting.
//!
//! What a task waits for is not known, so one that will be woken tomorrow looks like
//! one that never will. What is judged is therefore the picture: tasks that came one by
//! one, did little, and of which hardly any ever finished.

use std::time::Duration;

use super::idle::Resting;

/// At the end of a program a task must have been idle for so long.
const IDLE_AT_END: Duration = Duration::from_millis(150);
/// In a program that goes on, for so long.
const IDLE_IN_SERVICE: Duration = Duration::from_secs(600);
/// In a program that goes on, there must be so many times the limit of them.
const TIMES_IN_SERVICE: usize = 10;
/// Tasks spawned closer together were started together: a pool.
const MOMENT: Duration = Duration::from_millis(1);
/// The time over which the tasks came must be this part of the oldest one's age: a pool
/// that was started slowly comes at the beginning, and then no more.
const SPREAD: u32 = 20;
/// One that was polled more often did its work, and waits for more of it.
const POLLS_MAX: u64 = 16;

/// The living tasks of one spawn site.
#[derive(Clone, Debug, Default)]
pub(super) struct Site {
    pub(super) living: Vec<Resting>,
    /// Tasks of this site that came to their end by themselves.
    pub(super) finished: u64,
}

/// What is told of a leak.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Leak {
    pub(super) alive: usize,
    /// All that were spawned, without those that were aborted.
    pub(super) of: u64,
    pub(super) oldest: Duration,
    /// The one that was polled last has been idle for so long.
    pub(super) idle: Duration,
    /// The task that spawned all of them; 0 for none, or several.
    pub(super) parent: u64,
}

/// Judges a site when its program, or its runtime, has come to its end.
pub(super) fn at_end(site: &Site, limit: usize) -> Option<Leak> {
    judge(site, limit, IDLE_AT_END)
}

/// Judges a site while the program goes on.
pub(super) fn in_service(site: &Site, limit: usize) -> Option<Leak> {
    judge(
        site,
        limit.saturating_mul(TIMES_IN_SERVICE),
        IDLE_IN_SERVICE,
    )
}

fn judge(site: &Site, limit: usize, idle: Duration) -> Option<Leak> {
    let limit = limit.max(1);
    let alive = site.living.len();
    let few = alive < limit || (alive as u64) < site.finished;
    if few || !site.living.iter().all(|task| is_left_waiting(task, idle)) {
        return None;
    }
    let came_one_by_one = moments(&site.living) >= limit && spread(&site.living);
    came_one_by_one.then(|| Leak {
        alive,
        of: site.finished + alive as u64,
        oldest: oldest(&site.living),
        idle: site
            .living
            .iter()
            .map(|task| task.idle)
            .min()
            .unwrap_or_default(),
        parent: parent(&site.living),
    })
}

/// It began, did little, and has waited for longer than it did that.
fn is_left_waiting(task: &Resting, idle: Duration) -> bool {
    // The looks come too seldom to tell how soon after its spawn a first poll came.
    let active = match task.polls {
        1 => Duration::ZERO,
        _ => task.age.saturating_sub(task.idle),
    };
    (1..=POLLS_MAX).contains(&task.polls) && task.idle >= idle && task.idle >= active * 2
}

/// At how many moments tasks were spawned.
fn moments(tasks: &[Resting]) -> usize {
    let mut ages: Vec<Duration> = tasks.iter().map(|task| task.age).collect();
    ages.sort_unstable();
    let gaps = ages.windows(2).filter(|pair| pair[1] - pair[0] > MOMENT);
    1 + gaps.count()
}

fn spread(tasks: &[Resting]) -> bool {
    let youngest = tasks.iter().map(|task| task.age).min().unwrap_or_default();
    let oldest = oldest(tasks);
    (oldest - youngest) * SPREAD >= oldest
}

fn oldest(tasks: &[Resting]) -> Duration {
    tasks.iter().map(|task| task.age).max().unwrap_or_default()
}

fn parent(tasks: &[Resting]) -> u64 {
    let first = tasks.first().map_or(0, |task| task.parent);
    if tasks.iter().all(|task| task.parent == first) {
        first
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 10;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// `count` tasks, spawned `every` so many ms, the last one `ago`; idle ever since.
    fn readers(count: u64, every: u64, ago: u64) -> Site {
        let reader = |n| Resting {
            age: ms(ago + (count - 1 - n) * every),
            idle: ms(ago + (count - 1 - n) * every),
            polls: 1,
            parent: 3,
        };
        Site {
            living: (0..count).map(reader).collect(),
            finished: 0,
        }
    }

    #[test]
    fn readers_that_were_left_behind_are_a_leak() {
        let leak = at_end(&readers(25, 5, 300), LIMIT).expect("a leak");
        assert_eq!((leak.alive, leak.of, leak.parent), (25, 25, 3));
        assert_eq!((leak.oldest, leak.idle), (ms(420), ms(300)));
    }

    #[test]
    fn a_few_are_none() {
        assert_eq!(at_end(&readers(9, 5, 300), LIMIT), None);
    }

    #[test]
    fn a_pool_that_was_started_at_once_is_none() {
        let mut pool = readers(64, 0, 300);
        for (n, task) in pool.living.iter_mut().enumerate() {
            task.age += Duration::from_micros(n as u64 * 40);
        }
        assert_eq!(at_end(&pool, LIMIT), None);
    }

    #[test]
    fn a_pool_that_was_started_slowly_at_the_beginning_is_none() {
        assert_eq!(at_end(&readers(16, 5, 60_000), LIMIT), None);
    }

    #[test]
    fn one_that_is_still_active_speaks_for_all() {
        let mut connections = readers(25, 5, 300);
        connections.living[7].idle = ms(20);
        assert_eq!(at_end(&connections, LIMIT), None);
    }

    #[test]
    fn tasks_that_did_their_work_wait_for_more() {
        let mut connections = readers(25, 5, 300);
        for task in &mut connections.living {
            task.polls = 400;
        }
        assert_eq!(at_end(&connections, LIMIT), None);
        let mut sessions = readers(25, 5, 300);
        for task in &mut sessions.living {
            task.polls = 12;
            task.age += ms(5_000);
        }
        assert_eq!(
            at_end(&sessions, LIMIT),
            None,
            "active for 5 s, idle for 300 ms"
        );
    }

    #[test]
    fn tasks_that_were_never_polled_are_queued() {
        let mut queued = readers(25, 5, 300);
        queued.living[0].polls = 0;
        assert_eq!(at_end(&queued, LIMIT), None);
    }

    #[test]
    fn where_most_tasks_end_those_alive_are_the_newest() {
        let mut requests = readers(25, 5, 300);
        requests.finished = 26;
        assert_eq!(at_end(&requests, LIMIT), None);
        requests.finished = 25;
        assert_eq!(at_end(&requests, LIMIT).map(|leak| leak.of), Some(50));
    }

    #[test]
    fn a_service_is_given_more_time_and_more_tasks() {
        assert_eq!(in_service(&readers(100, 5_000, 300), LIMIT), None);
        assert_eq!(in_service(&readers(99, 5_000, 600_000), LIMIT), None);
        assert!(in_service(&readers(100, 5_000, 600_000), LIMIT).is_some());
    }
}
