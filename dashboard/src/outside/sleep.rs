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
/// How long one poll is held on to.
const HELD_MAX: Duration = Duration::from_secs(10);

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

/// A poll that is held on to, and what is told of it meanwhile.
pub(super) struct Held {
    pub(super) pin: Pin,
    delays: Delays,
    /// As of a [`Sleep`].
    next_preview: Duration,
    told: bool,
    /// When to let go of it even if it goes on.
    until: Instant,
}

impl Held {
    pub(super) fn new(pin: Pin, delays: Delays, limit: Duration) -> Held {
        Held {
            until: pin.since() + HELD_MAX,
            pin,
            delays,
            next_preview: limit.max(PREVIEW_AFTER),
            told: false,
        }
    }

    /// Whether it has been held on to for long enough, and can be let go of: for that
    /// its thread has to stop.
    pub(super) fn is_over(&mut self, now: Instant, may_stop: impl FnOnce() -> bool) -> bool {
        let is_over = now >= self.until;
        if is_over {
            self.until = now + HELD_MAX / 10;
        }
        is_over && may_stop()
    }

    /// What is to be told now, while it goes on.
    pub(super) fn preview(
        &mut self,
        thread: &Thread,
        name: &str,
        limit: Duration,
    ) -> Option<Episode> {
        let time = self.pin.time();
        if time.own() < self.next_preview {
            return None;
        }
        self.next_preview = time.own() + PREVIEW_EVERY;
        self.told = true;
        let samples = self.pin.samples(time.own());
        Some(Episode {
            preview: true,
            ..episode(thread, name, time, limit, samples, true)
        })
    }

    /// What is to be told of it in the end; it is `ongoing` if only we end.
    pub(super) fn end(
        mut self,
        thread: &Thread,
        name: &str,
        limit: Duration,
        delays: &Delays,
        ongoing: bool,
    ) -> Option<Episode> {
        let time = match self.pin.only_slept {
            true => self.pin.time(),
            false => (self.pin.time()).sparing(starved(thread.tid(), &self.delays, delays)),
        };
        let is_slow = time.own() >= limit;
        // As with a sleep.
        (is_slow || self.told).then(|| Episode {
            preview: !is_slow,
            ..episode(
                thread,
                name,
                time,
                limit,
                self.pin.samples(time.own()),
                ongoing,
            )
        })
    }
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
