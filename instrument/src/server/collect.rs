//! The state that clients are told of: rebuilt from the registry when somebody asks,
//! with the snapshot at which each thing last changed.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    hash::Hash,
    sync::Arc,
    time::{Duration, Instant},
};

use asyncwatch_findings::Finding;
use asyncwatch_wire::{Message, v1};
use tokio_metrics::{RuntimeIntervals, RuntimeMonitor};

use super::convert::{self, SiteSums};
use crate::{
    clock, drops,
    registry::{sites, slab, slots, task::TaskRow},
    report::Reporter,
    runtimes, self_test, settings,
};

/// Tasks told to clients; the rest is counted in their sites.
const TASKS_MAX: usize = 20_000;
/// Ended things that are remembered by id: a client that missed more starts afresh.
const ENDED_MAX: usize = 65_536;
/// A snapshot is used again for so long.
const FRESH: Duration = Duration::from_millis(90);
/// Larger updates are sent in parts. Clients take 4 MiB; the largest single thing, a
/// finding, has about 1 MiB.
const UPDATE_BYTES_MAX: usize = 2 << 20;
/// Things in one part: so many take a client some milliseconds.
const UPDATE_ITEMS_MAX: usize = 1_000;

/// The newest snapshot.
pub(super) struct Collector {
    reporter: Reporter,
    snapshot: u64,
    taken: Option<Instant>,
    tasks: Table<u64, v1::Task>,
    sites: Table<u32, v1::Site>,
    workers: Table<u32, v1::Worker>,
    runtimes: Table<u64, v1::Runtime>,
    process: Table<(), v1::Process>,
    drops: Table<(), v1::Drops>,
    ended_tasks: Ended<u64>,
    ended_workers: Ended<u32>,
    ended_runtimes: Ended<u64>,
    busy: HashMap<u32, (u64, Instant)>,
    meters: HashMap<u64, Meter>,
}

/// Things with the snapshot at which each last changed.
struct Table<K, V>(HashMap<K, (u64, Arc<V>)>);

/// Ids of things that are gone, each with the snapshot at which it was missed.
#[derive(Default)]
struct Ended<K> {
    ids: VecDeque<(u64, K)>,
    /// The newest snapshot some of whose ids are forgotten.
    forgotten: u64,
}

impl<K: Copy> Ended<K> {
    fn push(&mut self, now: u64, id: K) {
        self.ids.push_back((now, id));
        while self.ids.len() > ENDED_MAX {
            if let Some((at, _)) = self.ids.pop_front() {
                self.forgotten = at;
            }
        }
    }

    fn since(&self, since: u64) -> Vec<K> {
        let newer = self.ids.iter().filter(|(at, _)| *at > since);
        newer.map(|(_, id)| *id).collect()
    }
}

/// The running totals of one runtime.
pub(super) struct Meter {
    intervals: RuntimeIntervals,
    pub(super) now: tokio_metrics::RuntimeMetrics,
    pub(super) parks: u64,
    pub(super) busy: Duration,
    #[cfg(tokio_unstable)]
    pub(super) remote_schedules: u64,
    #[cfg(tokio_unstable)]
    pub(super) forced_yields: u64,
}

/// What a client has been told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    snapshot: u64,
    findings: u64,
}

/// What a client is to be told: parts to be sent one by one.
#[derive(Default)]
pub(super) struct News {
    snapshot: u64,
    reset: bool,
    process: Option<Arc<v1::Process>>,
    drops: Option<Arc<v1::Drops>>,
    tasks: Vec<Arc<v1::Task>>,
    sites: Vec<Arc<v1::Site>>,
    workers: Vec<Arc<v1::Worker>>,
    runtimes: Vec<Arc<v1::Runtime>>,
    ended_tasks: Vec<u64>,
    ended_workers: Vec<u32>,
    ended_runtimes: Vec<u64>,
    findings: Vec<Arc<v1::Finding>>,
}

impl Collector {
    pub(super) fn new(reporter: Reporter) -> Collector {
        Collector {
            reporter,
            snapshot: 0,
            taken: None,
            tasks: Table::new(),
            sites: Table::new(),
            workers: Table::new(),
            runtimes: Table::new(),
            process: Table::new(),
            drops: Table::new(),
            ended_tasks: Ended::default(),
            ended_workers: Ended::default(),
            ended_runtimes: Ended::default(),
            busy: HashMap::new(),
            meters: HashMap::new(),
        }
    }

