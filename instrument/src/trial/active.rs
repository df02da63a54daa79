//! The tests that run now, in a fixed table that the poll path may ask.
//!
//! An entry belongs to one runtime. Its terms are written before the runtime's number,
//! and whoever asks does so for a runtime that is running: numbers of runtimes are never
//! used again, so what is read under a number is that runtime's.

use std::{
    sync::atomic::{
        AtomicBool, AtomicU32, AtomicU64,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
    time::Duration,
};

use asyncwatch_findings::{Code, Level};

use super::{
    Rules,
    found::{self, Found},
};
use crate::{registry::slots, settings};

/// Tests at a time: each has a thread of its own.
const ACTIVE_MAX: usize = 256;
/// What one test has of each kind beyond the usual, such as stacks of dropped futures.
const KEPT_MAX: u32 = 64;

static ACTIVE: [Entry; ACTIVE_MAX] = [const { Entry::free() }; ACTIVE_MAX];
static COUNT: AtomicU32 = AtomicU32::new(0);

struct Entry {
    taken: AtomicBool,
    /// 0 while there is none.
    runtime: AtomicU64,
    /// 0 for the common one.
    limit_ns: AtomicU64,
    /// A bit for each code.
    denied: AtomicU32,
    allowed: AtomicU32,
    /// By code.
    kept: [AtomicU32; Code::ALL.len()],
}

impl Entry {
    const fn free() -> Entry {
        Entry {
            taken: AtomicBool::new(false),
            runtime: AtomicU64::new(0),
            limit_ns: AtomicU64::new(0),
            denied: AtomicU32::new(0),
            allowed: AtomicU32::new(0),
            kept: [const { AtomicU32::new(0) }; Code::ALL.len()],
        }
    }

    fn limit(&self) -> Option<Duration> {
        match self.limit_ns.load(Relaxed) {
            0 => None,
            ns => Some(Duration::from_nanos(ns)),
        }
    }
}

/// The rules of a test, as numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Terms {
    limit: Option<Duration>,
    denied: u32,
    allowed: u32,
}

impl Terms {
    pub(super) fn of(rules: &Rules) -> Terms {
        let bits = |codes: &[Code]| codes.iter().fold(0, |bits, &code| bits | bit(code));
        let slow = rules.max_poll.map_or(0, |_| bit(Code::SlowPoll));
        Terms {
            limit: rules.max_poll.map(|limit| limit.max(settings::LIMIT_MIN)),
            denied: bits(rules.deny) | slow,
            allowed: bits(rules.allow),
        }
    }

    pub(super) fn denies(self, code: Code) -> bool {
        self.denied & bit(code) != 0
    }

    fn asked(self) -> impl Iterator<Item = Code> {
        let codes = Code::ALL.iter().copied();
        codes.filter(move |&code| self.denies(code))
    }
}

fn bit(code: Code) -> u32 {
    1 << code as u32
}

/// A test that runs.
pub(super) struct Active {
    entry: &'static Entry,
    runtime: u64,
    terms: Terms,
}

impl Active {
    /// The test of `runtime` begins; `None` if there is no room for it.
    pub(super) fn begin(runtime: u64, name: &'static str, terms: Terms) -> Option<Active> {
        let entry = ACTIVE
            .iter()
            .find(|entry| !entry.taken.swap(true, AcqRel))?;
        let ns = |limit: Duration| u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        entry.limit_ns.store(terms.limit.map_or(0, ns), Relaxed);
        entry.denied.store(terms.denied, Relaxed);
        entry.allowed.store(terms.allowed, Relaxed);
        for kept in &entry.kept {
            kept.store(0, Relaxed);
        }
        found::begin(runtime, name);
        terms.asked().for_each(settings::ask_for);
        entry.runtime.store(runtime, Release);
        COUNT.fetch_add(1, AcqRel);
        crate::look_at_endings();
        crate::look_sooner();
        Some(Active {
            entry,
            runtime,
            terms,
        })
    }

    /// The test has ended: what was found of it.
    pub(super) fn end(self) -> Found {
        self.entry.runtime.store(0, Release);
        COUNT.fetch_sub(1, AcqRel);
        self.terms.asked().for_each(settings::ask_no_more);
        self.entry.taken.store(false, Release);
        slots::adopt_limits();
        found::end(self.runtime)
    }
}

