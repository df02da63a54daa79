//! Since when tasks have been idle: since the end of their last poll or, where polls are
//! not timed, since the first look that found as many of them as the one after.

use std::{collections::HashMap, time::Duration};

use crate::{
    clock::{self, Ticks},
    registry::{sites::Site, slab, slots, task::Task},
    slow::TaskIdentity,
};

/// What the looks so far tell of every task, by the place of its entry.
#[derive(Default)]
pub(super) struct Idle(Vec<Seen>);

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    id: u64,
    polls: u64,
    /// When it was first seen with this count.
    since: Ticks,
}

/// The living tasks that one place has spawned on one runtime.
pub(super) struct Living {
    pub(super) site: &'static Site,
    /// 0 for tasks that were made outside of any.
    pub(super) runtime: u64,
    /// One of them.
    pub(super) example: TaskIdentity,
    pub(super) tasks: Vec<Resting>,
}

/// One living task of a site.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Resting {
    /// Since it was spawned.
    pub(super) age: Duration,
    /// For how long it has been neither polled nor woken, at least.
    pub(super) idle: Duration,
    pub(super) polls: u64,
    /// The task that spawned it; 0 for none.
    pub(super) parent: u64,
}

impl Idle {
    /// Looks at every task, and gives those of sites with at least `enough` living ones.
    pub(super) fn look(&mut self, enough: usize) -> Vec<Living> {
        let polled_now: Vec<u64> = slots::all()
            .filter_map(|slot| Task::from_ptr(slot.read()?.task))
            .map(Task::id)
            .collect();
        let mut living: HashMap<u32, usize> = HashMap::new();
        let now = clock::now();
        for task in slab::all() {
            let id = task.id();
            if id == 0 || !task.kind().is_spawned() {
                continue;
            }
            let index = task.index as usize;
            if self.0.len() <= index {
                self.0.resize(index + 1, Seen::default());
            }
            let active = task.is_woken() || polled_now.contains(&id);
            let polls = task.polls();
            self.0[index].update(id, polls, active, now);
            if let Some(end) = task.last_end().filter(|_| !active && task.polls() == polls) {
                self.0[index].since = end.min(now);
            }
            if let Some(site) = task.site() {
                *living.entry(site.id).or_default() += 1;
            }
        }
        living.retain(|_, count| *count >= enough);
        if living.is_empty() {
            return Vec::new();
        }
        self.of_sites(&living, now)
    }

    fn of_sites(&self, sites: &HashMap<u32, usize>, now: Ticks) -> Vec<Living> {
        let mut found: HashMap<(u32, u64), Living> = HashMap::new();
        for task in slab::all() {
            let Some(site) = task.site().filter(|site| sites.contains_key(&site.id)) else {
                continue;
            };
            let Some(seen) = self.0.get(task.index as usize) else {
                continue;
            };
            let resting = Resting {
                age: clock::to_duration(now.saturating_sub(task.spawned())),
                idle: clock::to_duration(now.saturating_sub(seen.since)),
                polls: seen.polls,
                parent: task.parent(),
            };
            let (runtime, example) = (task.runtime(), TaskIdentity::of(task));
            // It may have ended, and its entry be another's by now.
            if seen.id != 0 && task.id() == seen.id && !task.is_detached() {
                let living = found.entry((site.id, runtime)).or_insert(Living {
                    site,
                    runtime,
                    example,
                    tasks: Vec::new(),
                });
                living.tasks.push(resting);
            }
        }
        found.into_values().collect()
    }
}

impl Seen {
    fn update(&mut self, id: u64, polls: u64, active: bool, now: Ticks) {
        if active || self.id != id || self.polls != polls {
            *self = Seen {
                id,
                polls,
                since: now,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_idle_from_the_first_look_that_finds_no_new_poll() {
        let mut seen = Seen::default();
        seen.update(7, 1, false, 100);
        seen.update(7, 1, false, 200);
        assert_eq!(seen.since, 100);
        seen.update(7, 2, false, 300);
        assert_eq!(seen.since, 300, "it was polled");
        seen.update(7, 2, true, 400);
        assert_eq!(seen.since, 400, "it is polled now, or about to be");
        seen.update(8, 2, false, 500);
        assert_eq!(seen.since, 500, "its entry is another's");
    }
}
