//! From what was seen of a slow poll to how long it took: one that slept in one call, and
//! one that was held on to.
//!
//! A thread that waits for another one may wait for the machine: for as long as any other
//! thread was ready to run and had no CPU, nobody is blamed.

use std::{
    collections::HashMap,
    time::{Duration, Instant, SystemTime},
};

use asyncwatch_stack::{Syscall, outside::Thread};

use super::{
    episode::{Episode, Sample, classify},
    follow::Time,
    pin::Pin,
};

/// From when on a sleep is told that has not ended yet.
pub(super) const PREVIEW_AFTER: Duration = Duration::from_millis(500);
pub(crate) const PREVIEW_EVERY: Duration = Duration::from_secs(5);

/// A thread that sleeps in a poll, or may.
pub(super) struct Sleep {
    pub(super) call: Syscall,
    pub(super) since: Instant,
    pub(super) until: Instant,
    pub(super) sample: Sample,
    pub(super) delays: Delays,
    /// When it is told that it lasts, and whether it was.
    pub(super) next_preview: Duration,
    pub(super) told: bool,
}

/// How long threads had waited for a CPU at one moment, by their ids.
pub(super) type Delays = HashMap<u32, Duration>;

impl Sleep {
    pub(super) fn lasted(&self) -> Duration {
        self.until.saturating_duration_since(self.since)
    }

    fn time(&self) -> Time {
        let wall = self.lasted();
        Time {
            wall,
            blocked: wall,
            ..Time::default()
        }
    }

    pub(super) fn preview(&self, thread: &Thread, name: &str, limit: Duration) -> Episode {
        let mut sample = self.sample.clone();
        sample.weight = self.lasted();
        let samples = vec![sample];
        let episode = episode(thread, name, self.time(), limit, samples, true);
        Episode {
            preview: true,
            ..episode
        }
    }

    pub(super) fn end(
        self,
        thread: &Thread,
        name: &str,
        limit: Duration,
        delays: &Delays,
    ) -> Option<Episode> {
        let time = self.time();
        let syscall = self.sample.syscall.as_deref().unwrap_or_default();
        let time = match waits_for_others(syscall) {
            true => time.sparing(starved(thread.tid(), &self.delays, delays)),
            false => time,
        };
        let mut sample = self.sample;
        sample.weight = time.wall;
        let is_slow = time.own() >= limit;
        // Those who were told that it lasts are told, too, that it was nothing.
        (is_slow || self.told).then(|| Episode {
            preview: !is_slow,
            ..episode(thread, name, time, limit, vec![sample], false)
        })
    }
}

pub(super) fn end_of_pin(
    pin: Pin,
    thread: &Thread,
    name: &str,
    limit: Duration,
    before: &Delays,
    after: &Delays,
    ongoing: bool,
) -> Option<Episode> {
    let time = match pin.only_slept {
        true => pin.time(),
        false => pin.time().sparing(starved(thread.tid(), before, after)),
    };
    let samples = pin.into_samples(time.own());
    (time.own() >= limit).then(|| episode(thread, name, time, limit, samples, ongoing))
}

fn episode(
    thread: &Thread,
    name: &str,
    time: Time,
    limit: Duration,
    samples: Vec<Sample>,
    ongoing: bool,
) -> Episode {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Episode {
        pid: thread.pid(),
        thread: name.to_owned(),
        time,
        class: classify(time, limit),
        ongoing,
        preview: false,
        unix_ns: now.map_or(0, |now| now.as_nanos() as u64),
        samples,
    }
}

/// The longest that any other thread waited for a CPU in between.
fn starved(tid: u32, before: &Delays, after: &Delays) -> Duration {
    after
        .iter()
        .filter(|(other, _)| **other != tid)
        .map(|(other, delay)| delay.saturating_sub(before.get(other).copied().unwrap_or_default()))
        .max()
        .unwrap_or_default()
}

/// Whether what a thread waits for in the call is done by another one, which may itself
/// have no CPU. A disk and a clock need none.
fn waits_for_others(syscall: &str) -> bool {
    let (name, object) = syscall.split_once('(').unwrap_or((syscall, ""));
    let is_file = object.starts_with('"');
    !(name.ends_with("nanosleep") || is_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_clock_and_a_disk_need_no_other_thread() {
        for alone in ["clock_nanosleep(1s)", "nanosleep", "fsync(\"/var/log/x\")"] {
            assert!(!waits_for_others(alone), "{alone}");
        }
        for others in [
            "futex",
            "read(pipe:[4711])",
            "recvfrom(127.0.0.1:80)",
            "wait4(pid 7)",
        ] {
            assert!(waits_for_others(others), "{others}");
        }
    }

    #[test]
    fn only_the_longest_wait_of_another_thread_counts() {
        let before = Delays::from([(1, MS * 5), (2, MS * 7)]);
        let after = Delays::from([(1, MS * 90), (2, MS * 27), (3, MS * 10)]);
        assert_eq!(starved(1, &before, &after), MS * 20);
        assert_eq!(starved(2, &before, &after), MS * 85);
        assert_eq!(starved(1, &before, &Delays::new()), Duration::ZERO);
    }
}
