//! The numbers of one task.
//!
//! A task is polled by one thread at a time, and tokio orders its polls, so its
//! counters need plain loads and stores only. Readers on our threads see each
//! number whole, and the set of them at most one poll apart.

#![expect(unsafe_code, reason = "task entries are followed through pointers")]

use std::{
    ptr,
    sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use super::{names::Name, sites::Site};
use crate::{
    clock::{self, Ticks},
    settings,
};

/// Buckets of a poll-time histogram: [`bucket_of`] tells which takes what.
pub(crate) const BUCKETS: usize = 25;

/// Upper bound of the first bucket is 2^8 ns.
const FIRST_BUCKET_BITS: u32 = 8;

/// Polls of up to 8 µs are in the first buckets: 2^13 ns.
const SHORT_BUCKETS: usize = 6;

/// Short polls among all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Short {
    pub(crate) polls: u64,
    /// `None` where polls are not timed.
    pub(crate) short: Option<u64>,
}

/// The histogram bucket of a poll: powers of two from 256 ns to 2.1 s, and one above.
#[inline]
pub(crate) fn bucket_of(ns: u64) -> usize {
    let bits = u64::BITS - ns.leading_zeros();
    (bits.saturating_sub(FIRST_BUCKET_BITS) as usize).min(BUCKETS - 1)
}

/// Ids from here on are our own, for futures that tokio has no number for.
pub(crate) const OWN_IDS: u64 = 1 << 63;

/// What sort of future a task entry stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Spawned on a runtime.
    Task = 1,
    /// Spawned on a `LocalSet` or local runtime.
    Local = 2,
    /// The root future of a `block_on`.
    BlockOn = 3,
    /// A watched future inside a task.
    Future = 4,
}

impl Kind {
    fn from_u8(n: u8) -> Kind {
        match n {
            2 => Kind::Local,
            3 => Kind::BlockOn,
            4 => Kind::Future,
            _ => Kind::Task,
        }
    }

    /// Whether it is a task of its own, which others can cancel or wait for.
    pub(crate) fn is_spawned(self) -> bool {
        matches!(self, Kind::Task | Kind::Local)
    }

    /// The name used in reports.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Task => "task",
            Kind::Local => "local",
            Kind::BlockOn => "block_on",
            Kind::Future => "future",
        }
    }
}

/// One task's entry. Entries live in static chunks and are used again after their
/// task has ended: whoever reads one without owning it checks `id` before and after.
#[repr(align(64))]
pub(crate) struct Task {
    /// 0 while the entry is free.
    id: AtomicU64,
    site: AtomicPtr<Site>,
    polls: AtomicU64,
    busy_ns: AtomicU64,
    longest_ns: AtomicU64,
    scheduled_ns: AtomicU64,
    /// When its last poll ended, in ticks; 0 where polls are not timed, and before it.
    last_end: AtomicU64,
    /// When it was woken, in ticks; 0 while no wake is known.
    woken: AtomicU64,
    /// tokio's own number of it, where `id` is one of ours; 0 if not known.
    tokio_id: AtomicU64,
    kind: AtomicU8,
    /// Set when tokio says it has ended while its last poll still runs.
    pub(crate) ending: AtomicBool,
    /// Nobody is meant to wait for it: `.detached(..)`.
    detached: AtomicBool,
    /// Whether its scheduled time is measured.
    wakes_seen: AtomicBool,
    /// Position of this entry, for the free list.
    pub(crate) index: u32,
    /// Next free entry plus one, while this one is free.
    pub(super) next_free: AtomicU32,
    name: AtomicPtr<Name>,
    parent: AtomicU64,
    spawned: AtomicU64,
    runtime: AtomicU64,
    poll_times: [AtomicU32; BUCKETS],
}

/// What is known of a task when it is spawned.
pub(crate) struct Birth {
    pub(crate) id: u64,
    pub(crate) kind: Kind,
    pub(crate) site: &'static Site,
    pub(crate) name: Option<&'static Name>,
    /// Id of the task whose poll spawned it; 0 for none.
    pub(crate) parent: u64,
    pub(crate) runtime: u64,
}

/// A copy of a task's numbers.
#[derive(Clone, Debug)]
pub(crate) struct TaskRow {
    pub(crate) id: u64,
    pub(crate) tokio_id: u64,
    pub(crate) kind: Kind,
    pub(crate) site: &'static Site,
    pub(crate) name: &'static str,
    pub(crate) parent: u64,
    pub(crate) runtime: u64,
    pub(crate) spawned: Ticks,
    pub(crate) polls: u64,
    pub(crate) busy_ns: u64,
    pub(crate) longest_ns: u64,
    pub(crate) scheduled_ns: Option<u64>,
    pub(crate) woken: bool,
    pub(crate) poll_times: [u32; BUCKETS],
}

