//! Everything the dashboard knows about the program, kept up to date by updates.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::Hash,
    time::{Duration, Instant},
};

use asyncwatch_findings::{Drop, Finding};

use super::{
    Connection, Findings, Process, Runtime, RuntimeId, Site, SiteId, Task, TaskId, Trouble, Update,
    Worker, WorkerId,
};

/// How many busy shares are remembered per worker: two minutes at one a second.
const HISTORY: usize = 120;

/// How many things of each sort are kept; what comes beyond is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Tasks.
    pub tasks: usize,
    /// Places that spawn tasks.
    pub sites: usize,
    /// Workers.
    pub workers: usize,
    /// Runtimes.
    pub runtimes: usize,
    /// Findings.
    pub findings: usize,
}

/// The limits in use: about 200 MB at worst, with every name at its longest.
pub const LIMITS: Limits = Limits {
    tasks: 200_000,
    sites: 10_000,
    workers: 4_096,
    runtimes: 256,
    findings: 2_000,
};

/// What is known, and how fresh it is.
#[derive(Clone, Debug)]
pub struct Model {
    shown: State,
    /// A whole new state under way, after a reset; `shown` stays until it is whole.
    incoming: Option<Box<State>>,
    connection: Connection,
    /// When the clock stopped because the connection was lost.
    stopped: Option<Instant>,
    generation: u64,
    limits: Limits,
}

#[derive(Clone, Debug, Default)]
struct State {
    process: Option<Process>,
    tasks: HashMap<TaskId, Tracked>,
    sites: HashMap<SiteId, Site>,
    workers: BTreeMap<WorkerId, Worker>,
    runtimes: BTreeMap<RuntimeId, Runtime>,
    findings: Findings,
    drops: Vec<Drop>,
    busy_history: HashMap<WorkerId, VecDeque<f32>>,
    /// Tasks whose current poll is over the limit, and for how long it was at the
    /// snapshot.
    held: HashMap<TaskId, Duration>,
    unreadable: u64,
    overflowed: u64,
    complete: bool,
    snapshot: u64,
    now_unix_ns: u64,
    /// The program's clock at the snapshot before this one.
    before_unix_ns: u64,
    received: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Tracked {
    task: Task,
    /// Share of the interval before `as_of` that it was busy.
    load: Option<f32>,
    as_of: u64,
}

impl Model {
    /// Knows nothing yet.
    pub fn new(connection: Connection) -> Self {
        Self::with_limits(connection, LIMITS)
    }

    /// Knows nothing yet, and will not hold more than `limits`.
    pub fn with_limits(connection: Connection, limits: Limits) -> Self {
        Self {
            shown: State::default(),
            incoming: None,
            connection,
            stopped: None,
            generation: 0,
            limits,
        }
    }

    /// Takes in what came `at` this moment.
    pub fn apply(&mut self, update: Update, at: Instant) {
        self.generation += 1;
        self.stopped = None;
        if update.reset {
            self.reset();
        }
        let complete = update.snapshot_complete;
        let target = self.incoming.as_deref_mut().unwrap_or(&mut self.shown);
        target.apply(update, at, &self.limits);
        if complete && let Some(mut whole) = self.incoming.take() {
            if whole.same_process(&self.shown) {
                whole.findings.remember(&self.shown.findings);
            }
            self.shown = *whole;
        }
    }

    fn reset(&mut self) {
        if self.shown.process.is_none() {
            self.shown = State::default();
        } else {
            self.incoming = Some(Box::default());
        }
    }

    /// The connection is now in this state.
    pub fn connection_changed(&mut self, connection: Connection, at: Instant) {
        self.generation += 1;
        if let Connection::Lost { trouble, .. } = &connection {
            self.stopped.get_or_insert(at);
            self.incoming = None;
            if matches!(trouble, Trouble::Ended | Trouble::Refused) {
                self.shown.findings.end_all();
            }
        }
        self.connection = connection;
    }

