//! What was left out because a bound was reached: counted here, shown everywhere.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use asyncwatch_findings::Drop;

/// The bounded things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Tasks that got no entry: they are not watched.
    Tasks,
    /// Polls of tasks without an entry, or nested too deeply.
    Polls,
    /// Threads that got no slot: nothing on them is watched.
    Threads,
    /// Spawn locations that got no entry of their own.
    Sites,
    /// Distinct task names.
    Names,
    /// Slow polls whose end could not be queued.
    Events,
    /// Attempts to capture a stack that failed while the poll went on.
    Captures,
    /// Distinct findings past the bound.
    Findings,
    /// Report-file writes that failed.
    Writes,
    /// Dashboards turned away, past the bound on connections.
    Clients,
}

const COUNT: usize = What::Clients as usize + 1;

static COUNTS: [AtomicU64; COUNT] = [const { AtomicU64::new(0) }; COUNT];

const ALL: [What; COUNT] = [
    What::Tasks,
    What::Polls,
    What::Threads,
    What::Sites,
    What::Names,
    What::Events,
    What::Captures,
    What::Findings,
    What::Writes,
    What::Clients,
];

/// Counts one.
pub(crate) fn count(what: What) {
    COUNTS[what as usize].fetch_add(1, Relaxed);
}

/// Everything with a count above zero.
pub(crate) fn list() -> Vec<Drop> {
    ALL.iter()
        .filter_map(|&what| {
            let count = COUNTS[what as usize].load(Relaxed);
            (count > 0).then(|| describe(what, count))
        })
        .collect()
}

fn describe(what: What, count: u64) -> Drop {
    let (name, detail) = match what {
        What::Tasks => (
            "tasks",
            "tasks beyond the 1,048,576 that are watched at a time",
        ),
        What::Polls => ("polls", "polls that could not be told to a task"),
        What::Threads => (
            "threads",
            "threads beyond the 1,024 that are watched at a time",
        ),
        What::Sites => (
            "sites",
            "spawn locations beyond 4,096; their tasks are added up under one",
        ),
        What::Names => ("names", "task names beyond 4,096 distinct ones"),
        What::Events => (
            "events",
            "slow polls and dropped futures that came faster than they could be reported",
        ),
        What::Captures => (
            "captures",
            "stacks that could not be taken, mostly because the thread had no CPU to answer",
        ),
        What::Findings => ("findings", "sites with findings beyond 1,024"),
        What::Writes => (
            "writes",
            "lines that could not be written to the report file",
        ),
        What::Clients => ("clients", "dashboards turned away because 8 were connected"),
    };
    Drop {
        what: name.to_owned(),
        count,
        detail: detail.to_owned(),
    }
}
