//! Places in the source that spawn tasks, with the numbers of all their tasks.
//!
//! A site is found by its place and the kind of task, in a
//! fixed table that only grows; past [`SITES_MAX`] all further places share one
//! site, and that is counted. The first spawn at a site leaves its stack, once. Ended tasks live on in their site's numbers.

#![expect(unsafe_code, reason = "sites are handed through atomic pointers")]

use std::{
    panic::Location,
    ptr,
    sync::{
        LazyLock,
        atomic::{
            AtomicPtr, AtomicU32, AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
};

use asyncwatch_stack::{RawStack, own_trace};

use super::{
    names::Name,
    task::{BUCKETS, Kind, Task},
};
use crate::{drops, source::SourceLine};

/// 4,096 sites of 384 bytes: 1.5 MiB at most, plus the table of 64 KiB.
const SITES_MAX: usize = 4_096;
/// Frames of a site's first spawn.
const FRAMES_MAX: usize = 32;
/// Twice the sites, so that probing stays short.
const TABLE: usize = 2 * SITES_MAX;

static SITES: [AtomicPtr<Site>; TABLE] = [const { AtomicPtr::new(ptr::null_mut()) }; TABLE];
static COUNT: AtomicU32 = AtomicU32::new(0);
static OTHERS: LazyLock<Site> =
    LazyLock::new(|| Site::new(0, Location::caller().into(), Kind::Task));

/// One place that spawns tasks of one kind.
#[repr(align(128))]
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) id: u32,
    pub(crate) location: SourceLine,
    pub(crate) kind: Kind,
    /// The stack of the first spawn here: it names the function, and the file in full.
    first: RawStack,
    name: AtomicPtr<Name>,
    /// The type name of the future that was last spawned here.
    type_name: AtomicPtr<Name>,
    spawned: AtomicU64,
    ended: AtomicU64,
    /// Of those that have ended, how many did so without finishing.
    dropped: AtomicU64,
    /// Watched futures of these tasks that were dropped before they had finished.
    cut_short: AtomicU64,
    /// Of ended tasks only; the living ones are added when a row is made.
    polls: AtomicU64,
    busy_ns: AtomicU64,
    scheduled_ns: AtomicU64,
    longest_ns: AtomicU64,
    poll_times: [AtomicU64; BUCKETS],
}

/// A copy of the numbers of a site's ended tasks.
#[derive(Clone, Debug)]
pub(crate) struct SiteRow {
    pub(crate) site: &'static Site,
    pub(crate) name: &'static str,
    pub(crate) spawned: u64,
    pub(crate) alive: u64,
    pub(crate) polls: u64,
    pub(crate) busy_ns: u64,
    pub(crate) scheduled_ns: u64,
    pub(crate) longest_ns: u64,
    pub(crate) poll_times: [u64; BUCKETS],
}

/// The site of `location` and `kind`.
pub(crate) fn of(location: impl Into<SourceLine>, kind: Kind) -> &'static Site {
    let location = location.into();
    let mut at = hash(location) % TABLE;
    loop {
        let found = SITES[at].load(Acquire);
        match Site::from_ptr(found) {
            Some(site) if site.location == location && site.kind == kind => return site,
            Some(_) => at = (at + 1) % TABLE,
            None => match insert(at, location, kind) {
                Insert::Done(site) => return site,
                Insert::Lost => {}
                Insert::Full => {
                    drops::count(drops::What::Sites);
                    return &OTHERS;
                }
            },
        }
    }
}

/// The stacks of the first spawns at `location`, of each kind of task.
pub(crate) fn first_spawns(location: SourceLine) -> impl Iterator<Item = &'static RawStack> {
    SITES
        .iter()
        .filter_map(|site| Site::from_ptr(site.load(Acquire)))
        .filter(move |site| site.location == location)
        .map(|site| &site.first)
}

/// Copies of all sites.
pub(crate) fn rows() -> Vec<SiteRow> {
    let others = (OTHERS.spawned.load(Relaxed) > 0).then(|| OTHERS.row());
    SITES
        .iter()
        .filter_map(|site| Site::from_ptr(site.load(Acquire)))
        .filter(|site| !crate::self_test::is_own(site.location))
        .map(Site::row)
        .chain(others)
        .collect()
}

