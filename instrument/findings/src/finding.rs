//! One finding: the type that everything which observes produces and everything
//! which reports consumes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Code, Level};

/// One problem at one site, with all its occurrences so far.
///
/// Its JSON form is the `findings` element of `asyncwatch check --report json`;
/// durations are written as fractional milliseconds in fields ending in `_ms`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Unique within one process.
    pub id: u64,
    /// What kind of problem it is.
    pub code: Code,
    /// How seriously to take it.
    pub level: Level,
    /// One sentence with the facts of the worst occurrence.
    pub message: String,
    /// How often it was seen at this site.
    pub count: u64,
    /// The newest occurrence has not ended yet.
    #[serde(default)]
    pub ongoing: bool,
    /// First occurrence, nanoseconds since the Unix epoch.
    pub first_unix_ns: u64,
    /// Last occurrence, nanoseconds since the Unix epoch.
    pub last_unix_ns: u64,
    /// How long the worst poll held its thread.
    #[serde(rename = "wall_ms", with = "optional_ms")]
    pub wall: Option<Duration>,
    /// The part of `wall` spent on a CPU.
    #[serde(rename = "cpu_ms", with = "optional_ms")]
    pub cpu: Option<Duration>,
    /// The part of `wall` spent waiting for something other than a CPU.
    #[serde(rename = "blocked_ms", with = "optional_ms")]
    pub blocked: Option<Duration>,
    /// The part of `wall` spent runnable, waiting for a CPU.
    #[serde(rename = "run_delay_ms", with = "optional_ms")]
    pub run_delay: Option<Duration>,
    /// The limit that was reached.
    #[serde(rename = "limit_ms", with = "optional_ms", default)]
    pub limit: Option<Duration>,
    /// Why the time passed.
    pub class: Option<Class>,
    /// The system call it was blocked in, with its object where known:
    /// `clock_nanosleep`, `fsync("/var/lib/app/wal")`.
    pub syscall: Option<String>,
    /// The innermost frame of the user's own code.
    pub culprit: Option<Frame>,
    /// What the culprit called.
    pub blocking_frame: Option<Frame>,
    /// What happens at the culprit's line, in a few words, where `class` does not
    /// tell it: `spawned here, 25 of 25 still alive`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The task it happened in.
    pub task: Option<TaskRef>,
    /// The thread it happened on, for people: `worker 1`, `thread main`.
    #[serde(default)]
    pub worker: Option<String>,
    /// Tasks that were runnable behind it.
    #[serde(default)]
    pub queued_behind: Option<u64>,
    /// For how long tasks waited behind it, all of them added up.
    #[serde(rename = "waited_behind_ms", with = "optional_ms", default)]
    pub waited_behind: Option<Duration>,
    /// What was seen on the thread, heaviest first.
    pub stacks: Vec<Stack>,
    /// What to do about it.
    pub help: Option<String>,
    /// Further facts, one sentence each.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Stable over line shifts, runs and machines.
    pub fingerprint: String,
    /// Why it counts at level allow, where somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Allowed>,
    /// Occurrences that have ended, in the order they did: the longest ones, where there
    /// were more than [`OCCURRENCES_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub occurrences: Vec<Occurrence>,
}

/// Occurrences of one finding that are told apart, of each process.
pub const OCCURRENCES_MAX: usize = 64;

/// One time that something was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occurrence {
    /// When it ended, nanoseconds since the Unix epoch.
    pub ended_unix_ns: u64,
    /// How long it took.
    #[serde(rename = "wall_ms", with = "ms")]
    pub wall: Duration,
    /// The part of that which was the program's own: on a CPU, or waiting for something
    /// other than a CPU.
    #[serde(rename = "own_ms", with = "optional_ms", default)]
    pub own: Option<Duration>,
}

impl Finding {
    /// One occurrence at `unix_ns` of which nothing is known yet but its message.
    pub fn new(code: Code, level: Level, message: impl Into<String>, unix_ns: u64) -> Finding {
        Finding {
            id: 0,
            code,
            level,
            message: message.into(),
            count: 1,
            ongoing: false,
            first_unix_ns: unix_ns,
            last_unix_ns: unix_ns,
            wall: None,
            cpu: None,
            blocked: None,
            run_delay: None,
            limit: None,
            class: None,
            syscall: None,
            culprit: None,
            blocking_frame: None,
            label: None,
            task: None,
            worker: None,
            queued_behind: None,
            waited_behind: None,
            stacks: Vec::new(),
            help: None,
            notes: Vec::new(),
            fingerprint: String::new(),
            allowed: None,
            occurrences: Vec::new(),
        }
    }

    /// How much of the worst occurrence's time was the program's own.
    pub fn own(&self) -> Option<Duration> {
        match (self.cpu, self.blocked) {
            (None, None) => None,
            (cpu, blocked) => Some(cpu.unwrap_or_default() + blocked.unwrap_or_default()),
        }
    }