    /// Everything that changed since `seen`, which it brings up to date.
    pub(super) fn news(&mut self, seen: &mut Seen) -> News {
        if self.taken.is_none_or(|taken| taken.elapsed() >= FRESH) {
            self.take();
        }
        let forgotten = self
            .ended_tasks
            .forgotten
            .max(self.ended_workers.forgotten)
            .max(self.ended_runtimes.forgotten);
        let reset = seen.snapshot < forgotten || seen.snapshot == 0;
        let since = if reset { 0 } else { seen.snapshot };
        let findings_since = if reset { 0 } else { seen.findings };
        let (findings_now, findings) = self.reporter.findings_since(findings_since);
        let ended_since = if reset { u64::MAX } else { since };
        *seen = Seen {
            snapshot: self.snapshot,
            findings: findings_now,
        };
        News {
            snapshot: self.snapshot,
            reset,
            process: self.process.since(since).pop(),
            drops: self.drops.since(since).pop(),
            tasks: self.tasks.since(since),
            sites: self.sites.since(since),
            workers: self.workers.since(since),
            runtimes: self.runtimes.since(since),
            ended_tasks: self.ended_tasks.since(ended_since),
            ended_workers: self.ended_workers.since(ended_since),
            ended_runtimes: self.ended_runtimes.since(ended_since),
            findings: told(&findings),
        }
    }

    /// Nobody is connected any more: lets go of what keeps runtimes alive.
    pub(super) fn rest(&mut self) {
        self.meters.clear();
        self.taken = None;
    }

    /// The findings that changed since `seen`, without a new snapshot; `None` if
    /// none did, or if `seen` lacks more than findings.
    pub(super) fn findings(&self, seen: &mut Seen) -> Option<News> {
        let nothing_yet = seen.snapshot == 0;
        if nothing_yet || self.reporter.findings_version() == seen.findings {
            return None;
        }
        let (version, findings) = self.reporter.findings_since(seen.findings);
        seen.findings = version;
        Some(News {
            snapshot: seen.snapshot,
            findings: told(&findings),
            ..News::default()
        })
    }

    fn take(&mut self) {
        self.snapshot += 1;
        self.taken = Some(Instant::now());
        let now = self.snapshot;
        self.take_tasks(now);
        self.take_workers(now);
        self.take_runtimes(now);
        let process = convert::process(&self.reporter.process());
        self.process.put(now, (), process);
        self.drops.put(now, (), convert::drops(drops::list()));
    }

    fn take_tasks(&mut self, now: u64) {
        let polled_now: Vec<u64> = slots::all()
            .filter_map(|slot| crate::registry::task::Task::from_ptr(slot.read()?.task))
            .map(crate::registry::task::Task::id)
            .collect();
        let mut sums: HashMap<u32, SiteSums> = HashMap::new();
        let mut alive = HashMap::new();
        let clock = clock::now();
        for row in slab::all().filter_map(|task| task.row()) {
            if self_test::is_own(row.site.location) {
                continue;
            }
            sums.entry(row.site.id).or_default().add(&row);
            if alive.len() < TASKS_MAX {
                let running = polled_now.contains(&row.id);
                alive.insert(row.id, convert::task(&row, running, clock));
            }
        }
        for id in self.tasks.missing(&alive) {
            self.tasks.0.remove(&id);
            self.ended_tasks.push(now, id);
        }
        for (id, task) in alive {
            self.tasks.put_if(now, id, task, convert::task_differs);
        }
        for row in sites::rows() {
            let sums = sums.remove(&row.site.id).unwrap_or_default();
            self.sites.put(now, row.site.id, convert::site(&row, &sums));
        }
    }

    fn take_workers(&mut self, now: u64) {
        let mut alive = HashMap::new();
        for slot in slots::all() {
            let Some(info) = slot.info().filter(|info| !info.own) else {
                continue;
            };
            let share = self.busy_share(slot.number, slot.busy_ns());
            alive.insert(slot.number, convert::worker(slot, &info, share));
        }
        for gone in self.workers.missing(&alive) {
            self.workers.0.remove(&gone);
            self.busy.remove(&gone);
            self.ended_workers.push(now, gone);
        }
        for (number, worker) in alive {
            self.workers.put(now, number, worker);
        }
    }