impl Task {
    pub(super) fn free(index: u32) -> Task {
        Task {
            id: AtomicU64::new(0),
            site: AtomicPtr::new(ptr::null_mut()),
            polls: AtomicU64::new(0),
            busy_ns: AtomicU64::new(0),
            longest_ns: AtomicU64::new(0),
            scheduled_ns: AtomicU64::new(0),
            last_end: AtomicU64::new(0),
            woken: AtomicU64::new(0),
            tokio_id: AtomicU64::new(0),
            kind: AtomicU8::new(0),
            ending: AtomicBool::new(false),
            detached: AtomicBool::new(false),
            wakes_seen: AtomicBool::new(false),
            index,
            next_free: AtomicU32::new(0),
            name: AtomicPtr::new(ptr::null_mut()),
            parent: AtomicU64::new(0),
            spawned: AtomicU64::new(0),
            runtime: AtomicU64::new(0),
            poll_times: [const { AtomicU32::new(0) }; BUCKETS],
        }
    }

    /// The entry behind a pointer that a slot has published.
    pub(crate) fn from_ptr(task: *const Task) -> Option<&'static Task> {
        // SAFETY: slots publish null or pointers to entries of the slab, which are
        // never freed.
        unsafe { task.as_ref() }
    }

    /// Fills a free entry; readers see it once its id is set.
    pub(super) fn begin(&self, birth: &Birth) {
        self.site
            .store(ptr::from_ref(birth.site).cast_mut(), Relaxed);
        self.set_name(birth.name);
        for counter in [
            &self.polls,
            &self.busy_ns,
            &self.longest_ns,
            &self.scheduled_ns,
            &self.last_end,
            &self.woken,
            &self.tokio_id,
        ] {
            counter.store(0, Relaxed);
        }
        for count in &self.poll_times {
            count.store(0, Relaxed);
        }
        self.kind.store(birth.kind as u8, Relaxed);
        self.ending.store(false, Relaxed);
        self.detached.store(false, Relaxed);
        self.wakes_seen.store(false, Relaxed);
        self.parent.store(birth.parent, Relaxed);
        self.runtime.store(birth.runtime, Relaxed);
        self.spawned.store(clock::now(), Relaxed);
        self.id.store(birth.id, Release);
    }

    /// Adds its numbers to its site and frees its id; the entry itself is freed by the caller.
    pub(super) fn end(&self) {
        if let Some(site) = self.site() {
            site.fold(self);
        }
        self.id.store(0, Release);
    }

    /// Frees its id as if it had never begun.
    pub(super) fn withdraw(&self) {
        if let Some(site) = self.site() {
            site.withdraw_spawn();
        }
        self.id.store(0, Release);
    }

    pub(crate) fn id(&self) -> u64 {
        self.id.load(Acquire)
    }

    pub(crate) fn site(&self) -> Option<&'static Site> {
        Site::from_ptr(self.site.load(Relaxed))
    }

    pub(crate) fn kind(&self) -> Kind {
        Kind::from_u8(self.kind.load(Relaxed))
    }

    pub(crate) fn set_name(&self, name: Option<&'static Name>) {
        let name = name.map_or(ptr::null_mut(), |name| ptr::from_ref(name).cast_mut());
        self.name.store(name, Relaxed);
    }

    /// Takes over the name of another entry of the same task.
    pub(crate) fn take_name(&self, other: &Task) {
        self.name.store(other.name.load(Relaxed), Relaxed);
    }

    /// Whether nobody is meant to wait for it.
    pub(crate) fn is_detached(&self) -> bool {
        self.detached.load(Relaxed)
    }

    pub(crate) fn set_detached(&self) {
        self.detached.store(true, Relaxed);
    }

    pub(crate) fn name(&self) -> &'static str {
        Name::from_ptr(self.name.load(Relaxed))
    }

    /// The number to show: tokio's, where it is known, else ours.
    pub(crate) fn public_id(&self) -> u64 {
        match self.tokio_id.load(Relaxed) {
            0 => self.id() & !OWN_IDS,
            id => id,
        }
    }

    pub(crate) fn set_tokio_id(&self, id: u64) {
        self.tokio_id.store(id, Relaxed);
    }

    pub(crate) fn polls(&self) -> u64 {
        self.polls.load(Relaxed)
    }

    pub(crate) fn busy_ns(&self) -> u64 {
        self.busy_ns.load(Relaxed)
    }

    pub(super) fn longest_ns(&self) -> u64 {
        self.longest_ns.load(Relaxed)
    }

    pub(super) fn scheduled_ns(&self) -> u64 {
        self.scheduled_ns.load(Relaxed)
    }

    pub(super) fn poll_times(&self) -> &[AtomicU32; BUCKETS] {
        &self.poll_times
    }

    /// How many of its polls did next to nothing.
    pub(crate) fn short_polls(&self) -> Short {
        let short = self.poll_times[..SHORT_BUCKETS].iter();
        Short {
            polls: self.polls(),
            short: settings::exact().then(|| short.map(|n| u64::from(n.load(Relaxed))).sum()),
        }
    }

    /// Counts a poll whose duration is not measured.
    #[inline]
    pub(crate) fn count_poll(&self) {
        self.polls.store(self.polls.load(Relaxed) + 1, Relaxed);
    }

    /// When its last poll ended, where that is known.
    pub(crate) fn last_end(&self) -> Option<Ticks> {
        Some(self.last_end.load(Relaxed)).filter(|&end| end != 0)
    }

    /// Counts a poll that took `ns`, up to `end`.
    #[inline]
    pub(crate) fn record_poll(&self, ns: u64, end: Ticks) {
        self.count_poll();
        self.last_end.store(end, Relaxed);
        self.busy_ns.store(self.busy_ns.load(Relaxed) + ns, Relaxed);
        if ns > self.longest_ns.load(Relaxed) {
            self.longest_ns.store(ns, Relaxed);
        }
        let count = &self.poll_times[bucket_of(ns)];
        count.store(count.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Notes a wake; the first one since the last poll counts.
    #[inline]
    pub(crate) fn woken(&self, at: Ticks) {
        if self.woken.load(Relaxed) == 0 {
            self.woken.store(at, Relaxed);
        }
    }

    /// Adds the time since the wake to the scheduled time; `now` begins a poll.
    #[inline]
    pub(crate) fn settle_wake(&self, now: Ticks, weight: u64) {
        let woken = self.woken.swap(0, Relaxed);
        if woken != 0 {
            self.add_scheduled(clock::to_ns(now.saturating_sub(woken)) * weight);
        }
    }

    #[inline]
    pub(crate) fn add_scheduled(&self, ns: u64) {
        self.wakes_seen.store(true, Relaxed);
        self.scheduled_ns
            .store(self.scheduled_ns.load(Relaxed) + ns, Relaxed);
    }

    pub(crate) fn spawned(&self) -> Ticks {
        self.spawned.load(Relaxed)
    }

    /// Id of the task whose poll spawned it; 0 for none.
    pub(crate) fn parent(&self) -> u64 {
        self.parent.load(Relaxed)
    }

    pub(crate) fn runtime(&self) -> u64 {
        self.runtime.load(Relaxed)
    }

    /// Whether it waits for its poll, as far as its wakes are seen.
    pub(crate) fn is_woken(&self) -> bool {
        self.woken.load(Relaxed) != 0
    }

    /// A copy of its numbers, or `None` if it is free or ended meanwhile.
    pub(crate) fn row(&self) -> Option<TaskRow> {
        let id = self.id.load(Acquire);
        let site = self.site()?;
        let row = TaskRow {
            id,
            tokio_id: self.tokio_id.load(Relaxed),
            kind: self.kind(),
            site,
            name: self.name(),
            parent: self.parent.load(Relaxed),
            runtime: self.runtime.load(Relaxed),
            spawned: self.spawned(),
            polls: self.polls(),
            busy_ns: self.busy_ns(),
            longest_ns: self.longest_ns(),
            scheduled_ns: self.wakes_seen.load(Relaxed).then(|| self.scheduled_ns()),
            woken: self.woken.load(Relaxed) != 0,
            poll_times: std::array::from_fn(|i| self.poll_times[i].load(Relaxed)),
        };
        std::sync::atomic::fence(Acquire);
        (id != 0 && self.id.load(Relaxed) == id).then_some(row)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::*;

    #[test]
    fn buckets_are_powers_of_two() {
        assert_eq!(bucket_of(0), 0);
        assert_eq!(bucket_of(255), 0);
        assert_eq!(bucket_of(256), 1);
        assert_eq!(bucket_of(511), 1);
        assert_eq!(bucket_of(512), 2);
        assert_eq!(bucket_of((1 << 31) - 1), 23);
        assert_eq!(bucket_of(1 << 31), 24);
        assert_eq!(bucket_of(u64::MAX), 24);
    }

    #[test]
    fn an_entry_counts_and_empties() {
        let site = super::super::sites::of(Location::caller(), Kind::Task);
        let task = Task::free(0);
        assert!(task.row().is_none());
        task.begin(&Birth {
            id: 7,
            kind: Kind::Task,
            site,
            name: None,
            parent: 3,
            runtime: 0,
        });
        task.record_poll(300, 1_000);
        task.record_poll(5_000, 9_000);
        assert_eq!(task.last_end(), Some(9_000));
        let row = task.row().expect("alive");
        assert_eq!((row.id, row.parent, row.polls), (7, 3, 2));
        assert_eq!((row.busy_ns, row.longest_ns), (5_300, 5_000));
        assert_eq!(row.poll_times[1], 1);
        assert_eq!(row.poll_times[bucket_of(5_000)], 1);
        assert_eq!(row.scheduled_ns, None, "no wake was ever seen");
        task.end();
        assert!(task.row().is_none());
    }
}
