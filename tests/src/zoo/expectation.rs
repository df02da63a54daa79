//! What a specimen's head says has to be reported, in the words of a report.

use std::collections::BTreeMap;

use anyhow::Context;

/// What makes a finding the right one.
#[derive(Debug, PartialEq)]
pub(crate) struct Expectation {
    /// The code.
    pub(crate) code: &'static str,
    /// Any of these is the right class; none if the code has no classes.
    pub(crate) classes: &'static [&'static str],
    /// The system call begins with one of these; nothing is said of it if empty.
    pub(crate) syscalls: Vec<String>,
    /// The culprit is at one of these lines.
    pub(crate) lines: Vec<u64>,
    /// Name of the async function that the finding has to show.
    pub(crate) async_fn: Option<String>,
    /// The help has these words, if the head asks for some.
    pub(crate) help: Option<String>,
}

/// First word of a class in a head, the code it stands for, and the classes of a
/// finding that say the same.
const CLASSES: &[(&str, &str, &[&str])] = &[
    ("cpu", "slow-poll", &["cpu", "mixed"]),
    ("lock", "slow-poll", &["blocked"]),
    ("parked", "slow-poll", &["blocked"]),
    ("deadlock", "slow-poll", &["blocked"]),
    ("syscall", "slow-poll", &["blocked", "mixed"]),
    ("starved", "starved-worker", &[]),
    ("never-polled", "never-awaited", &[]),
    ("leaked", "task-leaked", &[]),
    ("task-panicked", "panic-unobserved", &[]),
    ("panicked", "panic-unobserved", &[]),
    ("nested-runtime", "nested-block-on", &[]),
    ("pool-exhausted", "blocking-pool-saturated", &[]),
    // Codes that stand for themselves.
    ("starved-worker", "starved-worker", &[]),
    ("never-awaited", "never-awaited", &[]),
    ("task-leaked", "task-leaked", &[]),
    ("panic-unobserved", "panic-unobserved", &[]),
    ("nested-block-on", "nested-block-on", &[]),
    ("blocking-pool-saturated", "blocking-pool-saturated", &[]),
    (
        "blocking-outlives-runtime",
        "blocking-outlives-runtime",
        &[],
    ),
    ("self-wake", "self-wake", &[]),
    ("lost-waker", "lost-waker", &[]),
    ("never-yielded", "never-yielded", &[]),
    ("large-future", "large-future", &[]),
    ("unjoined", "unjoined", &[]),
    ("timer-burst", "timer-burst", &[]),
    ("async-contention", "async-contention", &[]),
];

/// These are about a task as a whole: the line that spawned it is as right as the line
/// in its code.
const OF_A_TASK: &[&str] = &[
    "never-yielded",
    "starved-worker",
    "task-leaked",
    "panic-unobserved",
    "large-future",
    "unjoined",
];

impl Expectation {
    pub(crate) fn new(
        head: &BTreeMap<String, String>,
        marks: &BTreeMap<String, Vec<u64>>,
    ) -> anyhow::Result<Expectation> {
        let class = head.get("class").context("no `class` in the head")?;
        let word = class.split_whitespace().next().unwrap_or_default();
        let (_, code, classes) = CLASSES
            .iter()
            .find(|(name, ..)| *name == word)
            .with_context(|| format!("class `{word}` is unknown to the runner"))?;
        // Copying pages in the kernel is computing, to whoever counts CPU time.
        let classes: &[&str] = match class.contains("system CPU") {
            true => &["blocked", "mixed", "cpu"],
            false => classes,
        };
        let mut lines = marks.get("culprit").cloned().unwrap_or_default();
        if OF_A_TASK.contains(code) {
            lines.extend(marks.get("spawn").into_iter().flatten());
        }
        Ok(Expectation {
            code,
            classes,
            syscalls: syscalls(word, class),
            lines,
            async_fn: head.get("async_fn").and_then(|path| function(path)),
            help: head.get("help").cloned(),
        })
    }
}

/// The calls in `syscall poll / read / wait4 (…)`; a lock is waited for in `futex`.
fn syscalls(word: &str, class: &str) -> Vec<String> {
    match word {
        "lock" | "parked" | "deadlock" => vec!["futex".to_owned()],
        "syscall" => class
            .split(['(', ';'])
            .next()
            .unwrap_or_default()
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|name| !name.is_empty() && *name != "syscall")
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

/// `signup` of `b03::Accounts::signup (axum handler), at …`; nothing of `none`.
fn function(path: &str) -> Option<String> {
    let path = path.split([' ', ',']).next()?;
    let (_, name) = path.rsplit_once("::")?;
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(class: &str) -> Expectation {
        let head = [
            ("class", class),
            ("async_fn", "b01::Client::save (axum), at MARK:async_fn"),
        ];
        let head = head.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let marks = [
            ("culprit".to_owned(), vec![3]),
            ("spawn".to_owned(), vec![9]),
        ];
        Expectation::new(&head.into(), &marks.into()).unwrap()
    }

    #[test]
    fn classes_are_codes_and_classes_of_findings() {
        let wait = of("syscall poll / read / wait4 (waiting for a child)");
        assert_eq!(wait.code, "slow-poll");
        assert_eq!(wait.syscalls, ["poll", "read", "wait4"]);
        assert_eq!(wait.lines, [3]);
        assert_eq!(wait.async_fn.as_deref(), Some("save"));
        let lock = of("lock (futex wait; no CPU on the worker)");
        assert_eq!(
            (lock.classes, lock.syscalls),
            (&["blocked"][..], vec!["futex".to_owned()])
        );
        assert!(
            of("syscall write + fsync (system CPU, then waiting)")
                .classes
                .contains(&"cpu")
        );
        assert_eq!(of("never-polled future").code, "never-awaited");
        assert_eq!(of("self-wake storm (100 000s of polls)").code, "self-wake");
    }

    #[test]
    fn a_finding_about_a_task_may_stand_where_it_was_spawned() {
        assert_eq!(of("leaked (25 live tasks)").lines, [3, 9]);
        assert_eq!(of("task-panicked (unobserved); then idle").lines, [3, 9]);
    }

    #[test]
    fn unknown_classes_are_refused() {
        let head = [("class".to_owned(), "haunted".to_owned())];
        assert!(Expectation::new(&head.into(), &BTreeMap::new()).is_err());
    }
}