    /// Grows with every change; equal numbers mean nothing changed.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How it stands with the program.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The program, once it told about itself.
    pub fn process(&self) -> Option<&Process> {
        self.shown.process.as_ref()
    }

    /// A task that is alive.
    pub fn task(&self, id: TaskId) -> Option<&Task> {
        self.shown.tasks.get(&id).map(|tracked| &tracked.task)
    }

    /// All tasks that are alive, in no order.
    pub fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.shown.tasks.values().map(|tracked| &tracked.task)
    }

    /// Number of tasks.
    pub fn task_count(&self) -> usize {
        self.shown.tasks.len()
    }

    /// Share of the last interval that a task was busy, 0 to 1. A poll that goes on
    /// counts as well, though programs add it up only when it ends.
    pub fn load(&self, id: TaskId) -> Option<f32> {
        let tracked = self.shown.tasks.get(&id)?;
        if let Some(held) = self.shown.held.get(&id) {
            return Some(share(*held, self.shown.interval_ns()));
        }
        if tracked.as_of == self.shown.snapshot {
            tracked.load
        } else {
            tracked.task.busy.map(|_| 0.0)
        }
    }

    /// For how long the task's current poll has held its worker, if that is over
    /// the limit.
    pub fn held_for(&self, id: TaskId, at: Instant) -> Option<Duration> {
        let held = self.shown.held.get(&id)?;
        Some(held.saturating_add(self.since_update(at)))
    }

    /// The task's longest poll. One that goes on counts when it is over the limit:
    /// what blocks now must not hide until it is over.
    pub fn longest(&self, task: &Task) -> Option<Duration> {
        task.longest.max(self.shown.held.get(&task.id).copied())
    }

    /// A place that spawns tasks.
    pub fn site(&self, id: SiteId) -> Option<&Site> {
        self.shown.sites.get(&id)
    }

    /// All places, in no order.
    pub fn sites(&self) -> impl Iterator<Item = &Site> {
        self.shown.sites.values()
    }

    /// All workers, by number.
    pub fn workers(&self) -> impl Iterator<Item = &Worker> {
        self.shown.workers.values()
    }

    /// A worker.
    pub fn worker(&self, id: WorkerId) -> Option<&Worker> {
        self.shown.workers.get(&id)
    }

