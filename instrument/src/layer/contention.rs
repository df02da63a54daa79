//! Whether tasks queue for a lock because its holders await something: pure
//! arithmetic over what the layer tells.
//!
//! A wait counts if it reaches the limit and if, for at least half of it, the lock was
//! held by tasks that were not being polled. A lock that is held while computing is no
//! contention but a slow poll, or none at all.

use std::{collections::HashMap, sync::Arc};

use asyncwatch_stack::RawStack;

use super::locks::{Held, Lock, Who};
use crate::clock::Ticks;

/// Locks with a queue that are looked at, of some 100 bytes for each that waits.
const QUEUES_MAX: usize = 1_024;
const WAITING_MAX: usize = 1_024;
/// Holders in turn that are remembered while somebody waits.
const HELD_MAX: usize = 256;
/// Waits that are over and not yet judged.
const OVER_MAX: usize = 64;

/// Everybody who queues.
#[derive(Debug, Default)]
pub(crate) struct Contention {
    queues: HashMap<u64, Queue>,
}

#[derive(Debug)]
struct Queue {
    lock: Arc<Lock>,
    waiting: Vec<Waiting>,
    /// As many as have queued at once.
    most: usize,
    held: Vec<Held>,
    over: Vec<Over>,
    /// The longest wait that was told; 0 if none was since the queue formed.
    told: Ticks,
}

#[derive(Clone, Debug)]
struct Waiting {
    attempt: u64,
    since: Ticks,
    who: Option<Who>,
    stack: Option<Box<RawStack>>,
}

/// A wait that is over. It is judged at the look after the next, when whoever held the
/// lock before has told so too.
#[derive(Debug)]
struct Over {
    wait: Waiting,
    until: Ticks,
    looks: u32,
}

/// A wait for a lock whose holder awaits.
#[derive(Debug)]
pub(crate) struct Contended {
    pub(crate) lock: Arc<Lock>,
    /// As many as have queued at once.
    pub(crate) waiting: usize,
    pub(crate) wait: Ticks,
    pub(crate) ongoing: bool,
    pub(crate) waiter: Option<Who>,
    /// Where it waits, or another one that queues for the same lock.
    pub(crate) stack: Option<Box<RawStack>>,
    /// Who held it longest without being polled.
    pub(crate) held: Held,
    /// How many held it meanwhile.
    pub(crate) holders: usize,
}

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) now: Ticks,
    /// From when on a wait counts.
    pub(crate) limit: Ticks,
    /// The program ends: nothing will be learned later.
    pub(crate) last: bool,
}

impl Contention {
    pub(crate) fn waits(
        &mut self,
        lock: Arc<Lock>,
        attempt: u64,
        at: Ticks,
        who: Option<Who>,
        stack: Option<Box<RawStack>>,
    ) {
        if self.queues.len() >= QUEUES_MAX && !self.queues.contains_key(&lock.number) {
            return;
        }
        let queue = self.queues.entry(lock.number).or_insert_with(|| Queue {
            lock,
            waiting: Vec::new(),
            most: 0,
            held: Vec::new(),
            over: Vec::new(),
            told: 0,
        });
        if queue.waiting.len() < WAITING_MAX {
            queue.waiting.push(Waiting {
                attempt,
                since: at,
                who,
                stack,
            });
        }
        queue.most = queue.most.max(queue.waiting.len());
    }

    pub(crate) fn wait_ends(&mut self, lock: u64, attempt: u64, at: Ticks) {
        let Some(queue) = self.queues.get_mut(&lock) else {
            return;
        };
        let ended = queue.waiting.iter().position(|w| w.attempt == attempt);
        if let Some(ended) = ended
            && queue.over.len() < OVER_MAX
        {
            queue.over.push(Over {
                wait: queue.waiting.remove(ended),
                until: at,
                looks: 0,
            });
        } else if let Some(ended) = ended {
            queue.waiting.remove(ended);
        }
    }

    pub(crate) fn released(&mut self, lock: u64, held: Held) {
        if let Some(queue) = self.queues.get_mut(&lock) {
            queue.released(held);
        }
    }

    /// Forgets everything: some of what was told is lost.
    pub(crate) fn forget(&mut self) {
        self.queues.clear();
    }

    /// The waits that count, one for each lock at most.
    ///
    /// One that goes on is told late, at twice the limit, as only its end shows who
    /// held the lock; and again when it has doubled.
    pub(crate) fn look(&mut self, look: Look) -> Vec<Contended> {
        let found = self
            .queues
            .values_mut()
            .filter_map(|queue| queue.look(look))
            .collect();
        self.queues
            .retain(|_, queue| !queue.waiting.is_empty() || !queue.over.is_empty());
        found
    }
}

impl Queue {
    fn released(&mut self, mut held: Held) {
        if self.held.len() == HELD_MAX {
            self.held.remove(0);
        }
        // Of many holders in turn, one is told.
        let longest = self.held.iter_mut().max_by_key(|held| held.idle);
        match longest {
            Some(longest) if longest.idle < held.idle => longest.awaits.clear(),
            Some(_) => held.awaits.clear(),
            None => {}
        }
        self.held.push(held);
    }

    fn look(&mut self, look: Look) -> Option<Contended> {
        let over = self.over_longest(look);
        let found = over.or_else(|| self.ongoing_longest(look));
        if let Some(found) = &found {
            self.told = found.wait;
        }
        let oldest = self.waiting.iter().map(|w| w.since);
        let oldest = oldest.chain(self.over.iter().map(|over| over.wait.since));
        let oldest = oldest.min().unwrap_or(look.now);
        self.held.retain(|held| held.until > oldest);
        found
    }

