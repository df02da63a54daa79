//! Finding codes and levels: the stable names users write in configuration.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Limit;

/// The kind of a finding. Its name is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Code {
    /// A poll held its thread for at least the limit.
    SlowPoll,
    /// A worker polled so much that woken tasks waited long for it.
    StarvedWorker,
    /// A future was dropped without ever having been polled.
    NeverAwaited,
    /// A task was dropped before it had finished.
    TaskDroppedPending,
    /// Tasks of one spawn site pile up and are never woken again.
    TaskLeaked,
    /// A task panicked and nobody awaits its handle.
    PanicUnobserved,
    /// A runtime was entered where it cannot be, or was missing.
    NestedBlockOn,
    /// Closures wait because every thread of the blocking pool is taken.
    BlockingPoolSaturated,
    /// Closures on the blocking pool still ran when their runtime shut down.
    BlockingOutlivesRuntime,
    /// A task wakes itself in every poll and so never sleeps.
    SelfWake,
    /// A task waits, and nobody is left to wake it.
    LostWaker,
    /// A task has run since it was spawned without once yielding.
    NeverYielded,
    /// A future is so large that moving it is dear and dangerous.
    LargeFuture,
    /// Outputs of finished tasks pile up because nobody takes them.
    Unjoined,
    /// An interval fires back to back to make up for missed ticks.
    TimerBurst,
    /// Tasks queue for an async lock whose holder awaits something slow.
    AsyncContention,
}

impl Code {
    /// Every code, in the order documentation lists them.
    pub const ALL: &[Code] = &[
        Code::SlowPoll,
        Code::StarvedWorker,
        Code::NeverAwaited,
        Code::TaskDroppedPending,
        Code::TaskLeaked,
        Code::PanicUnobserved,
        Code::NestedBlockOn,
        Code::BlockingPoolSaturated,
        Code::BlockingOutlivesRuntime,
        Code::SelfWake,
        Code::LostWaker,
        Code::NeverYielded,
        Code::LargeFuture,
        Code::Unjoined,
        Code::TimerBurst,
        Code::AsyncContention,
    ];

    /// The stable name, as written in configuration and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Code::SlowPoll => "slow-poll",
            Code::StarvedWorker => "starved-worker",
            Code::NeverAwaited => "never-awaited",
            Code::TaskDroppedPending => "task-dropped-pending",
            Code::TaskLeaked => "task-leaked",
            Code::PanicUnobserved => "panic-unobserved",
            Code::NestedBlockOn => "nested-block-on",
            Code::BlockingPoolSaturated => "blocking-pool-saturated",
            Code::BlockingOutlivesRuntime => "blocking-outlives-runtime",
            Code::SelfWake => "self-wake",
            Code::LostWaker => "lost-waker",
            Code::NeverYielded => "never-yielded",
            Code::LargeFuture => "large-future",
            Code::Unjoined => "unjoined",
            Code::TimerBurst => "timer-burst",
            Code::AsyncContention => "async-contention",
        }
    }

    /// The level where nobody configured one; each page argues its own.
    pub const fn default_level(self) -> Level {
        match self {
            // Tasks are dropped on purpose wherever one is aborted or a runtime ends.
            Code::TaskDroppedPending => Level::Allow,
            _ => Level::Warn,
        }
    }

    /// The level under `asyncwatch check` where nobody configured one: what is
    /// certainly a mistake of the program fails the check.
    pub const fn check_level(self) -> Level {
        match self {
            Code::TaskDroppedPending => Level::Allow,
            // True of the load and of the machine as much as of the code.
            Code::StarvedWorker
            | Code::BlockingPoolSaturated
            | Code::BlockingOutlivesRuntime
            | Code::Unjoined
            | Code::TimerBurst
            | Code::AsyncContention => Level::Warn,
            _ => Level::Deny,
        }
    }

    /// Where this kind of finding begins: `None` if it has no threshold of its own.
    pub const fn limit(self) -> Option<Limit> {
        Limit::of(self)
    }

    /// The page that `asyncwatch explain` shows, in Markdown: what it means, how it
    /// is found, known false alarms, how to fix it, how to allow it.
    pub const fn explain(self) -> &'static str {
        match self {
            Code::SlowPoll => include_str!("../explain/slow-poll.md"),
            Code::StarvedWorker => include_str!("../explain/starved-worker.md"),
            Code::NeverAwaited => include_str!("../explain/never-awaited.md"),
            Code::TaskDroppedPending => include_str!("../explain/task-dropped-pending.md"),
            Code::TaskLeaked => include_str!("../explain/task-leaked.md"),
            Code::PanicUnobserved => include_str!("../explain/panic-unobserved.md"),
            Code::NestedBlockOn => include_str!("../explain/nested-block-on.md"),
            Code::BlockingPoolSaturated => include_str!("../explain/blocking-pool-saturated.md"),
            Code::BlockingOutlivesRuntime => {
                include_str!("../explain/blocking-outlives-runtime.md")
            }
            Code::SelfWake => include_str!("../explain/self-wake.md"),
            Code::LostWaker => include_str!("../explain/lost-waker.md"),
            Code::NeverYielded => include_str!("../explain/never-yielded.md"),
            Code::LargeFuture => include_str!("../explain/large-future.md"),
            Code::Unjoined => include_str!("../explain/unjoined.md"),
            Code::TimerBurst => include_str!("../explain/timer-burst.md"),
            Code::AsyncContention => include_str!("../explain/async-contention.md"),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Code {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Code::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == name)
            .ok_or_else(|| UnknownName {
                what: "finding code",
                name: name.to_owned(),
                known: Code::ALL.iter().map(|code| code.as_str()).collect(),
            })
    }
}

