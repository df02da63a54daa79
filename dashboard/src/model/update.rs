//! One message about the watched program, in the model's own words.

use asyncwatch_findings::{Drop, Finding};

use super::{Process, Runtime, RuntimeId, Site, Task, TaskId, Worker, WorkerId};

/// What changed since the update before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    /// Number of the snapshot that this is part of.
    pub snapshot: u64,
    /// The program's clock, nanoseconds since the Unix epoch.
    pub now_unix_ns: u64,
    /// Forget everything before this is applied.
    pub reset: bool,
    /// The snapshot is whole with this update.
    pub snapshot_complete: bool,
    /// New facts about the program.
    pub process: Option<Process>,
    /// New and changed places.
    pub sites: Vec<Site>,
    /// New and changed tasks.
    pub tasks: Vec<Task>,
    /// Tasks that are gone.
    pub ended_tasks: Vec<TaskId>,
    /// Workers that are gone.
    pub ended_workers: Vec<WorkerId>,
    /// Runtimes that are gone.
    pub ended_runtimes: Vec<RuntimeId>,
    /// New and changed workers.
    pub workers: Vec<Worker>,
    /// New and changed runtimes.
    pub runtimes: Vec<Runtime>,
    /// New and changed findings.
    pub findings: Vec<Finding>,
    /// What the program left out so far.
    pub drops: Option<Vec<Drop>>,
    /// Findings this dashboard could not understand: a newer program's.
    pub unreadable: u64,
}