    fn over_longest(&mut self, look: Look) -> Option<Contended> {
        for over in &mut self.over {
            over.looks += 1;
        }
        let ready = |over: &mut Over| look.last || over.looks > 1;
        let ready: Vec<Over> = self.over.extract_if(.., ready).collect();
        let longest = ready
            .into_iter()
            .max_by_key(|over| over.until.saturating_sub(over.wait.since))?;
        let wait = longest.until.saturating_sub(longest.wait.since);
        if wait < look.limit.max(2 * self.told) {
            return None;
        }
        self.judge(&longest.wait, longest.until, false, self.held.clone())
    }

    fn ongoing_longest(&mut self, look: Look) -> Option<Contended> {
        let longest = self.waiting.iter().min_by_key(|w| w.since)?.clone();
        let wait = look.now.saturating_sub(longest.since);
        let from = if look.last {
            look.limit
        } else {
            2 * look.limit
        };
        if wait < from.max(2 * self.told) {
            return None;
        }
        let mut held = self.held.clone();
        held.extend(self.lock.held(look.now)?);
        self.judge(&longest, look.now, true, held)
    }

    fn judge(
        &self,
        wait: &Waiting,
        until: Ticks,
        ongoing: bool,
        mut held: Vec<Held>,
    ) -> Option<Contended> {
        held.sort_by_key(|held| held.since);
        let length = until.saturating_sub(wait.since);
        let idle = idle_within(wait.since, until, &held);
        if idle < length / 2 {
            return None;
        }
        let overlap = |held: &Held| {
            let overlap = held
                .until
                .min(until)
                .saturating_sub(held.since.max(wait.since));
            overlap > length / 1_000
        };
        held.retain(overlap);
        let holders = held.len();
        let held = held.into_iter().max_by_key(|held| held.idle)?;
        let mut others = self.waiting.iter().filter_map(|w| w.stack.as_ref());
        Some(Contended {
            lock: self.lock.clone(),
            waiting: self.most,
            wait: length,
            ongoing,
            waiter: wait.who,
            stack: wait.stack.as_ref().or_else(|| others.next_back()).cloned(),
            held,
            holders,
        })
    }
}

/// For how long, between `since` and `until`, the lock was held by somebody idle.
/// `held` is sorted; where holds overlap, each moment counts once.
fn idle_within(since: Ticks, until: Ticks, held: &[Held]) -> Ticks {
    let mut counted = since;
    let mut idle = 0;
    for held in held {
        let from = counted.max(held.since);
        let to = held.until.min(until);
        if from < to {
            let whole = held.until.saturating_sub(held.since).max(1);
            let part = u128::from(held.idle) * u128::from(to - from) / u128::from(whole);
            idle += part as u64;
            counted = to;
        }
    }
    idle
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::*;

    const LIMIT: Ticks = 500;

    fn lock() -> Arc<Lock> {
        Arc::new(Lock::new("Mutex", Location::caller().into()).expect("a lock"))
    }

    fn held(since: Ticks, until: Ticks, idle: Ticks) -> Held {
        Held {
            who: None,
            since,
            until,
            idle,
            awaits: Vec::new(),
        }
    }

    fn look(now: Ticks) -> Look {
        Look {
            now,
            limit: LIMIT,
            last: false,
        }
    }

    #[test]
    fn a_wait_for_an_idle_holder_counts_when_it_is_over() {
        let (mut contention, lock) = (Contention::default(), lock());
        contention.waits(lock.clone(), 1, 100, None, None);
        contention.waits(lock.clone(), 2, 200, None, None);
        // The release is told after the end of the wait that it ends.
        contention.wait_ends(lock.number, 1, 700);
        assert!(contention.look(look(710)).is_empty(), "not judged yet");
        contention.released(lock.number, held(50, 700, 640));
        let found = contention.look(look(720));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].waiting, found[0].wait), (2, 600));
        assert!(!found[0].ongoing);
        assert!(contention.look(look(730)).is_empty(), "told once");
    }

    #[test]
    fn short_waits_do_not() {
        let (mut contention, lock) = (Contention::default(), lock());
        for n in 0..20 {
            let now = n * 100;
            contention.waits(lock.clone(), n, now, None, None);
            contention.released(lock.number, held(now, now + 90, 90));
            contention.wait_ends(lock.number, n, now + 90);
            assert!(contention.look(look(now + 95)).is_empty());
        }
    }

    #[test]
    fn a_wait_for_a_busy_holder_does_not() {
        let (mut contention, lock) = (Contention::default(), lock());
        contention.waits(lock.clone(), 1, 0, None, None);
        contention.released(lock.number, held(0, 900, 10));
        contention.wait_ends(lock.number, 1, 900);
        let last = Look {
            last: true,
            ..look(910)
        };
        assert!(contention.look(last).is_empty());
    }

    #[test]
    fn many_short_holds_add_up() {
        let (mut contention, lock) = (Contention::default(), lock());
        contention.waits(lock.clone(), 1, 0, None, None);
        for n in 0..20 {
            contention.released(lock.number, held(n * 40, n * 40 + 35, 30));
        }
        contention.wait_ends(lock.number, 1, 800);
        contention.look(look(810));
        let found = contention.look(look(820));
        assert_eq!(found[0].holders, 20);
    }

    #[test]
    fn overlapping_readers_count_once() {
        let readers = [held(0, 100, 100), held(20, 120, 100), held(90, 110, 20)];
        assert_eq!(idle_within(0, 200, &readers), 120);
    }

    #[test]
    fn what_is_not_known_is_not_told() {
        let (mut contention, lock) = (Contention::default(), lock());
        contention.waits(lock, 1, 0, None, None);
        let found = contention.look(look(10_000));
        assert!(found.is_empty(), "nobody is known to hold it");
    }
}