    /// The share of the time since the last snapshot that was busy.
    fn busy_share(&mut self, slot: u32, busy_ns: u64) -> Option<f64> {
        let now = Instant::now();
        let (before_ns, before) = self.busy.insert(slot, (busy_ns, now))?;
        let passed = now.duration_since(before).as_nanos() as f64;
        let busy = busy_ns.saturating_sub(before_ns) as f64;
        (settings::exact() && passed > 0.0).then(|| (busy / passed).min(1.0))
    }

    fn take_runtimes(&mut self, now: u64) {
        let handles = runtimes::handles();
        let alive: HashMap<u64, ()> = handles.iter().map(|(id, _)| (*id, ())).collect();
        for gone in self.runtimes.missing(&alive) {
            self.runtimes.0.remove(&gone);
            self.meters.remove(&gone);
            self.ended_runtimes.push(now, gone);
        }
        for (id, handle) in handles {
            let meter = match self.meters.entry(id) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => match Meter::new(&handle) {
                    Some(meter) => entry.insert(meter),
                    None => continue,
                },
            };
            meter.read();
            let runtime = convert::runtime(id, &handle, meter);
            self.runtimes.put(now, id, runtime);
        }
    }
}

impl Meter {
    fn new(handle: &tokio::runtime::Handle) -> Option<Meter> {
        let mut intervals = RuntimeMonitor::new(handle).intervals();
        let now = intervals.next()?;
        Some(Meter {
            intervals,
            parks: now.total_park_count,
            busy: now.total_busy_duration,
            #[cfg(tokio_unstable)]
            remote_schedules: 0,
            #[cfg(tokio_unstable)]
            forced_yields: 0,
            now,
        })
    }

    fn read(&mut self) {
        let Some(interval) = self.intervals.next() else {
            return;
        };
        self.parks += interval.total_park_count;
        self.busy += interval.total_busy_duration;
        #[cfg(tokio_unstable)]
        {
            self.remote_schedules += interval.num_remote_schedules;
            self.forced_yields += interval.budget_forced_yield_count;
        }
        self.now = interval;
    }
}

impl<K: Eq + Hash + Copy, V: PartialEq> Table<K, V> {
    fn new() -> Table<K, V> {
        Table(HashMap::new())
    }

    fn put(&mut self, now: u64, key: K, value: V) {
        self.put_if(now, key, value, |a, b| a != b);
    }

    /// Puts a value in place of one it differs from.
    fn put_if(&mut self, now: u64, key: K, value: V, differs: fn(&V, &V) -> bool) {
        match self.0.entry(key) {
            Entry::Occupied(mut entry) => {
                if differs(&entry.get().1, &value) {
                    entry.insert((now, Arc::new(value)));
                }
            }
            Entry::Vacant(entry) => {
                entry.insert((now, Arc::new(value)));
            }
        }
    }

    fn since(&self, since: u64) -> Vec<Arc<V>> {
        self.0
            .values()
            .filter(|(changed, _)| *changed > since)
            .map(|(_, value)| value.clone())
            .collect()
    }

    /// Keys that `alive` has not.
    fn missing<T>(&self, alive: &HashMap<K, T>) -> Vec<K> {
        self.0
            .keys()
            .filter(|key| !alive.contains_key(key))
            .copied()
            .collect()
    }
}

impl Iterator for News {
    type Item = v1::Update;

    /// The next part; the last one has `snapshot_complete` set.
    fn next(&mut self) -> Option<v1::Update> {
        if self.snapshot == 0 {
            return None;
        }
        let mut update = v1::Update {
            snapshot: self.snapshot,
            now_unix_ns: clock::now_unix_ns(),
            reset: std::mem::take(&mut self.reset),
            process: self.process.take().map(Arc::unwrap_or_clone),
            drops: self.drops.take().map(Arc::unwrap_or_clone),
            ..v1::Update::default()
        };
        let mut room = Room(UPDATE_BYTES_MAX.saturating_sub(update.encoded_len()));
        update.ended_tasks = room.take_ids(&mut self.ended_tasks);
        update.ended_workers = room.take_ids(&mut self.ended_workers);
        update.ended_runtimes = room.take_ids(&mut self.ended_runtimes);
        update.runtimes = room.take(&mut self.runtimes);
        update.workers = room.take(&mut self.workers);
        update.sites = room.take(&mut self.sites);
        update.tasks = room.take(&mut self.tasks);
        update.findings = room.take(&mut self.findings);
        if self.is_empty() {
            update.snapshot_complete = true;
            self.snapshot = 0;
        }
        Some(update)
    }
}

