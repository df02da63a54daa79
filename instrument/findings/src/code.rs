//! Finding codes and levels: the stable names users write in configuration.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The kind of a finding. Its name is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Code {
    /// A poll held its thread for at least the limit.
    SlowPoll,
    /// A future was dropped without ever having been polled.
    NeverAwaited,
}

impl Code {
    /// Every code, in the order documentation lists them.
    pub const ALL: &[Code] = &[Code::SlowPoll, Code::NeverAwaited];

    /// The stable name, as written in configuration and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Code::SlowPoll => "slow-poll",
            Code::NeverAwaited => "never-awaited",
        }
    }

    /// The level where nobody configured one: findings are shown, nothing fails.
    pub const fn default_level(self) -> Level {
        match self {
            Code::SlowPoll | Code::NeverAwaited => Level::Warn,
        }
    }

    /// The level under `asyncwatch check` where nobody configured one.
    pub const fn check_level(self) -> Level {
        match self {
            Code::SlowPoll | Code::NeverAwaited => Level::Deny,
        }
    }

    /// The page that `asyncwatch explain` shows, in Markdown: what it means, how it
    /// is found, known false alarms, how to fix it, how to allow it.
    pub const fn explain(self) -> &'static str {
        match self {
            Code::SlowPoll => include_str!("../explain/slow-poll.md"),
            Code::NeverAwaited => include_str!("../explain/never-awaited.md"),
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
        write!(
            f,
            "unknown {} `{}`; known are {}",
            self.what,
            self.name,
            self.known.join(", ")
        )
    }
}

impl std::error::Error for UnknownName {}