    /// A worker's busy shares, one per snapshot, oldest first.
    pub fn busy_history(&self, id: WorkerId) -> impl DoubleEndedIterator<Item = f32> + '_ {
        self.shown
            .busy_history
            .get(&id)
            .into_iter()
            .flatten()
            .copied()
    }

    /// All runtimes, by number.
    pub fn runtimes(&self) -> impl Iterator<Item = &Runtime> {
        self.shown.runtimes.values()
    }

    /// All findings.
    pub fn findings(&self) -> &Findings {
        &self.shown.findings
    }

    /// What the program left out.
    pub fn drops(&self) -> &[Drop] {
        &self.shown.drops
    }

    /// What this dashboard left out because a table was full.
    pub fn overflowed(&self) -> u64 {
        self.shown.overflowed
    }

    /// Findings this dashboard did not understand.
    pub fn unreadable(&self) -> u64 {
        self.shown.unreadable
    }

    /// The program's clock `at` this moment, nanoseconds since the Unix epoch. It
    /// stands still while there is no connection.
    pub fn now_unix_ns(&self, at: Instant) -> u64 {
        let since = duration_ns(self.since_update(at));
        self.shown.now_unix_ns.saturating_add(since)
    }

    /// Time since a moment on the program's clock.
    pub fn since(&self, unix_ns: u64, at: Instant) -> Duration {
        Duration::from_nanos(self.now_unix_ns(at).saturating_sub(unix_ns))
    }

    /// For how long a worker's current poll has held it.
    ///
    /// A poll below the limit is shown as the snapshot had it: by now it is
    /// over. One above is taken to go on until the next update says otherwise.
    pub fn current_poll(&self, worker: &Worker, at: Instant) -> Option<Duration> {
        worker.current_task?;
        if self.is_over_limit(worker.current_poll) {
            Some(worker.current_poll.saturating_add(self.since_update(at)))
        } else {
            Some(worker.current_poll)
        }
    }

    /// Whether a poll of this duration is a slow poll.
    pub fn is_over_limit(&self, poll: Duration) -> bool {
        self.limit().is_some_and(|limit| poll >= limit)
    }

    /// The limit a poll has to reach to be a slow poll.
    pub fn limit(&self) -> Option<Duration> {
        self.process().and_then(|process| process.max_poll)
    }

    /// For how long an ongoing finding has lasted: by the worker that polls its
    /// task, else at least, as it was over the limit when it was last reported.
    pub fn ongoing_for(&self, finding: &Finding, at: Instant) -> Option<Duration> {
        if !finding.ongoing {
            return None;
        }
        let polled = self
            .worker_of(finding)
            .filter(|worker| self.is_over_limit(worker.current_poll))
            .and_then(|worker| self.current_poll(worker, at));
        Some(polled.unwrap_or_else(|| {
            finding.limit.unwrap_or_default() + self.since(finding.last_unix_ns, at)
        }))
    }

    /// The worker that polls the finding's task now.
    pub fn worker_of(&self, finding: &Finding) -> Option<&Worker> {
        self.workers().find(|worker| {
            worker
                .current_task
                .and_then(|id| self.task(id))
                .is_some_and(|task| is_about(finding, task))
        })
    }

    /// Findings about this task, in order.
    pub fn findings_of(&self, task: &Task) -> impl Iterator<Item = &Finding> {
        self.findings()
            .iter()
            .map(|seen| &seen.finding)
            .filter(move |finding| is_about(finding, task))
    }

    /// Findings about tasks that were spawned at this place, in order.
    pub fn findings_at(&self, site: &Site) -> impl Iterator<Item = &Finding> {
        self.findings()
            .iter()
            .map(|seen| &seen.finding)
            .filter(move |finding| {
                let spawned_at = finding
                    .task
                    .as_ref()
                    .and_then(|task| task.spawned_at.as_ref());
                spawned_at.is_some() && spawned_at == site.location.as_ref()
            })
    }

    /// The first finding about each task that has one, by the number that
    /// [`Task::number`] gives.
    pub fn accused(&self) -> HashMap<u64, &Finding> {
        let mut accused = HashMap::new();
        for seen in self.findings().iter() {
            if let Some(task) = &seen.finding.task {
                accused.entry(task.id).or_insert(&seen.finding);
            }
        }
        accused
    }

    fn since_update(&self, at: Instant) -> Duration {
        let at = self.stopped.map_or(at, |stopped| stopped.min(at));
        self.shown
            .received
            .map_or(Duration::ZERO, |then| at.saturating_duration_since(then))
    }
}

impl State {
    fn apply(&mut self, update: Update, at: Instant, limits: &Limits) {
        self.turn_clock(&update, at);
        self.unreadable = self.unreadable.saturating_add(update.unreadable);
        if let Some(process) = update.process {
            self.process = Some(process);
        }
        if let Some(drops) = update.drops {
            self.drops = drops;
        }
        for id in update.ended_tasks {
            self.tasks.remove(&id);
        }
        for id in update.ended_workers {
            self.workers.remove(&id);
            self.busy_history.remove(&id);
        }
        for id in update.ended_runtimes {
            self.runtimes.remove(&id);
        }
        let mut over = 0;
        over += self.put_tasks(update.tasks, limits.tasks);
        for site in update.sites {
            over += put(&mut self.sites, site.id, site, limits.sites);
        }
        for worker in update.workers {
            let worker = self.with_current_poll(worker);
            over += put_ordered(&mut self.workers, worker.id, worker, limits.workers);
        }
        for runtime in update.runtimes {
            over += put_ordered(&mut self.runtimes, runtime.id, runtime, limits.runtimes);
        }
        let appeared = self.complete.then_some(at);
        over += self
            .findings
            .merge(update.findings, limits.findings, appeared);
        self.overflowed = self.overflowed.saturating_add(over);
        self.note_held();
        if update.snapshot_complete {
            self.complete = true;
            self.note_busy_shares();
        }
    }