/// How seriously a kind of finding is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Counted, not shown in logs.
    Allow,
    /// Shown; does not fail `asyncwatch check`.
    Warn,
    /// Shown, and fails `asyncwatch check`.
    Deny,
}

impl Level {
    /// Every level, the mildest first.
    pub const ALL: &[Level] = &[Level::Allow, Level::Warn, Level::Deny];

    /// The name, as written in configuration and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Allow => "allow",
            Level::Warn => "warn",
            Level::Deny => "deny",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Level {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Level::ALL
            .iter()
            .copied()
            .find(|level| level.as_str() == name)
            .ok_or_else(|| UnknownName {
                what: "level",
                name: name.to_owned(),
                known: Level::ALL.iter().map(|level| level.as_str()).collect(),
            })
    }
}

/// A name that is none of the known ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    what: &'static str,
    name: String,
    known: Vec<&'static str>,
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnknownName { what, name, known } = self;
        write!(f, "unknown {what} `{name}`")?;
        match nearest(name, known) {
            Some(near) => write!(f, "; did you mean `{near}`?"),
            None => write!(f, "; known are {}", known.join(", ")),
        }
    }
}

/// The known name that `name` is most likely a mistyped form of.
pub fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let near = known.iter().min_by_key(|known| edits(name, known))?;
    (edits(name, near) <= 2).then_some(near)
}

/// How many letters have to be added, removed or replaced to make one of the other.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

impl std::error::Error for UnknownName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for code in Code::ALL {
            assert_eq!(code.as_str().parse(), Ok(*code));
        }
        for level in Level::ALL {
            assert_eq!(level.as_str().parse(), Ok(*level));
        }
    }

    #[test]
    fn typing_errors_are_told_from_inventions() {
        let wrong = |name: &str| name.parse::<Code>().expect_err("wrong").to_string();
        assert_eq!(
            wrong("slow-pole"),
            "unknown finding code `slow-pole`; did you mean `slow-poll`?"
        );
        assert!(wrong("slow_poll").ends_with("did you mean `slow-poll`?"));
        assert!(wrong("nonsense").contains("known are slow-poll, starved-worker"));
        assert_eq!(
            "loud".parse::<Level>().expect_err("wrong").to_string(),
            "unknown level `loud`; known are allow, warn, deny"
        );
    }
}
