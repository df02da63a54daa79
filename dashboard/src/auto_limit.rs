//! `--max-poll auto`: the limit of a poll that follows from the suite itself.
//!
//! A fixed limit is too strict for a debug build on a slow machine and too lax for a
//! release build on a fast one. Both show in how long ordinary polls take, so that is
//! what the limit is a multiple of: [`FACTOR`] times the 99th percentile.
//!
//! - What makes it must not be what it is to find. A suite that blocks in one poll of
//!   fifty has a 99th percentile that is the blocking itself. So only polls below
//!   [`ORDINARY_MAX`] count, which no limit calls slow; on a machine where half of them
//!   take longer the rest are close to it, and the limit is at its upper end.
//! - It stays between [`LIMIT_MIN`] and [`LIMIT_MAX`]: below, people notice nothing and a
//!   page fault or two can make the difference; above, no machine is an excuse.
//! - Fewer than [`POLLS_MIN`] polls leave fewer than ten above their 99th percentile: too
//!   few to tell, and the usual limit holds.
//!
//! Programs are told to report from [`LIMIT_MIN`] on; what stays below the limit is no
//! finding in the end. As everywhere, only the time counts that a poll computed or
//! blocked, and never the time that it waited for a CPU. The percentile is of the time
//! that polls took as a whole, as two clocks for each poll would be dear: a busy machine
//! can raise the limit, and nothing lowers it.

use std::time::Duration;

use asyncwatch_findings::{Code, Finding, humanise};
use asyncwatch_wire::HISTOGRAM_BOUNDS_NS;
use serde::{Deserialize, Serialize};

use crate::model::Histogram;

/// The limit, in 99th percentiles of ordinary polls. The usual limit of 100 ms is that of
/// a suite whose 99th percentile is 1 ms.
const FACTOR: u32 = 100;

/// The shortest limit, and what programs are told.
pub(crate) const LIMIT_MIN: Duration = Duration::from_millis(20);

/// The longest.
pub(crate) const LIMIT_MAX: Duration = Duration::from_millis(500);

/// The limit where too few polls are known.
const LIMIT_USUAL: Duration = Duration::from_millis(100);

/// Polls from here on say nothing of ordinary ones: the last bound of a histogram below
/// [`LIMIT_MIN`], 2²⁴ ns.
const ORDINARY_MAX: Duration = Duration::from_nanos(1 << 24);

/// Ordinary polls that it takes.
const POLLS_MIN: u64 = 1_000;

/// The limit of one suite, and what it follows from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AutoLimit {
    limit_ms: f64,
    /// The 99th percentile of ordinary polls; absent where there were too few.
    p99_ms: Option<f64>,
    /// How many ordinary polls there were.
    polls: u64,
}

impl AutoLimit {
    /// That of a suite whose polls took so long, by the buckets of
    /// [`HISTOGRAM_BOUNDS_NS`].
    pub(crate) fn of(counts: &[u64]) -> AutoLimit {
        let ordinary = HISTOGRAM_BOUNDS_NS
            .iter()
            .take_while(|bound| Duration::from_nanos(**bound) <= ORDINARY_MAX)
            .count();
        let counts = &counts[..counts.len().min(ordinary)];
        let histogram = Histogram::new(&HISTOGRAM_BOUNDS_NS, counts);
        let polls = histogram.total();
        let p99 = histogram.percentile(0.99, None);
        let p99 = p99.filter(|_| polls >= POLLS_MIN);
        let limit = p99.map_or(LIMIT_USUAL, |p99| {
            (p99 * FACTOR).clamp(LIMIT_MIN, LIMIT_MAX)
        });
        AutoLimit {
            limit_ms: ms(limit),
            p99_ms: p99.map(ms),
            polls,
        }
    }

    pub(crate) fn limit(&self) -> Duration {
        from_ms(self.limit_ms)
    }

    /// Whether a finding is one, and then as one of this limit.
    ///
    /// Any occurrence may have been the one that reached it, whichever took longest.
    pub(crate) fn judge(&self, finding: &mut Finding) -> bool {
        if finding.code != Code::SlowPoll {
            return true;
        }
        let each = finding.occurrences.iter().map(|occurrence| occurrence.own);
        let own = each.chain([finding.own()]).flatten().max();
        if own.is_none_or(|own| own < self.limit()) {
            return false;
        }
        if let Some(before) = finding.limit.replace(self.limit()) {
            let shown = |limit| format!("(limit {})", humanise(limit));
            finding.message = finding
                .message
                .replace(&shown(before), &shown(self.limit()));
        }
        true
    }

