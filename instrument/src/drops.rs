//! What was left out because a bound was reached: counted here, shown everywhere.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use asyncwatch_findings::{Code, Drop};

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
    /// Occurrences of a kind of finding that could not be queued.
    Events(Code),
    /// Warnings about the configuration or the system that could not be queued.
    Warnings,
    /// Attempts to capture a stack that failed while the poll went on.
    Captures,
    /// Distinct findings past the bound.
    Findings,
    /// Report-file writes that failed.
    Writes,
    /// Dashboards turned away, past the bound on connections.
    Clients,
}

const PLAIN: &[What] = &[
    What::Tasks,
    What::Polls,
    What::Threads,
    What::Sites,
    What::Names,
    What::Warnings,
    What::Captures,
    What::Findings,
    What::Writes,
    What::Clients,
];

const COUNT: usize = PLAIN.len() + Code::ALL.len();

static COUNTS: [AtomicU64; COUNT] = [const { AtomicU64::new(0) }; COUNT];

impl What {
    fn counter(self) -> &'static AtomicU64 {
        let at = match self {
            What::Events(code) => PLAIN.len() + code as usize,
            What::Tasks => 0,
            What::Polls => 1,
            What::Threads => 2,
            What::Sites => 3,
            What::Names => 4,
            What::Warnings => 5,
            What::Captures => 6,
            What::Findings => 7,
            What::Writes => 8,
            What::Clients => 9,
        };
        &COUNTS[at]
    }
}

/// Counts one.
pub(crate) fn count(what: What) {
    what.counter().fetch_add(1, Relaxed);
}

/// Everything with a count above zero.
pub(crate) fn list() -> Vec<Drop> {
    let events = Code::ALL.iter().map(|&code| What::Events(code));
    PLAIN
        .iter()
        .copied()
        .chain(events)
        .filter_map(|what| {
            let count = what.counter().load(Relaxed);
            (count > 0).then(|| describe(what, count))
        })
        .collect()
}

fn describe(what: What, count: u64) -> Drop {
    let (name, detail) = match what {
        What::Events(code) => {
            return Drop {
                what: format!("{code}-events"),
                count,
                detail: "they came faster than they could be reported, and are in no count"
                    .to_owned(),
            };
        }
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
        What::Warnings => (
            "warnings",
            "warnings about settings or the system that came all at once",
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
        What::Clients => (
            "clients",
            "dashboards turned away because 8 watched already, or 32 were connected",
        ),
    };
    Drop {
        what: name.to_owned(),
        count,
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_counter_of_its_own() {
        let events = Code::ALL.iter().map(|&code| What::Events(code));
        let mut counters: Vec<*const AtomicU64> = PLAIN
            .iter()
            .copied()
            .chain(events)
            .map(|what| what.counter() as *const AtomicU64)
            .collect();
        counters.sort_unstable();
        counters.dedup();
        assert_eq!(counters.len(), COUNT);
    }
}
