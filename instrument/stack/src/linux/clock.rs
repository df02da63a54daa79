//! The CPU time of threads, and how often they went to sleep.

#![expect(unsafe_code, reason = "reading CPU clocks and thread attributes")]

use crate::{Faults, Waits};
use std::mem::MaybeUninit;
use std::time::Duration;

/// The CPU time of the calling thread.
pub(super) fn cpu_here() -> Duration {
    read(libc::CLOCK_THREAD_CPUTIME_ID).unwrap_or_default()
}

/// The CPU time of the thread `tid` of this process, exact even while it runs;
/// `None` once it has ended.
pub(super) fn cpu_of(tid: u32) -> Option<Duration> {
    read(clock_of(tid))
}

/// The kernel's encoding of a thread's CPU clock: the thread id negated above
/// three bits, of which 4 says "one thread" and 2 "time on a CPU".
fn clock_of(tid: u32) -> libc::clockid_t {
    (!tid.cast_signed() << 3) | 0b110
}

/// How often the calling thread has given up its CPU to wait for something, and its
/// page faults.
pub(super) fn waits_here() -> Option<Waits> {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: `usage` is valid for writes for the length of the call.
    let failed = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) } != 0;
    if failed {
        return None;
    }
    // SAFETY: the call succeeded, so it has filled `usage`.
    let usage = unsafe { usage.assume_init() };
    Some(Waits {
        sleeps: u64::try_from(usage.ru_nvcsw).ok()?,
        faults: Faults {
            minor: u64::try_from(usage.ru_minflt).ok()?,
            major: u64::try_from(usage.ru_majflt).ok()?,
        },
    })
}

fn read(clock: libc::clockid_t) -> Option<Duration> {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: `time` is valid for writes for the length of the call.
    let failed = unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) } != 0;
    if failed {
        return None;
    }
    // SAFETY: the call succeeded, so it has filled `time`.
    let time = unsafe { time.assume_init() };
    Some(Duration::new(
        u64::try_from(time.tv_sec).ok()?,
        u32::try_from(time.tv_nsec).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::{cpu_here, cpu_of, waits_here};
    use std::time::Duration;

    #[test]
    fn both_ways_to_the_clock_agree() {
        let tid = crate::Thread::current().tid();
        let before = cpu_here();
        let from_the_side = cpu_of(tid).expect("this thread is alive");
        assert!(before <= from_the_side && from_the_side <= cpu_here());
        assert!(from_the_side > Duration::ZERO);
    }

    #[test]
    fn a_sleep_is_counted() {
        let before = waits_here().expect("Linux counts them").sleeps;
        std::thread::sleep(Duration::from_millis(2));
        assert!(waits_here().expect("as before").sleeps > before);
    }

    #[test]
    fn a_thread_that_is_not_there_has_no_clock() {
        assert_eq!(cpu_of(0x3fff_fff0), None);
    }
}
