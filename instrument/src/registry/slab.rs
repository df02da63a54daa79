//! Storage for task entries: static chunks that are never freed, and a free list.
//!
//! The watchdog follows pointers to entries whose task may just be ending; so an
//! entry's memory stays an entry for ever, and only its task changes. The free
//! list is a stack of indices; its head carries a counter, so that a pop which was
//! overtaken by a pop and a push of the same entry fails and tries again.

use std::sync::{
    OnceLock,
    atomic::{
        AtomicU32, AtomicU64,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
};

use super::task::{Birth, Task};
use crate::drops;

const CHUNK: usize = 256;
/// 4,096 chunks of 256 entries: 1,048,576 tasks at a time, 256 MiB if all are used.
const CHUNKS: usize = 4_096;

static STORE: [OnceLock<Box<[Task]>>; CHUNKS] = [const { OnceLock::new() }; CHUNKS];
/// Chunks in use.
static USED: AtomicU32 = AtomicU32::new(0);
/// High half: a counter; low half: index of the first free entry plus one, or 0.
static FREE: AtomicU64 = AtomicU64::new(0);

/// Takes a free entry for a new task; `None` when all are in use.
pub(crate) fn insert(birth: &Birth) -> Option<&'static Task> {
    let task = pop().or_else(grow)?;
    birth.site.count_spawn();
    if let Some(name) = birth.name {
        birth.site.suggest_name(name);
    }
    task.begin(birth);
    Some(task)
}

/// Ends a task: its numbers go to its site, its entry to the free list.
pub(crate) fn remove(task: &'static Task) {
    task.end();
    push(task);
}

/// Frees the entry of a task that has another one: it does not count.
pub(crate) fn withdraw(task: &'static Task) {
    task.withdraw();
    push(task);
}

/// Every entry, free ones included.
pub(crate) fn all() -> impl Iterator<Item = &'static Task> {
    let used = USED.load(Acquire) as usize;
    STORE[..used]
        .iter()
        .filter_map(OnceLock::get)
        .flat_map(|chunk| chunk.iter())
}

fn at(index: u32) -> Option<&'static Task> {
    let index = index as usize;
    STORE[index / CHUNK].get()?.get(index % CHUNK)
}

fn pop() -> Option<&'static Task> {
    let mut head = FREE.load(Acquire);
    loop {
        let first = at((head as u32).checked_sub(1)?)?;
        let next = bump(head) | u64::from(first.next_free.load(Relaxed));
        match FREE.compare_exchange_weak(head, next, AcqRel, Acquire) {
            Ok(_) => return Some(first),
            Err(now) => head = now,
        }
    }
}

fn push(task: &'static Task) {
    let mut head = FREE.load(Relaxed);
    loop {
        task.next_free.store(head as u32, Relaxed);
        let next = bump(head) | u64::from(task.index + 1);
        match FREE.compare_exchange_weak(head, next, Release, Relaxed) {
            Ok(_) => return,
            Err(now) => head = now,
        }
    }
}

/// The next counter, with an empty low half.
fn bump(head: u64) -> u64 {
    ((head >> 32).wrapping_add(1)) << 32
}

/// Adds a chunk, keeps its first entry and frees the others.
#[cold]
fn grow() -> Option<&'static Task> {
    let number = USED
        .fetch_update(AcqRel, Acquire, |used| {
            ((used as usize) < CHUNKS).then_some(used + 1)
        })
        .ok();
    let Some(number) = number else {
        drops::count(drops::What::Tasks);
        return None;
    };
    let first = number as usize * CHUNK;
    let chunk = STORE[number as usize].get_or_init(|| {
        (first..first + CHUNK)
            .map(|index| Task::free(index as u32))
            .collect()
    });
    chunk[1..].iter().rev().for_each(push);
    chunk.first()
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::*;
    use crate::registry::{sites, task::Kind};

    #[test]
    fn entries_are_used_again_and_never_shared() {
        let site = sites::of(Location::caller(), Kind::Future);
        let birth = |id| Birth {
            id,
            kind: Kind::Future,
            site,
            name: None,
            parent: 0,
            runtime: 0,
        };
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                scope.spawn(move || {
                    for round in 0..200 {
                        let base = (1 << 60) + thread * 1_000_000 + round * 1_000;
                        let tasks: Vec<_> = (0..50)
                            .map(|n| (base + n, insert(&birth(base + n)).expect("room")))
                            .collect();
                        for (id, task) in tasks {
                            assert_eq!(task.id(), id, "an entry has one owner");
                            remove(task);
                        }
                    }
                });
            }
        });
        let row = sites::rows()
            .into_iter()
            .find(|row| std::ptr::eq(row.site, site))
            .expect("site is listed");
        assert_eq!((row.spawned, row.alive), (4 * 200 * 50, 0));
        withdraw(insert(&birth(1 << 61)).expect("room"));
        assert_eq!(site.finished(), row.spawned, "it never counted");
    }
}