    /// What it is and why, for people.
    pub(crate) fn line(&self) -> String {
        let limit = humanise(self.limit());
        let polls = self.polls;
        let Some(p99) = self.p99_ms.map(from_ms) else {
            return format!(
                "limit {limit}, the usual one: {polls} timed polls are too few to tell another from"
            );
        };
        let p99 = humanise(p99);
        let why = format!("of {polls} polls 99 % took {p99} or less");
        match self.limit() {
            LIMIT_MIN => format!("limit {limit}, the shortest: {why}"),
            LIMIT_MAX => format!("limit {limit}, the longest: {why}"),
            _ => format!("limit {limit}, {FACTOR} times as long as ordinary polls: {why}"),
        }
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1_000.0
}

fn from_ms(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1_000.0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::samples::slow_poll;

    /// So many polls in the bucket that ends at 2^`bits` ns.
    fn polls(buckets: &[(u32, u64)]) -> Vec<u64> {
        let mut counts = vec![0; HISTOGRAM_BOUNDS_NS.len() + 1];
        for (bits, count) in buckets {
            counts[*bits as usize - 8] = *count;
        }
        counts
    }

    fn limit(buckets: &[(u32, u64)]) -> u128 {
        AutoLimit::of(&polls(buckets)).limit().as_millis()
    }

    #[test]
    fn the_limit_follows_ordinary_polls() {
        // 2^17 ns are 0.13 ms, 2^19 0.52 ms, 2^21 2.1 ms, 2^23 8.4 ms.
        assert_eq!(limit(&[(17, 100_000)]), 20);
        assert_eq!(limit(&[(17, 100_000), (19, 2_000)]), 39);
        assert_eq!(limit(&[(19, 100_000)]), 52);
        assert_eq!(limit(&[(21, 100_000)]), 208);
        assert_eq!(limit(&[(23, 100_000)]), 500);
    }

    #[test]
    fn a_slower_machine_has_a_longer_limit() {
        let fast = limit(&[(14, 50_000), (18, 5_000)]);
        let four_times_slower = limit(&[(16, 50_000), (20, 5_000)]);
        assert_eq!((fast, four_times_slower), (24, 99));
    }

    #[test]
    fn what_blocks_does_not_excuse_itself() {
        let clean = limit(&[(17, 10_000)]);
        for blocking in [10, 100, 1_000, 9_000] {
            assert_eq!(limit(&[(17, 10_000), (28, blocking)]), clean, "{blocking}");
        }
    }

    #[test]
    fn few_polls_have_the_usual_limit() {
        assert_eq!(limit(&[]), 100);
        assert_eq!(limit(&[(17, 999)]), 100);
        assert_eq!(limit(&[(17, 1_000)]), 20);
        assert_eq!(limit(&[(17, 999), (28, 5_000)]), 100);
    }

    #[test]
    fn people_are_told_why() {
        for (buckets, expected) in [
            (
                &[(17, 5_000)][..],
                "limit 20 ms, the shortest: of 5000 polls 99 % took 130 µs or less",
            ),
            (
                &[(20, 5_000)],
                "limit 104 ms, 100 times as long as ordinary polls: of 5000 polls 99 % took 1.04 ms or less",
            ),
            (
                &[(24, 5_000)],
                "limit 500 ms, the longest: of 5000 polls 99 % took 16.7 ms or less",
            ),
            (
                &[(17, 5)],
                "limit 100 ms, the usual one: 5 timed polls are too few to tell another from",
            ),
        ] {
            assert_eq!(AutoLimit::of(&polls(buckets)).line(), expected);
        }
    }

    #[test]
    fn only_a_polls_own_time_counts() {
        let auto = AutoLimit::of(&polls(&[(20, 5_000)]));
        let with = |cpu, blocked, run_delay| Finding {
            wall: Some(Duration::from_millis(cpu + blocked + run_delay)),
            cpu: Some(Duration::from_millis(cpu)),
            blocked: Some(Duration::from_millis(blocked)),
            run_delay: Some(Duration::from_millis(run_delay)),
            limit: Some(LIMIT_MIN),
            message: "task `session` held worker 1 for 512 ms (limit 20 ms)".to_owned(),
            ..slow_poll()
        };
        let judge = |finding: &Finding| auto.judge(&mut finding.clone());
        assert!(judge(&with(60, 60, 0)));
        assert!(!judge(&with(60, 30, 0)));
        assert!(!judge(&with(10, 20, 9_000)));
        let mut earlier = with(10, 20, 9_000);
        earlier.occurrences = vec![with(0, 200, 0).as_occurrence().expect("it ended")];
        assert!(judge(&earlier), "another occurrence was slow by itself");
        let mut guilty = with(200, 0, 0);
        assert!(auto.judge(&mut guilty));
        assert_eq!(guilty.limit, Some(auto.limit()));
        assert_eq!(
            guilty.message,
            "task `session` held worker 1 for 512 ms (limit 104 ms)"
        );
        let other = Finding {
            code: Code::LostWaker,
            ..with(0, 0, 0)
        };
        assert!(judge(&other), "other kinds have limits of their own");
    }

    proptest! {
        #[test]
        fn limits_stay_in_their_range(counts in proptest::collection::vec(any::<u64>(), 0..40)) {
            let limit = AutoLimit::of(&counts).limit();
            prop_assert!((LIMIT_MIN..=LIMIT_MAX).contains(&limit));
        }

        #[test]
        fn slow_polls_never_change_it(ordinary in 1_000_u64..100_000, slow in 0_u64..100_000) {
            prop_assert_eq!(
                limit(&[(18, ordinary), (26, slow), (31, slow)]),
                limit(&[(18, ordinary)])
            );
        }
    }
}
