//! The sentences that tell a finding: its message, why the time passed, and where
//! things happened.
//!
//! Everything here is plain text on one line; where it goes is
//! [`render`](crate::render)'s business.

use std::time::Duration;

use crate::{Class, Code, Finding, Frame, Location, TaskRef, blame, display_name, place};

/// A duration as people say it: `512 ms`, `1.24 s`, `38 µs`, `2 min 5 s`.
///
/// ```
/// use std::time::Duration;
/// use asyncwatch_findings::humanise;
///
/// assert_eq!(humanise(Duration::from_micros(38)), "38 µs");
/// assert_eq!(humanise(Duration::from_micros(1_240_000)), "1.24 s");
/// ```
pub fn humanise(duration: Duration) -> String {
    let ns = duration.as_nanos();
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => three_digits(ns as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => three_digits(ns as f64 / 1e6, "ms"),
        1_000_000_000..60_000_000_000 => three_digits(ns as f64 / 1e9, "s"),
        _ => minutes(duration.as_secs()),
    }
}

/// At most three significant digits, without trailing zeros.
fn three_digits(value: f64, unit: &str) -> String {
    let decimals = match value {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    let mut text = format!("{value:.decimals$}");
    if decimals > 0 {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    format!("{text} {unit}")
}

fn minutes(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, 0, _) => format!("{hours} h"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// What one slow poll's message is made of.
#[derive(Clone, Copy, Debug)]
pub struct SlowPoll<'a> {
    /// The task that was polled, where it is known.
    pub task: Option<&'a TaskRef>,
    /// The thread it held, for people: `worker 1`, `thread main`.
    pub worker: Option<&'a str>,
    /// For how long, so far.
    pub wall: Duration,
    /// The limit it reached.
    pub limit: Duration,
    /// Whether it still does.
    pub ongoing: bool,
    /// Why the time passed, where that is known.
    pub class: Option<Class>,
}

/// One sentence about a poll that reached the limit.
pub fn slow_poll(poll: &SlowPoll<'_>) -> String {
    let task = task_name(poll.task);
    let worker = poll.worker.unwrap_or("its thread");
    let wall = humanise(poll.wall);
    let limit = humanise(poll.limit);
    match (poll.class, poll.ongoing) {
        (Some(Class::Descheduled), true) => {
            format!(
                "{task} has been in one poll on {worker} for {wall}, mostly waiting for a CPU (limit {limit})"
            )
        }
        (Some(Class::Descheduled), false) => {
            format!(
                "{task} took {wall} for one poll on {worker}, mostly waiting for a CPU (limit {limit})"
            )
        }
        (_, true) => format!("{task} has held {worker} for {wall} and still does (limit {limit})"),
        (_, false) => format!("{task} held {worker} for {wall} (limit {limit})"),
    }
}

/// One sentence about a line that was slow in a poll of `wall` beside another one: `here`
/// is the time that was spent there.
pub fn slow_beside(
    task: Option<&TaskRef>,
    worker: Option<&str>,
    wall: Duration,
    here: Duration,
    limit: Duration,
) -> String {
    let task = task_name(task);
    let worker = worker.unwrap_or("its thread");
    format!(
        "{task} held {worker} for {}, {} of it here (limit {})",
        humanise(wall),
        humanise(here),
        humanise(limit)
    )
}

/// One sentence about a task whose first poll has lasted for `wall` by now, or in all.
pub fn never_yielded(task: Option<&TaskRef>, wall: Duration, ongoing: bool) -> String {
    let task = task_name(task);
    let wall = humanise(wall);
    if ongoing {
        format!(
            "{task} has not yielded once in the {wall} since its first poll began: until it does, it cannot be cancelled or timed out"
        )
    } else {
        format!(
            "{task} did not yield once in the {wall} of its first poll: for so long it could not be cancelled or timed out"
        )
    }
}

/// One sentence about tasks that queue for a lock of tokio: its type, how many queued at
/// once, and how long the longest waited or, if that is `ongoing`, has waited so far.
pub fn async_contention(lock: &str, waiting: usize, longest: Duration, ongoing: bool) -> String {
    let longest = humanise(longest);
    let wait = match (waiting, ongoing) {
        (..=1, true) => format!("a task has waited {longest}"),
        (..=1, false) => format!("a task waited {longest}"),
        (n, true) => format!("{n} tasks queue, the longest for {longest},"),
        (n, false) => format!("{n} tasks queued, the longest for {longest},"),
    };
    let held = if ongoing {
        "holds while it awaits"
    } else {
        "held while it awaited"
    };
    format!("{wait} for a `{lock}` that another task {held} something")
}

/// One sentence about an interval that made up for missed ticks.
pub fn timer_burst(ticks: u64, within: Duration, stall: Duration) -> String {
    format!(
        "an interval ticked {ticks} times within {} to make up for {} without a tick",
        humanise(within),
        humanise(stall)
    )
}

/// One sentence about a future that was dropped without ever having been polled.
///
/// `future` is the name of the async function that made it, or its type's.
pub fn never_awaited(future: &str) -> String {
    match display_name(future).as_str() {
        name @ ("async block" | "async closure" | "async fn") => {
            format!(
                "a future made by an {name} was dropped without ever being awaited: its code never ran"
            )
        }
        "" | "unknown function" => {
            "a future was dropped without ever being awaited: its code never ran".to_owned()
        }
        name => format!(
            "the future of `{name}` was dropped without ever being awaited: its code never ran"
        ),
    }
}

/// How a task is called in a sentence.
pub fn task_name(task: Option<&TaskRef>) -> String {
    let Some(task) = task else {
        return "a task".to_owned();
    };
    let what = match task.kind.as_str() {
        "local" => "local task",
        "block_on" => "root future",
        "future" => "future",
        _ => "task",
    };
    match short_name(&task.name) {
        Some(name) => format!("{what} `{name}`"),
        None if task.kind == "block_on" => "the root future".to_owned(),
        None => format!("{what} {}", task.id),
    }
}

/// A name that the program gave is kept as it is; a type's name is shortened.
fn short_name(name: &str) -> Option<String> {
    let is_type = name.contains("::") || name.contains('{');
    match name {
        "" => None,
        name if is_type && name.contains(' ') && !name.contains('<') => Some(name.to_owned()),
        name if is_type => Some(display_name(name)),
        name => Some(name.to_owned()),
    }
}

/// Why the time passed, as the line below the source: `blocked in clock_nanosleep
/// for 511 ms; 37 tasks waited behind it`.
pub fn cause(finding: &Finding) -> Option<String> {
    if finding.label.is_some() {
        return finding.label.clone();
    }
    if finding.code == Code::NeverAwaited {
        return Some("made here, never awaited".to_owned());
    }
    let waited = finding
        .queued_behind
        .filter(|&tasks| tasks > 0)
        .map(|tasks| waited_behind(tasks, finding.waited_behind, finding.ongoing));
    let parts: Vec<String> = time_spent(finding).into_iter().chain(waited).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn time_spent(finding: &Finding) -> Option<String> {
    let class = finding.class?;
    let has = if finding.ongoing { "has been " } else { "" };
    let of = |part: Option<Duration>| part.or(finding.wall).map(humanise).unwrap_or_default();
    let place = finding
        .syscall
        .as_ref()
        .map(|call| format!(" in {call}"))
        .unwrap_or_default();
    Some(match class {
        Class::Blocked => format!("{has}blocked{place} for {}", of(finding.blocked)),
        Class::Cpu if finding.ongoing => format!("has been computing for {}", of(finding.cpu)),
        Class::Cpu => format!("computed for {}", of(finding.cpu)),
        Class::Mixed => format!(
            "computed for {} and was blocked{place} for {}",
            of(finding.cpu),
            of(finding.blocked)
        ),
        Class::Descheduled => format!(
            "was ready to run for {}, but the machine had no CPU for it",
            of(finding.run_delay)
        ),
    })
}

/// Who seems to hold the lock that a poll waits for, and what it does: `frames` are
/// those of its stack.
pub fn lock_holder(thread: &str, frames: &[Frame]) -> String {
    let blame = blame(frames);
    let users = frames
        .iter()
        .filter(|frame| frame.user && frame.line.is_some());
    // The innermost two, in the order of the calls.
    let mut users: Vec<&Frame> = users.take(2).collect();
    users.reverse();
    let mut calls: Vec<String> = users.iter().map(|frame| call(frame)).collect();
    let called = blame.blocking.and_then(|at| frames.get(at));
    if let Some(called) = called.filter(|frame| !frame.user && !frame.function.is_empty()) {
        calls.push(format!("`{}`", frame_label(called)));
    }
    let seems = format!("the lock seems to be held by {thread}");
    match calls.as_slice() {
        [] => seems,
        calls => format!("{seems}, in {}", calls.join(", which called ")),
    }
}

/// `` `compact` at src/index.rs:22 ``.
fn call(frame: &Frame) -> String {
    let file = frame.file.as_deref().map_or("?", place::tail);
    let line = frame.line.unwrap_or_default();
    format!("`{}` at {file}:{line}", frame_label(frame))
}

/// Fewer major faults than these are the ordinary start of a program.
const MAJOR_FAULTS_MIN: u64 = 16;
/// Minor faults in a second of computing that take about a quarter of it, at half a
/// microsecond each.
const MINOR_FAULTS_A_SECOND: f64 = 500_000.0;
const MINOR_FAULTS_MIN: u64 = 1_000;

/// What page faults have to do with the time of a poll, if they are so many that they
/// have.
pub fn page_faults(minor: u64, major: u64, cpu: Duration) -> Option<String> {
    if major >= MAJOR_FAULTS_MIN {
        return Some(format!(
            "took {} major page faults: it waited for memory to be read from disk, that of mapped \
             files or what was swapped out",
            grouped(major)
        ));
    }
    let share = cpu.as_secs_f64() * MINOR_FAULTS_A_SECOND;
    (minor >= MINOR_FAULTS_MIN && minor as f64 >= share).then(|| {
        format!(
            "took {} page faults on memory that was new to it: much of the time went into getting \
             memory from the kernel; reuse buffers",
            grouped(minor)
        )
    })
}

/// `1,204`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The note where most looks found it so.
pub const IN_IO: &str = "was in uninterruptible I/O wait most of the time: a disk or a network \
     file system is slow, or the machine is short of memory";

fn waited_behind(tasks: u64, waited: Option<Duration>, ongoing: bool) -> String {
    let fact = match (tasks, ongoing) {
        (1, true) => "1 task waits behind it".to_owned(),
        (1, false) => "1 task waited behind it".to_owned(),
        (_, true) => format!("{tasks} tasks wait behind it"),
        (_, false) => format!("{tasks} tasks waited behind it"),
    };
    match waited {
        Some(waited) if tasks == 1 => format!("{fact}, for {}", humanise(waited)),
        Some(waited) => format!("{fact}, {} in all", humanise(waited)),
        None => fact,
    }
}

/// A frame as people call it: its function, or the module and offset where no
/// symbol is known.
pub fn frame_label(frame: &Frame) -> String {
    match (&frame.module, frame.offset) {
        _ if !frame.function.is_empty() => crate::frames::frame_name(frame),
        (Some(module), Some(offset)) => format!("{}+{offset:#x}", file_name(module)),
        (Some(module), None) => file_name(module).to_owned(),
        (None, _) => "unknown function".to_owned(),
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

#[cfg(test)]
mod tests;