    /// This one as an occurrence, if it took time and has ended.
    pub fn as_occurrence(&self) -> Option<Occurrence> {
        let wall = self.wall.filter(|_| !self.ongoing)?;
        Some(Occurrence {
            ended_unix_ns: self.last_unix_ns,
            wall,
            own: self.own(),
        })
    }

    /// Adds one to those that are told apart.
    pub fn note_occurrence(&mut self, occurrence: Option<Occurrence>) {
        self.occurrences.extend(occurrence);
        self.bound_occurrences(OCCURRENCES_MAX);
    }

    /// Forgets the shortest occurrences beyond `max`.
    pub fn bound_occurrences(&mut self, max: usize) {
        while self.occurrences.len() > max {
            let all = self.occurrences.iter().enumerate();
            let shortest = all.min_by_key(|(_, occurrence)| occurrence.wall);
            let Some((at, _)) = shortest else { return };
            self.occurrences.remove(at);
        }
    }
}

/// A finding that is known and meant to be passed over.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Allowed {
    /// Why, in somebody's words.
    pub reason: String,
    /// Who says so: a place in a file such as `asyncwatch.toml:12`, or `grace`.
    pub source: String,
}

/// Why a poll took long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// It waited: in a system call, for a lock, for a page.
    Blocked,
    /// It computed.
    Cpu,
    /// Neither part alone reaches the limit, both together do.
    Mixed,
    /// The machine had no CPU for it: not the program's fault, never a failure.
    Descheduled,
}

/// One function on a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Frame {
    /// Demangled, without hash; empty where no symbol is known.
    pub function: String,
    /// Absolute path where it can be told.
    pub file: Option<String>,
    /// Line in `file`, from 1.
    pub line: Option<u32>,
    /// Part of the user's own workspace: not std, not a dependency, not us.
    #[serde(default)]
    pub user: bool,
    /// Inlined into the frame that follows: not a call of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inlined: bool,
    /// The object file the address lies in, where no symbol is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Offset of the address in `module`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
}

/// A stack and how much of the time it stands for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stack {
    /// How long the poll is taken to have been in this stack, without what the machine
    /// withheld.
    #[serde(rename = "weight_ms", with = "ms")]
    pub weight: Duration,
    /// Innermost first; inlined functions are frames of their own.
    pub frames: Vec<Frame>,
    /// Which of the poll's samples showed it, counted in the order they were taken;
    /// empty where that is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<u32>,
}

/// The task a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRef {
    /// tokio's task id where there is one, else asyncwatch's own number.
    pub id: u64,
    /// Given by the program, else the type name of the future, else empty.
    pub name: String,
    /// `task`, `local`, `block_on` or `future`.
    pub kind: String,
    /// Where it was spawned.
    pub spawned_at: Option<Location>,
}

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Location {
    /// Path as the compiler knew it.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

mod ms {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn to_ms(duration: Duration) -> f64 {
        // Whole microseconds: finer digits are noise in a report.
        duration.as_micros() as f64 / 1_000.0
    }

    pub(super) fn from_ms<E: serde::de::Error>(ms: f64) -> Result<Duration, E> {
        Duration::try_from_secs_f64(ms / 1_000.0).map_err(E::custom)
    }

    pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(to_ms(*value))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        from_ms(f64::deserialize(from)?)
    }
}

mod optional_ms {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(super::ms::to_ms).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        Option::<f64>::deserialize(from)?
            .map(super::ms::from_ms)
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_occurrences_the_longest_are_kept_in_order() {
        let mut finding = Finding::new(Code::SlowPoll, Level::Warn, "", 0);
        for at in 0..200 {
            let wall = Duration::from_millis(if at % 3 == 0 { 500 } else { at });
            finding.note_occurrence(Some(Occurrence {
                ended_unix_ns: at,
                wall,
                own: None,
            }));
        }
        assert_eq!(finding.occurrences.len(), OCCURRENCES_MAX);
        let ends: Vec<u64> = finding
            .occurrences
            .iter()
            .map(|o| o.ended_unix_ns)
            .collect();
        assert!(ends.is_sorted());
        assert!(ends.iter().all(|end| end % 3 == 0), "{ends:?}");
    }

    #[test]
    fn what_goes_on_or_took_no_time_is_no_occurrence() {
        let mut finding = Finding::new(Code::SlowPoll, Level::Warn, "", 7);
        assert_eq!(finding.as_occurrence(), None);
        finding.wall = Some(Duration::from_millis(120));
        finding.cpu = Some(Duration::from_millis(20));
        finding.blocked = Some(Duration::from_millis(90));
        let occurrence = finding.as_occurrence().expect("it has ended");
        assert_eq!(occurrence.own, Some(Duration::from_millis(110)));
        finding.ongoing = true;
        assert_eq!(finding.as_occurrence(), None);
    }
}
