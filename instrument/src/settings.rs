//! The few settings that the poll path reads, as plain atomics.

use std::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use asyncwatch_findings::{Code, Level};

use crate::{
    clock::{self, Ticks},
    registry::slots,
};

static ON: AtomicBool = AtomicBool::new(false);
static EXACT: AtomicBool = AtomicBool::new(true);
static CHAINED: AtomicBool = AtomicBool::new(true);
static LIMIT_NS: AtomicU64 = AtomicU64::new(u64::MAX);
static BASELINE_AGE_TICKS: AtomicU64 = AtomicU64::new(Ticks::MAX);

/// How many running tests ask for a kind of finding by themselves.
static ASKED: [AtomicU32; Code::ALL.len()] = [const { AtomicU32::new(0) }; Code::ALL.len()];
static LEVELS: [AtomicU8; Code::ALL.len()] = [const { AtomicU8::new(0) }; Code::ALL.len()];
static LIMITS: [AtomicU64; Code::ALL.len()] = [const { AtomicU64::new(u64::MAX) }; Code::ALL.len()];

/// A baseline older than this is read anew when a poll begins. At 0.75 µs a reading
/// that is less than a thousandth of the time.
const BASELINE_AGE: Duration = Duration::from_millis(1);

static LOOKING: AtomicBool = AtomicBool::new(true);

/// Shortest limit: the watchdog looks no more often than every 1 ms.
pub(crate) const LIMIT_MIN: Duration = Duration::from_millis(1);

/// Whether slow polls are looked for at present.
pub(crate) fn looking() -> bool {
    LOOKING.load(Relaxed)
}

pub(crate) fn look(yes: bool) {
    LOOKING.store(yes, Relaxed);
}

/// Sets the limit of polls from now on; raised to [`LIMIT_MIN`].
pub(crate) fn set_limit(limit: Duration) {
    let ns = u64::try_from(limit.max(LIMIT_MIN).as_nanos()).unwrap_or(u64::MAX);
    LIMIT_NS.store(ns, Relaxed);
    rescale();
}

/// Starts watching with these settings; the clock has been started.
pub(crate) fn switch_on(exact: bool, limit: Duration) {
    EXACT.store(exact, Relaxed);
    LIMIT_NS.store(limit.as_nanos() as u64, Relaxed);
    rescale();
    ON.store(true, Relaxed);
}

/// Sets level and threshold of a kind of finding.
pub(crate) fn set(code: Code, level: Level, limit: u64) {
    LEVELS[code as usize].store(level as u8, Relaxed);
    LIMITS[code as usize].store(limit, Relaxed);
}

/// How seriously a kind of finding is taken.
pub(crate) fn level(code: Code) -> Level {
    let level = LEVELS[code as usize].load(Relaxed);
    Level::ALL[usize::from(level).min(Level::ALL.len() - 1)]
}

/// Whether a kind of finding is looked for at all: not while it is allowed and no test
/// asks for it, as a look may cost something. `slow-poll` and `never-awaited` are always
/// looked for.
#[inline]
pub(crate) fn wants(code: Code) -> bool {
    LEVELS[code as usize].load(Relaxed) != Level::Allow as u8
        || ASKED[code as usize].load(Relaxed) > 0
}

/// A test begins that asks for a kind of finding.
pub(crate) fn ask_for(code: Code) {
    ASKED[code as usize].fetch_add(1, Relaxed);
}

/// It has ended.
pub(crate) fn ask_no_more(code: Code) {
    ASKED[code as usize].fetch_sub(1, Relaxed);
}

/// The threshold of a kind of finding, in the unit of its [`asyncwatch_findings::Limit`].
#[inline]
pub(crate) fn limit_of(code: Code) -> u64 {
    LIMITS[code as usize].load(Relaxed)
}

/// Computes the limits in ticks again, after the clock's scale was measured anew.
pub(crate) fn rescale() {
    slots::adopt_limits();
    BASELINE_AGE_TICKS.store(clock::from_duration(BASELINE_AGE), Relaxed);
}

/// Whether anything is watched at all.
#[inline]
pub(crate) fn on() -> bool {
    ON.load(Relaxed)
}

/// Whether every poll is timed.
#[inline]
pub(crate) fn exact() -> bool {
    EXACT.load(Relaxed)
}

/// The limit a poll has to reach to be a slow poll, where no test asks for another.
pub(crate) fn limit() -> Duration {
    Duration::from_nanos(LIMIT_NS.load(Relaxed))
}

#[inline]
pub(crate) fn baseline_age_ticks() -> Ticks {
    BASELINE_AGE_TICKS.load(Relaxed)
}

/// Whether a poll may be taken to begin where the last one ended: only while every
/// park is seen.
#[inline]
pub(crate) fn chained() -> bool {
    CHAINED.load(Relaxed)
}

pub(crate) fn unchain() {
    CHAINED.store(false, Relaxed);
}