/// Whether any test with rules of its own runs.
#[inline]
pub(crate) fn any() -> bool {
    COUNT.load(Relaxed) > 0
}

fn on(runtime: u64) -> Option<&'static Entry> {
    if runtime == 0 || !any() {
        return None;
    }
    ACTIVE
        .iter()
        .find(|entry| entry.runtime.load(Acquire) == runtime)
}

/// The limit that holds for polls on `runtime`.
pub(crate) fn limit_on(runtime: u64) -> Duration {
    on(runtime)
        .and_then(Entry::limit)
        .unwrap_or_else(settings::limit)
}

/// The shortest limit that holds for any poll.
pub(crate) fn shortest_limit() -> Duration {
    let common = settings::limit();
    if !any() {
        return common;
    }
    let running = ACTIVE
        .iter()
        .filter(|entry| entry.runtime.load(Acquire) != 0);
    running
        .filter_map(Entry::limit)
        .min()
        .map_or(common, |shortest| shortest.min(common))
}

/// How seriously the test that runs on `runtime` takes findings of a kind, if it says.
pub(crate) fn level_on(runtime: u64, code: Code) -> Option<Level> {
    let entry = on(runtime)?;
    if entry.allowed.load(Relaxed) & bit(code) != 0 {
        Some(Level::Allow)
    } else if entry.denied.load(Relaxed) & bit(code) != 0 {
        Some(Level::Deny)
    } else {
        None
    }
}

/// Whether one more of this kind is to be kept for the test that runs on `runtime`, though
/// there may be enough elsewhere: it wants to hear of this kind.
pub(crate) fn keeps(runtime: u64, code: Code) -> bool {
    level_on(runtime, code) == Some(Level::Deny)
        && on(runtime)
            .is_some_and(|entry| entry.kept[code as usize].fetch_add(1, Relaxed) < KEPT_MAX)
}

/// The runtime, if the test that runs there denies `code`; 0 for all others, which answer
/// together for what is found.
pub(crate) fn with_rule(runtime: u64, code: Code) -> u64 {
    match level_on(runtime, code) {
        Some(Level::Deny) => runtime,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        name: "a test",
        max_poll: Some(Duration::from_millis(20)),
        deny: &[Code::TaskLeaked],
        allow: &[Code::NeverAwaited],
        timeout: None,
    };

    // Numbers that no runtime of these tests has.
    const HERE: u64 = u64::MAX - 1;
    const ELSEWHERE: u64 = u64::MAX - 2;

    #[test]
    fn rules_hold_on_the_runtime_of_their_test_and_while_it_runs() {
        let active = Active::begin(HERE, RULES.name, Terms::of(&RULES)).expect("room");
        assert_eq!(limit_on(HERE), Duration::from_millis(20));
        assert_eq!(limit_on(ELSEWHERE), settings::limit());
        assert!(shortest_limit() <= Duration::from_millis(20));
        let levels = [
            Code::SlowPoll,
            Code::TaskLeaked,
            Code::NeverAwaited,
            Code::Unjoined,
        ]
        .map(|code| (level_on(HERE, code), level_on(ELSEWHERE, code)));
        assert_eq!(
            levels,
            [
                (Some(Level::Deny), None),
                (Some(Level::Deny), None),
                (Some(Level::Allow), None),
                (None, None)
            ]
        );
        assert_eq!(with_rule(HERE, Code::TaskLeaked), HERE);
        assert_eq!(with_rule(HERE, Code::NeverAwaited), 0);
        let kept = |code| (0..=KEPT_MAX).filter(|_| keeps(HERE, code)).count();
        assert_eq!(kept(Code::TaskLeaked), KEPT_MAX as usize);
        assert_eq!(kept(Code::Unjoined), 0);
        assert!(!keeps(ELSEWHERE, Code::TaskLeaked));
        assert!(active.end().render().is_none());
        assert_eq!(level_on(HERE, Code::SlowPoll), None);
    }

    #[test]
    fn there_are_as_many_codes_as_bits_have_room_for() {
        assert!(Code::ALL.len() <= u32::BITS as usize);
    }
}