impl News {
    fn is_empty(&self) -> bool {
        self.sites.is_empty()
            && self.tasks.is_empty()
            && self.workers.is_empty()
            && self.runtimes.is_empty()
            && self.ended_tasks.is_empty()
            && self.ended_workers.is_empty()
            && self.ended_runtimes.is_empty()
            && self.findings.is_empty()
    }
}

fn told(findings: &[Arc<Finding>]) -> Vec<Arc<v1::Finding>> {
    let findings = findings.iter();
    findings
        .map(|finding| Arc::new(convert::finding(finding)))
        .collect()
}

/// What is left of a part's bytes.
struct Room(usize);

impl Room {
    /// Moves what fits; at least one, if nothing else is in the part.
    fn take<T: Message + Clone>(&mut self, all: &mut Vec<Arc<T>>) -> Vec<T> {
        let mut part = Vec::new();
        while part.len() < UPDATE_ITEMS_MAX && self.0 > 0 {
            let Some(next) = all.pop() else { break };
            // Its tag and its length take up to six.
            let bytes = next.encoded_len() + 6;
            if bytes > self.0 && self.0 < UPDATE_BYTES_MAX / 2 {
                all.push(next);
                break;
            }
            self.0 = self.0.saturating_sub(bytes);
            part.push(Arc::unwrap_or_clone(next));
        }
        part
    }

    /// Ids are a handful of bytes each.
    fn take_ids<T>(&mut self, all: &mut Vec<T>) -> Vec<T> {
        const ID_BYTES_MAX: usize = 10;
        let fit = (UPDATE_ITEMS_MAX * 8).min(self.0 / ID_BYTES_MAX);
        let ids = all.split_off(all.len().saturating_sub(fit));
        self.0 -= ids.len() * ID_BYTES_MAX;
        ids
    }
}

/// Sums over a site's living tasks.
impl SiteSums {
    fn add(&mut self, row: &TaskRow) {
        self.polls += row.polls;
        self.busy_ns += row.busy_ns;
        self.scheduled_ns += row.scheduled_ns.unwrap_or(0);
        self.scheduled_known |= row.scheduled_ns.is_some();
        self.longest_ns = self.longest_ns.max(row.longest_ns);
        for (sum, count) in self.poll_times.iter_mut().zip(&row.poll_times) {
            *sum += u64::from(*count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What dashboards accept.
    const DECODED_BYTES_MAX: usize = 4 << 20;

    #[test]
    fn parts_stay_below_what_clients_take_and_lose_nothing() {
        let task = |id| v1::Task {
            id,
            name: "n".repeat(200),
            ..v1::Task::default()
        };
        let finding = |id| v1::Finding {
            id,
            message: "m".repeat(1_200_000),
            ..v1::Finding::default()
        };
        let news = News {
            snapshot: 7,
            process: Some(Arc::new(v1::Process {
                args: vec!["a".repeat(1_024); 64],
                ..v1::Process::default()
            })),
            tasks: (0..5_000).map(|id| Arc::new(task(id))).collect(),
            findings: (0..20).map(|id| Arc::new(finding(id))).collect(),
            ended_tasks: (0..100_000).map(|id| u64::MAX - id).collect(),
            ..News::default()
        };
        let parts: Vec<v1::Update> = news.collect();
        assert!(
            parts
                .iter()
                .all(|part| part.encoded_len() < DECODED_BYTES_MAX)
        );
        let sum = |count: fn(&v1::Update) -> usize| parts.iter().map(count).sum::<usize>();
        assert_eq!(sum(|part| part.tasks.len()), 5_000);
        assert_eq!(sum(|part| part.findings.len()), 20);
        assert_eq!(sum(|part| part.ended_tasks.len()), 100_000);
        let complete = parts.iter().filter(|part| part.snapshot_complete);
        assert_eq!(complete.count(), 1);
        assert!(parts.last().is_some_and(|part| part.snapshot_complete));
    }
}