enum Insert {
    Done(&'static Site),
    /// Another thread put a site there: look again.
    Lost,
    Full,
}

fn insert(at: usize, location: SourceLine, kind: Kind) -> Insert {
    if COUNT.load(Relaxed) as usize >= SITES_MAX {
        return Insert::Full;
    }
    let id = COUNT.fetch_add(1, Relaxed) + 1;
    let site = Box::into_raw(Box::new(Site::new(id, location, kind)));
    match SITES[at].compare_exchange(ptr::null_mut(), site, AcqRel, Acquire) {
        Ok(_) => Site::from_ptr(site).map_or(Insert::Full, Insert::Done),
        Err(_) => {
            // SAFETY: `site` came from `Box::into_raw` above and was not published.
            drop(unsafe { Box::from_raw(site) });
            Insert::Lost
        }
    }
}

fn hash(at: SourceLine) -> usize {
    // The file's length stands for the file: two places with equal numbers are probed.
    let place = u64::from(at.line()) << 32 | u64::from(at.column()) << 16 | at.file().len() as u64;
    // Multiply by the golden ratio and keep the high bits.
    place.wrapping_mul(0x9E37_79B9_7F4A_7C15) as usize >> 40
}

impl Site {
    fn new(id: u32, location: SourceLine, kind: Kind) -> Site {
        Site {
            id,
            location,
            kind,
            first: own_trace(FRAMES_MAX),
            name: AtomicPtr::new(ptr::null_mut()),
            type_name: AtomicPtr::new(ptr::null_mut()),
            spawned: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            cut_short: AtomicU64::new(0),
            polls: AtomicU64::new(0),
            busy_ns: AtomicU64::new(0),
            scheduled_ns: AtomicU64::new(0),
            longest_ns: AtomicU64::new(0),
            poll_times: [const { AtomicU64::new(0) }; BUCKETS],
        }
    }

    pub(super) fn from_ptr(site: *const Site) -> Option<&'static Site> {
        // SAFETY: every non-null pointer in the table or in a task comes from
        // `insert` or `of`, and published sites are never freed.
        unsafe { site.as_ref() }
    }

    pub(crate) fn count_spawn(&self) {
        self.spawned.fetch_add(1, Relaxed);
    }

    /// What was counted as a spawn was none.
    pub(super) fn withdraw_spawn(&self) {
        self.spawned.fetch_sub(1, Relaxed);
    }

    /// A task of this site ends without having finished.
    ///
    /// Gives how many did so before.
    pub(crate) fn count_dropped(&self) -> u64 {
        self.dropped.fetch_add(1, Relaxed)
    }

    /// A watched future of such a task is dropped before it has finished. Gives how many
    /// were before.
    pub(crate) fn count_cut_short(&self) -> u64 {
        self.cut_short.fetch_add(1, Relaxed)
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Tasks of this site that came to their end by themselves.
    pub(crate) fn finished(&self) -> u64 {
        let ended = self.ended.load(Relaxed);
        ended.saturating_sub(self.dropped.load(Relaxed))
    }

    /// Gives the site its tasks' name if it has none yet.
    pub(crate) fn suggest_name(&self, name: &'static Name) {
        if self.name.load(Relaxed).is_null() {
            self.name.store(ptr::from_ref(name).cast_mut(), Relaxed);
        }
    }

    /// The name of futures of the type `type_name`, remembered for the next one.
    pub(crate) fn type_name(&self, type_name: &'static str) -> Option<&'static Name> {
        let text = type_name.trim_end_matches("::{{closure}}");
        // SAFETY: `type_name` holds null or a name from `Name::intern`.
        let last = unsafe { self.type_name.load(Acquire).as_ref() };
        if let Some(last) = last
            && last.is(text)
        {
            return Some(last);
        }
        let name = Name::intern(text)?;
        self.type_name
            .store(ptr::from_ref(name).cast_mut(), Release);
        Some(name)
    }

    /// Adds an ended task's numbers.
    pub(super) fn fold(&self, task: &Task) {
        self.ended.fetch_add(1, Relaxed);
        self.polls.fetch_add(task.polls(), Relaxed);
        add(&self.busy_ns, task.busy_ns());
        add(&self.scheduled_ns, task.scheduled_ns());
        if task.longest_ns() > self.longest_ns.load(Relaxed) {
            self.longest_ns.fetch_max(task.longest_ns(), Relaxed);
        }
        for (sum, count) in self.poll_times.iter().zip(task.poll_times()) {
            add(sum, u64::from(count.load(Relaxed)));
        }
    }

    fn row(&'static self) -> SiteRow {
        let spawned = self.spawned.load(Relaxed);
        SiteRow {
            site: self,
            name: Name::from_ptr(self.name.load(Relaxed)),
            spawned,
            alive: spawned.saturating_sub(self.ended.load(Relaxed)),
            polls: self.polls.load(Relaxed),
            busy_ns: self.busy_ns.load(Relaxed),
            scheduled_ns: self.scheduled_ns.load(Relaxed),
            longest_ns: self.longest_ns.load(Relaxed),
            poll_times: std::array::from_fn(|i| self.poll_times[i].load(Relaxed)),
        }
    }
}

fn add(sum: &AtomicU64, n: u64) {
    if n > 0 {
        sum.fetch_add(n, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_has_one_site_per_kind() {
        let location = Location::caller();
        assert!(ptr::eq(of(location, Kind::Task), of(location, Kind::Task)));
        assert!(!ptr::eq(
            of(location, Kind::Task),
            of(location, Kind::Local)
        ));
        assert!(!ptr::eq(
            of(location, Kind::Task),
            of(Location::caller(), Kind::Task)
        ));
    }
}
