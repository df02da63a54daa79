//! The things a program consists of, as the dashboard sees them. Every one of
//! them is replaced as a whole when a newer version of it arrives.

use std::{fmt, time::Duration};

use asyncwatch_findings::{Coverage, Location, Setting};

use super::Histogram;

/// asyncwatch's own number of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(pub u64);

impl TaskId {
    /// For people: futures that tokio has no number for are numbered from 2^63 on.
    pub fn shown(self) -> u64 {
        self.0 & !(1 << 63)
    }
}

/// Number of a place that spawns tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteId(pub u32);

/// Number of a thread that polls tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u32);

/// Number of a tokio runtime; 0 where it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuntimeId(pub u64);

/// The watched program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// File name of the executable.
    pub name: String,
    /// Process id.
    pub pid: u32,
    /// The command line, program first.
    pub args: Vec<String>,
    /// When it started, nanoseconds since the Unix epoch; 0 if not known.
    pub started_unix_ns: u64,
    /// Version of the asyncwatch library inside it.
    pub version: String,
    /// `exact` or `light`.
    pub timing: String,
    /// The limit a poll has to reach to be a slow poll.
    pub max_poll: Option<Duration>,
    /// Slow polls are not looked for at present.
    pub paused: bool,
    /// What is watched and what is not.
    pub coverage: Vec<Coverage>,
    /// How it was told to watch.
    pub settings: Vec<Setting>,
    /// Operating system and architecture.
    pub platform: String,
}

/// What kind of future a task is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Not told.
    #[default]
    Unknown,
    /// Spawned on a runtime.
    Task,
    /// Spawned on a `LocalSet` or `LocalRuntime`.
    Local,
    /// The root future of a `block_on`.
    BlockOn,
    /// A watched future inside a task.
    Future,
}

impl Kind {
    /// The name for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Unknown => "",
            Kind::Task => "task",
            Kind::Local => "local",
            Kind::BlockOn => "block_on",
            Kind::Future => "future",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a task was doing when the snapshot was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TaskState {
    /// Not told.
    #[default]
    Unknown,
    /// Waits to be woken.
    Idle,
    /// Was woken and waits for a worker.
    Scheduled,
    /// Is being polled.
    Running,
}

impl TaskState {
    /// The name for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            TaskState::Unknown => "",
            TaskState::Idle => "idle",
            TaskState::Scheduled => "ready",
            TaskState::Running => "running",
        }
    }
}

/// One task that is alive.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// asyncwatch's number.
    pub id: TaskId,
    /// tokio's number, where known; the one tokio's own tools print.
    pub tokio_id: Option<u64>,
    /// Given by the program, else the type name of the future, else empty.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Where it was spawned.
    pub site: SiteId,
    /// Task whose poll spawned it.
    pub parent: Option<TaskId>,
    /// What it was doing.
    pub state: TaskState,
    /// When it was spawned, nanoseconds since the Unix epoch.
    pub spawned_unix_ns: u64,
    /// Number of polls.
    pub polls: u64,
    /// Time inside polls.
    pub busy: Option<Duration>,
    /// Time between a wake and the poll that follows.
    pub scheduled: Option<Duration>,
    /// Time neither busy nor scheduled.
    pub idle: Option<Duration>,
    /// The longest poll.
    pub longest: Option<Duration>,
    /// How long its polls took.
    pub poll_times: Option<Histogram>,
    /// Runtime it runs on.
    pub runtime: RuntimeId,
}

impl Task {
    /// tokio's number, else asyncwatch's: the one that findings name it by.
    pub fn number(&self) -> u64 {
        self.tokio_id.unwrap_or_else(|| self.id.shown())
    }
}

/// A place that spawns tasks, with all its tasks added up, ended ones included.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// Its number.
    pub id: SiteId,
    /// Where it is.
    pub location: Option<Location>,
    /// What it spawns.
    pub kind: Kind,
    /// Tasks spawned so far.
    pub spawned: u64,
    /// Tasks alive now.
    pub alive: u64,
    /// Polls of all its tasks.
    pub polls: u64,
    /// Time inside polls.
    pub busy: Option<Duration>,
    /// Time between wakes and polls.
    pub scheduled: Option<Duration>,
    /// The longest poll of any of its tasks.
    pub longest: Option<Duration>,
    /// How long the polls took.
    pub poll_times: Option<Histogram>,
    /// Name its tasks share.
    pub name: String,
}

/// A thread that polls tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    /// Its number.
    pub id: WorkerId,
    /// The operating system's number of the thread.
    pub tid: u32,
    /// The thread's name.
    pub thread_name: String,
    /// What it polls now.
    pub current_task: Option<TaskId>,
    /// For how long the current poll had held the thread at the snapshot.
    pub current_poll: Duration,
    /// Number of polls.
    pub polls: u64,
    /// Time inside polls.
    pub busy: Option<Duration>,
    /// How often it went to sleep.
    pub parks: u64,
    /// Share of the last interval inside polls, 0 to 1.
    pub busy_share: Option<f64>,
    /// Runtime it belongs to.
    pub runtime: RuntimeId,
}

impl Worker {
    /// The thread's name, or its number where it has none.
    pub fn label(&self) -> String {
        if self.thread_name.is_empty() {
            format!("thread {}", self.tid)
        } else {
            self.thread_name.clone()
        }
    }
}

/// Metrics of one tokio runtime.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Runtime {
    /// Its number.
    pub id: RuntimeId,
    /// Its name, if it was given one.
    pub name: String,
    /// `current_thread` or `multi_thread`.
    pub flavor: String,
    /// Number of worker threads.
    pub workers: u32,
    /// Tasks alive.
    pub alive_tasks: u64,
    /// Tasks in the global queue.
    pub global_queue_depth: u64,
    /// Tasks in the workers' own queues.
    pub local_queue_depth: Option<u64>,
    /// Closures that wait for a thread of the blocking pool.
    pub blocking_queue_depth: Option<u64>,
    /// Threads of the blocking pool.
    pub blocking_threads: Option<u64>,
    /// Tasks spawned so far.
    pub spawned_tasks: Option<u64>,
    /// Polls cut short by the cooperative budget.
    pub budget_forced_yields: Option<u64>,
    /// Tasks scheduled from outside the runtime.
    pub remote_schedules: Option<u64>,
    /// How often workers went to sleep.
    pub parks: u64,
    /// Time workers were busy.
    pub busy: Duration,
}
