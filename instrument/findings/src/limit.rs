//! Thresholds: from where on something is a finding.
//!
//! Each is one number in the unit of its kind. `slow-poll` has its own setting,
//! `max_poll`, because it governs the watchdog; all others are told by
//! `ASYNCWATCH_LIMITS`, as in `large-future=64KiB,task-leaked=50`.

use std::time::Duration;

use crate::{Code, humanise};

/// The threshold of one kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is counted.
    pub unit: Unit,
    /// The threshold where nobody configured one, in `unit`.
    pub default: u64,
    /// What it means, completing "from ... on".
    pub meaning: &'static str,
}

/// What a threshold counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds; written as `250ms`.
    Time,
    /// Bytes; written as `64KiB`.
    Bytes,
    /// How many; written as a number.
    Count,
}

impl Limit {
    pub(crate) const fn of(code: Code) -> Option<Limit> {
        const fn time(ms: u64, meaning: &'static str) -> Option<Limit> {
            Some(Limit {
                unit: Unit::Time,
                default: ms * 1_000_000,
                meaning,
            })
        }
        const fn count(default: u64, meaning: &'static str) -> Option<Limit> {
            Some(Limit {
                unit: Unit::Count,
                default,
                meaning,
            })
        }
        match code {
            Code::StarvedWorker => time(500, "a woken task waits for its worker"),
            Code::TaskLeaked => count(10, "idle tasks of one spawn site"),
            Code::BlockingPoolSaturated => time(500, "closures wait for a thread"),
            Code::BlockingOutlivesRuntime => time(500, "a closure goes on after its runtime"),
            Code::SelfWake => count(5_000, "self-woken polls in a row"),
            Code::LostWaker => time(200, "a task waits with no waker left"),
            Code::NeverYielded => time(1_000, "a first poll lasts"),
            Code::LargeFuture => Some(Limit {
                unit: Unit::Bytes,
                default: 32 * 1024,
                meaning: "a future is moved",
            }),
            Code::Unjoined => count(32, "finished tasks whose output nobody took"),
            Code::TimerBurst => count(5, "ticks in one burst"),
            Code::AsyncContention => time(500, "a task queues for an async lock"),
            _ => None,
        }
    }

    /// Reads a threshold as people write it.
    ///
    /// # Errors
    ///
    /// A sentence that says how to write it, if `text` is not of this limit's unit.
    pub fn parse(self, text: &str) -> Result<u64, String> {
        let text = text.trim();
        let (form, parsed) = match self.unit {
            Unit::Time => ("a duration such as 250ms or 1.5s", scaled(text, TIMES)),
            Unit::Bytes => ("a size such as 64KiB", scaled(text, SIZES)),
            Unit::Count => ("a whole number", text.parse().ok()),
        };
        parsed.ok_or_else(|| format!("`{text}` is not {form}"))
    }

    /// The threshold as people write it.
    pub fn show(self, value: u64) -> String {
        match self.unit {
            Unit::Time => humanise(Duration::from_nanos(value)),
            Unit::Bytes => bytes(value),
            Unit::Count => value.to_string(),
        }
    }
}

/// A size as people say it: `512 B`, `64 KiB`, `1.5 MiB`.
pub fn bytes(n: u64) -> String {
    const KIB: f64 = 1024.0;
    let value = n as f64;
    let short = |value: f64, unit: &str| {
        let text = format!("{value:.1}");
        format!("{} {unit}", text.trim_end_matches(".0"))
    };
    match n {
        0..1_024 => format!("{n} B"),
        1_024..1_048_576 => short(value / KIB, "KiB"),
        _ => short(value / KIB / KIB, "MiB"),
    }
}

const TIMES: &[(&str, f64)] = &[
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("min", 60e9),
    ("m", 60e9),
];

const SIZES: &[(&str, f64)] = &[
    ("", 1.0),
    ("B", 1.0),
    ("KiB", 1024.0),
    ("KB", 1024.0),
    ("K", 1024.0),
    ("MiB", 1024.0 * 1024.0),
    ("MB", 1024.0 * 1024.0),
    ("M", 1024.0 * 1024.0),
];

fn scaled(text: &str, units: &[(&str, f64)]) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().ok()?;
    let (_, scale) = units.iter().find(|(name, _)| *name == unit.trim())?;
    let value = (number * scale).round();
    (value < u64::MAX as f64).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_in_their_unit() {
        let large = Code::LargeFuture.limit().expect("has one");
        assert_eq!(large.parse("64KiB"), Ok(65_536));
        assert_eq!(large.parse("100"), Ok(100));
        assert!(large.parse("64ms").is_err());
        let starved = Code::StarvedWorker.limit().expect("has one");
        assert_eq!(starved.parse("1.5s"), Ok(1_500_000_000));
        assert!(starved.parse("5").unwrap_err().contains("250ms"));
        let leaked = Code::TaskLeaked.limit().expect("has one");
        assert_eq!(leaked.parse("50"), Ok(50));
        assert!(leaked.parse("-1").is_err());
        assert!(Code::SlowPoll.limit().is_none());
    }

    #[test]
    fn what_is_shown_can_be_read() {
        for code in Code::ALL {
            if let Some(limit) = code.limit() {
                assert_eq!(limit.parse(&limit.show(limit.default)), Ok(limit.default));
            }
        }
    }

    #[test]
    fn sizes_are_told_in_the_unit_people_use() {
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(65_536), "64 KiB");
        assert_eq!(bytes(1_572_864), "1.5 MiB");
    }
}
