//! Time for the poll path: the CPU's time-stamp counter where it can be trusted,
//! the monotonic clock elsewhere.
//!
//! A reading is a count of [`Ticks`]; one global scale turns differences into
//! nanoseconds. The counter is used only where the kernel itself keeps time by it
//! (clock source `tsc`), because then it is constant and the same on all CPUs.
//! [`start`] measures the scale against the monotonic clock, [`refine`] does so
//! again over a longer span.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// A point in time, in units of the chosen counter.
pub(crate) type Ticks = u64;

/// Nanoseconds per tick, as a 32.32 fixed-point number.
static SCALE: AtomicU64 = AtomicU64::new(1 << 32);
static USE_TSC: AtomicBool = AtomicBool::new(false);
static ORIGIN: OnceLock<Origin> = OnceLock::new();

/// The shortest span over which the first scale is measured: reading both clocks is exact
/// to about 50 ns, so the scale is exact to about 0.01 %.
const FIRST_SPAN: Duration = Duration::from_millis(1);

struct Origin {
    instant: Instant,
    unix_ns: u64,
    ticks: Ticks,
}

/// Chooses the counter. What it counts has no scale before [`measure`].
pub(crate) fn begin() {
    ORIGIN.get_or_init(|| {
        USE_TSC.store(tsc::is_trusted(), Relaxed);
        let (ticks, instant) = both();
        let unix_ns = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos() as u64);
        Origin {
            instant,
            unix_ns,
            ticks,
        }
    });
}

/// Measures the scale of the counter, if that was not done yet, over what has passed since
/// [`begin`]: waits if that was less than 1 ms.
pub(crate) fn measure() {
    begin();
    let Some(origin) = ORIGIN.get() else { return };
    if USE_TSC.load(Relaxed) && SCALE.load(Relaxed) == 1 << 32 {
        std::thread::sleep(FIRST_SPAN.saturating_sub(origin.instant.elapsed()));
        refine();
    }
}

/// Measures the scale over the whole time since [`start`].
pub(crate) fn refine() {
    let Some(origin) = ORIGIN.get() else { return };
    if !USE_TSC.load(Relaxed) {
        return;
    }
    let (ticks, instant) = both();
    let ticks = ticks.saturating_sub(origin.ticks);
    let ns = instant.duration_since(origin.instant).as_nanos();
    if ticks > 0 && ns > 0 {
        SCALE.store(((ns << 32) / u128::from(ticks)) as u64, Relaxed);
    }
}

/// Both clocks at the same time: of a few readings the closest, because a thread can
/// lose its CPU between the two.
fn both() -> (Ticks, Instant) {
    if !USE_TSC.load(Relaxed) {
        return (0, Instant::now());
    }
    let reading = || {
        let before = tsc::read();
        let instant = Instant::now();
        let apart = tsc::read().saturating_sub(before);
        (apart, before + apart / 2, instant)
    };
    let (_, ticks, instant) = (0..8)
        .map(|_| reading())
        .min_by_key(|(apart, ..)| *apart)
        .unwrap_or_else(reading);
    (ticks, instant)
}

/// The current time.
#[inline]
pub(crate) fn now() -> Ticks {
    if USE_TSC.load(Relaxed) {
        tsc::read()
    } else {
        monotonic()
    }
}

#[cold]
fn monotonic() -> Ticks {
    ORIGIN
        .get()
        .map_or(0, |origin| origin.instant.elapsed().as_nanos() as u64)
}

/// Turns a difference of two readings into nanoseconds.
#[inline]
pub(crate) fn to_ns(ticks: Ticks) -> u64 {
    ((u128::from(ticks) * u128::from(SCALE.load(Relaxed))) >> 32) as u64
}

/// Turns a difference of two readings into a duration.
pub(crate) fn to_duration(ticks: Ticks) -> Duration {
    Duration::from_nanos(to_ns(ticks))
}

/// The number of ticks in `duration`, for comparing differences without converting each.
pub(crate) fn from_duration(duration: Duration) -> Ticks {
    let scale = u128::from(SCALE.load(Relaxed)).max(1);
    u64::try_from((duration.as_nanos() << 32) / scale).unwrap_or(u64::MAX)
}

/// Nanoseconds since the Unix epoch at the reading `ticks`.
pub(crate) fn to_unix_ns(ticks: Ticks) -> u64 {
    ORIGIN.get().map_or(0, |origin| {
        origin.unix_ns + to_ns(ticks.saturating_sub(origin.ticks))
    })
}

/// Nanoseconds since the Unix epoch, now.
pub(crate) fn now_unix_ns() -> u64 {
    to_unix_ns(now())
}

#[cfg(target_arch = "x86_64")]
mod tsc {
    #![expect(unsafe_code, reason = "reads the time-stamp counter")]

    pub(super) fn is_trusted() -> bool {
        std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource")
            .is_ok_and(|source| source.trim() == "tsc")
    }

    #[inline]
    pub(super) fn read() -> u64 {
        // SAFETY: RDTSC has no preconditions; where the system forbids it to user
        // programs (PR_TSC_SIGSEGV), the kernel's own clock source is not usable
        // from user space either, and no ordinary program sets that.
        unsafe { core::arch::x86_64::_rdtsc() }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod tsc {
    pub(super) fn is_trusted() -> bool {
        false
    }

    pub(super) fn read() -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_advance_and_convert() {
        measure();
        let before = now();
        std::thread::sleep(Duration::from_millis(20));
        let slept = to_duration(now() - before);
        assert!(slept >= Duration::from_millis(19), "{slept:?}");
    }

    #[test]
    fn conversion_round_trips() {
        measure();
        let hundred = Duration::from_millis(100);
        let back = to_duration(from_duration(hundred));
        // The scale may be refined between the two.
        assert!(
            back.abs_diff(hundred) < Duration::from_millis(1),
            "{back:?}"
        );
    }
}
