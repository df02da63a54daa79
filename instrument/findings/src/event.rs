//! The report stream: what an instrumented program tells `asyncwatch check` and
//! `asyncwatch run`, one JSON document a line.
//!
//! The program appends to `<dir>/<pid>-<start>.jsonl` in the directory that
//! `ASYNCWATCH_REPORT` names, each event with one `write`, so a program that is
//! killed has delivered everything up to its last event; only the last line can
//! be cut short. Later events replace earlier ones: a [`Finding`] the one with its
//! `id`, [`Event::Process`], [`Event::Drops`], [`Event::Totals`] and [`Event::PollTimes`] the one
//! before.

use serde::{Deserialize, Serialize};

use crate::Finding;

/// One line of a report stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// Who reports, and what it can see: the first line, and again on change.
    Process(ProcessInfo),
    /// A finding is new or has changed.
    Finding(Box<Finding>),
    /// A finding turned out to be none: forget the one with this id.
    Withdrawn {
        /// As in [`Finding::id`].
        id: u64,
    },
    /// What was left out because a bound was reached.
    Drops {
        /// Only kinds with a count above zero.
        drops: Vec<Drop>,
    },
    /// How much was watched so far.
    Totals(Totals),
    /// How long polls took so far, where they are timed.
    #[serde(rename = "poll-times")]
    PollTimes {
        /// Number of polls shorter than 2⁸ ns, 2⁹ ns, and so on; the last without a bound.
        /// Zeros at the end are left out.
        counts: Vec<u64>,
    },
    /// The program ended in good order; everything before is complete.
    End {
        /// When, in nanoseconds since the Unix epoch.
        unix_ns: u64,
    },
}

/// An instrumented process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// Version of this format: 1.
    pub schema: u32,
    /// Process id.
    pub pid: u32,
    /// Parent's process id.
    pub ppid: u32,
    /// File name of the executable.
    pub name: String,
    /// The command line, program first.
    pub args: Vec<String>,
    /// Path of the executable.
    pub exe: Option<String>,
    /// When asyncwatch started in it, nanoseconds since the Unix epoch.
    pub started_unix_ns: u64,
    /// Version of the asyncwatch library inside it.
    pub asyncwatch_version: String,
    /// Where its gRPC server listens, once it does.
    pub addr: Option<String>,
    /// `exact` or `light`.
    pub timing: String,
    /// The limit a poll has to reach to be a slow poll, in milliseconds.
    pub max_poll_ms: f64,
    /// What is watched and what is not.
    pub coverage: Vec<Coverage>,
    /// How it was told to watch.
    #[serde(default)]
    pub settings: Vec<Setting>,
}

/// One setting that a process runs with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// As in `asyncwatch.toml`: `max_poll`, `levels.slow-poll`, `limits.large-future`.
    pub name: String,
    /// As people write it.
    pub value: String,
    /// Who said so: `default`, `builder` or the name of an environment variable.
    pub source: String,
}

/// One aspect of what can be seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Stable short name: `spawned-tasks`, `root-future`, `local-set`, `stacks`, `verdict`.
    pub aspect: String,
    /// Whether it is seen.
    pub covered: bool,
    /// A sentence for people: what is seen or not, and what would change that.
    pub detail: String,
}

/// Something left out because a bound was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drop {
    /// Stable short name: `tasks`, `events`, `captures`, `threads`, `findings`.
    pub what: String,
    /// How many, since start.
    pub count: u64,
    /// A sentence for people.
    pub detail: String,
}

/// How much was watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Polls seen.
    pub polls: u64,
    /// Tasks and watched futures seen.
    pub tasks: u64,
    /// Threads that polled something.
    pub threads: u64,
}