    fn turn_clock(&mut self, update: &Update, at: Instant) {
        if update.snapshot != self.snapshot {
            self.before_unix_ns = self.now_unix_ns;
        }
        self.snapshot = update.snapshot;
        self.now_unix_ns = update.now_unix_ns;
        self.received = Some(at);
    }

    fn put_tasks(&mut self, tasks: Vec<Task>, limit: usize) -> u64 {
        let interval = self.interval_ns();
        let as_of = self.snapshot;
        let mut dropped = 0;
        for task in tasks {
            let before = self.tasks.get(&task.id);
            if before.is_none() && self.tasks.len() >= limit {
                dropped += 1;
                continue;
            }
            let load = load(before.map(|tracked| &tracked.task), &task, interval);
            let tracked = Tracked { task, load, as_of };
            self.tasks.insert(tracked.task.id, tracked);
        }
        dropped
    }

    /// Time between the last two snapshots; 0 if there was only one.
    fn interval_ns(&self) -> u64 {
        match self.before_unix_ns {
            0 => 0,
            before => self.now_unix_ns.saturating_sub(before),
        }
    }

    /// A worker as told, but with the poll that goes on counted as busy.
    fn with_current_poll(&self, mut worker: Worker) -> Worker {
        if worker.current_task.is_some() && self.interval_ns() > 0 {
            let held = f64::from(share(worker.current_poll, self.interval_ns()));
            worker.busy_share = worker.busy_share.map(|busy| busy.max(held));
        }
        worker
    }

    fn note_held(&mut self) {
        let limit = self.process.as_ref().and_then(|it| it.max_poll);
        self.held = self
            .workers
            .values()
            .filter(|worker| limit.is_some_and(|limit| worker.current_poll >= limit))
            .filter_map(|worker| Some((worker.current_task?, worker.current_poll)))
            .collect();
    }

    fn note_busy_shares(&mut self) {
        for worker in self.workers.values() {
            if let Some(share) = worker.busy_share {
                let history = self.busy_history.entry(worker.id).or_default();
                if history.len() >= HISTORY {
                    history.pop_front();
                }
                history.push_back(share as f32);
            }
        }
    }

    fn same_process(&self, other: &State) -> bool {
        match (&self.process, &other.process) {
            (Some(a), Some(b)) => a.pid == b.pid && a.started_unix_ns == b.started_unix_ns,
            _ => false,
        }
    }
}

/// Whether a finding is about this task. Findings name tasks by tokio's number
/// where there is one, else by asyncwatch's.
pub(super) fn is_about(finding: &Finding, task: &Task) -> bool {
    finding
        .task
        .as_ref()
        .is_some_and(|it| it.id == task.number())
}

/// Share of the interval that the task was busy; none where that is not measured
/// or the task was not there before.
fn load(before: Option<&Task>, now: &Task, interval_ns: u64) -> Option<f32> {
    let gained = now.busy?.saturating_sub(before?.busy?);
    (interval_ns > 0).then(|| share(gained, interval_ns))
}

fn share(part: Duration, interval_ns: u64) -> f32 {
    (duration_ns(part) as f32 / interval_ns.max(1) as f32).min(1.0)
}

fn put<K: Eq + Hash, V>(map: &mut HashMap<K, V>, key: K, value: V, limit: usize) -> u64 {
    if map.len() >= limit && !map.contains_key(&key) {
        return 1;
    }
    map.insert(key, value);
    0
}

fn put_ordered<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V, limit: usize) -> u64 {
    if map.len() >= limit && !map.contains_key(&key) {
        return 1;
    }
    map.insert(key, value);
    0
}

fn duration_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
