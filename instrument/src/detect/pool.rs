//! The threads of blocking pools: who they are, and what they do when it matters.
//!
//! They poll nothing, so they have no slot. A hook at their start notes them, cheaply:
//! there may be hundreds. tokio starts its workers the same way; those are told apart
//! by their slots.

use std::{
    cell::Cell,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use asyncwatch_stack::{Capturer, Outline, RawStack, Still, Thread};

use crate::{drops, registry::slots, runtimes, self_test};

/// Threads that are noted, of 48 bytes each; tokio's default is 512 for a pool.
const MEMBERS_MAX: usize = 4_096;
/// Threads whose stacks are taken for one finding, at some 50 µs each.
const LOOKED_AT_MAX: usize = 32;

static MEMBERS: Mutex<Vec<Member>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(1);
/// Closures that have ended on any pool.
#[cfg(tokio_unstable)]
static ENDED: AtomicU64 = AtomicU64::new(0);

struct Member {
    number: u64,
    runtime: u64,
    outline: Outline,
}

thread_local! {
    static LEAVING: Leaving = const { Leaving(Cell::new(0)) };
}

/// Takes the thread off the list when it ends.
struct Leaving(Cell<u64>);

impl Drop for Leaving {
    fn drop(&mut self) {
        let number = self.0.get();
        members().retain(|member| member.number != number);
    }
}

/// The calling thread begins to work for a runtime.
pub(crate) fn joins() {
    if self_test::is_here() {
        return;
    }
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return;
    };
    let number = NEXT.fetch_add(1, Relaxed);
    let member = Member {
        number,
        runtime: runtimes::number(runtime.id()),
        outline: Outline::current(),
    };
    let mut members = members();
    if members.len() >= MEMBERS_MAX {
        return drops::count(drops::What::Threads);
    }
    members.push(member);
    drop(members);
    // A thread that is ending already cannot begin.
    let _ = LEAVING.try_with(|leaving| leaving.0.set(number));
}

/// A closure has ended, or been thrown away.
#[cfg(tokio_unstable)]
pub(crate) fn closure_ended() {
    ENDED.fetch_add(1, Relaxed);
}

#[cfg(tokio_unstable)]
pub(super) fn closures_ended() -> u64 {
    ENDED.load(Relaxed)
}

/// How many threads work for a runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Crew {
    pub(super) runtime: u64,
    pub(super) workers: usize,
    /// The threads of its pool, idle ones too.
    pub(super) others: usize,
}

/// The crews of all runtimes that have any.
pub(super) fn crews() -> Vec<Crew> {
    let workers = workers();
    let mut crews: Vec<Crew> = Vec::new();
    for member in members().iter() {
        let known = crews.iter().position(|crew| crew.runtime == member.runtime);
        let at = known.unwrap_or_else(|| {
            crews.push(Crew {
                runtime: member.runtime,
                ..Crew::default()
            });
            crews.len() - 1
        });
        if workers.contains(&member.outline.tid()) {
            crews[at].workers += 1;
        } else {
            crews[at].others += 1;
        }
    }
    crews
}

/// What the threads of a pool do.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) threads: usize,
    pub(super) looked_at: usize,
    /// Distinct stacks with the number of threads in each, the most frequent first.
    pub(super) stacks: Vec<(usize, RawStack)>,
}

impl Seen {
    /// With the time that each stack stands for, if every thread has been in its own
    /// for `each`.
    pub(super) fn weighted(&self, each: Duration) -> Vec<(Duration, RawStack)> {
        let stacks = self.stacks.iter();
        stacks
            .map(|(threads, stack)| (each * (*threads as u32), stack.clone()))
            .collect()
    }
}

/// Takes the stacks of some threads of a runtime's pool.
pub(super) fn look(runtime: u64, capturer: Option<&mut Capturer>) -> Seen {
    let workers = workers();
    // Opened while the list is held, so that none of them can end before.
    let (threads, opened): (usize, Vec<Thread>) = {
        let members = members();
        let mut others = members
            .iter()
            .filter(|member| member.runtime == runtime)
            .filter(|member| !workers.contains(&member.outline.tid()));
        let some = others.by_ref().take(LOOKED_AT_MAX);
        let opened: Vec<Thread> = some.map(|member| member.outline.open()).collect();
        (opened.len() + others.count(), opened)
    };
    let stacks: Vec<RawStack> = capturer.map_or_else(Vec::new, |capturer| {
        let take = |thread: &Thread| capturer.capture(thread, ALWAYS).ok();
        opened.iter().filter_map(take).collect()
    });
    Seen {
        threads,
        looked_at: stacks.len(),
        stacks: grouped(stacks),
    }
}

/// A stack is wanted whatever the thread does next.
const ALWAYS: Still = Still {
    seq: &NEVER_MOVES,
    expected: 1,
};
static NEVER_MOVES: AtomicU64 = AtomicU64::new(1);

fn grouped(stacks: Vec<RawStack>) -> Vec<(usize, RawStack)> {
    let mut groups: Vec<(usize, RawStack)> = Vec::new();
    for stack in stacks {
        let known = groups
            .iter_mut()
            .find(|(_, known)| known.addresses == stack.addresses);
        match known {
            Some((count, _)) => *count += 1,
            None => groups.push((1, stack)),
        }
    }
    groups.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    groups
}

/// The threads that are workers.
fn workers() -> Vec<u32> {
    slots::all()
        .filter_map(|slot| slot.info())
        .filter(|info| info.worker().is_some())
        .map(|info| info.thread.tid())
        .collect()
}

fn members() -> MutexGuard<'static, Vec<Member>> {
    MEMBERS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use asyncwatch_stack::{Address, How};

    use super::*;

    fn stack(addresses: &[u64]) -> RawStack {
        RawStack {
            addresses: addresses.iter().map(|&at| Address::Return(at)).collect(),
            how: How::Signal,
            complete: true,
        }
    }

    #[test]
    fn equal_stacks_are_one_group() {
        let groups = grouped(vec![stack(&[1, 9]), stack(&[2, 9]), stack(&[2, 9])]);
        let counts: Vec<usize> = groups.iter().map(|(count, _)| *count).collect();
        assert_eq!(counts, [2, 1]);
        assert_eq!(groups[0].1, stack(&[2, 9]));
        let seen = Seen {
            threads: 3,
            looked_at: 3,
            stacks: groups,
        };
        let weights: Vec<Duration> = seen
            .weighted(Duration::from_secs(1))
            .into_iter()
            .map(|(weight, _)| weight)
            .collect();
        assert_eq!(weights, [Duration::from_secs(2), Duration::from_secs(1)]);
    }

    #[test]
    fn threads_are_known_from_their_start_to_their_end() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .on_thread_start(joins)
            .build()
            .expect("runtime");
        let id = runtimes::number(runtime.handle().id());
        let crew = || crews().into_iter().find(|crew| crew.runtime == id);
        runtime.block_on(async {
            tokio::task::spawn_blocking(|| {}).await.expect("it ends");
        });
        // The worker has no slot here, as nothing is watched.
        assert_eq!(crew().map(|crew| crew.others), Some(2));
        assert_eq!(look(id, None).threads, 2);
        drop(runtime);
        assert_eq!(crew(), None);
    }
}
