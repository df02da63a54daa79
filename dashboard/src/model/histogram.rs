//! How long polls took: a histogram with fixed bounds, and percentiles from it.

use std::time::Duration;

/// Counts of polls by duration.
///
/// Bucket `i` holds the polls that took less than `bounds_ns[i]` and at least
/// `bounds_ns[i - 1]` (0 for the first); one more bucket is open-ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    bounds_ns: &'static [u64],
    counts: Box<[u64]>,
}

/// One bucket: from (inclusive), to (exclusive; absent for the open end), count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Lower bound, inclusive.
    pub from: Duration,
    /// Upper bound, exclusive; absent in the last, open-ended bucket.
    pub to: Option<Duration>,
    /// Number of polls.
    pub count: u64,
}

impl Histogram {
    /// A histogram over `bounds_ns`; counts beyond the open-ended bucket are
    /// dropped, missing ones are zero.
    pub fn new(bounds_ns: &'static [u64], counts: &[u64]) -> Self {
        let kept = &counts[..counts.len().min(bounds_ns.len() + 1)];
        Self {
            bounds_ns,
            counts: kept.into(),
        }
    }

    /// Number of polls.
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// Every bucket, shortest polls first.
    pub fn buckets(&self) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
        (0..=self.bounds_ns.len()).map(|i| Bucket {
            from: Duration::from_nanos(self.lower_ns(i)),
            to: self.bounds_ns.get(i).copied().map(Duration::from_nanos),
            count: self.counts.get(i).copied().unwrap_or(0),
        })
    }

    /// The duration that `share` (0 to 1) of the polls did not exceed.
    ///
    /// Finds the bucket that holds the poll of rank `share × total` and
    /// interpolates linearly within it, as if the bucket's polls were spread
    /// evenly. The open-ended bucket ends at `longest`, and no percentile
    /// exceeds `longest`. The error is less than the width of a bucket: a factor
    /// of two. `None` where nothing was polled.
    pub fn percentile(&self, share: f64, longest: Option<Duration>) -> Option<Duration> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let rank = share.clamp(0.0, 1.0) * total as f64;
        let mut below = 0_u64;
        for (i, &count) in self.counts.iter().enumerate() {
            let upto = below.saturating_add(count);
            if count > 0 && upto as f64 >= rank {
                let into = ((rank - below as f64) / count as f64).clamp(0.0, 1.0);
                return Some(self.interpolate(i, into, longest));
            }
            below = upto;
        }
        longest
    }

    fn interpolate(&self, bucket: usize, into: f64, longest: Option<Duration>) -> Duration {
        let lower = self.lower_ns(bucket);
        let cap = longest.map(duration_ns);
        let upper = self.bounds_ns.get(bucket).copied().or(cap).unwrap_or(lower);
        let upper = upper.min(cap.unwrap_or(u64::MAX)).max(lower);
        let value = lower as f64 + (upper - lower) as f64 * into;
        Duration::from_nanos((value as u64).min(cap.unwrap_or(u64::MAX)))
    }

    fn lower_ns(&self, bucket: usize) -> u64 {
        match bucket {
            0 => 0,
            _ => self.bounds_ns[bucket - 1],
        }
    }
}

fn duration_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: [u64; 4] = [100, 200, 400, 800];

    fn ns(n: u64) -> Option<Duration> {
        Some(Duration::from_nanos(n))
    }

    #[test]
    fn nothing_polled_has_no_percentile() {
        assert_eq!(Histogram::new(&BOUNDS, &[]).percentile(0.5, None), None);
        assert_eq!(
            Histogram::new(&BOUNDS, &[0, 0]).percentile(0.5, ns(9)),
            None
        );
    }

    #[test]
    fn interpolates_linearly_within_a_bucket() {
        let histogram = Histogram::new(&BOUNDS, &[0, 10]);
        assert_eq!(histogram.percentile(0.0, None), ns(100));
        assert_eq!(histogram.percentile(0.5, None), ns(150));
        assert_eq!(histogram.percentile(1.0, None), ns(200));
    }

    #[test]
    fn crosses_buckets_by_rank() {
        let histogram = Histogram::new(&BOUNDS, &[50, 0, 50]);
        assert_eq!(histogram.percentile(0.25, None), ns(50));
        assert_eq!(histogram.percentile(0.75, None), ns(300));
    }

    #[test]
    fn open_bucket_ends_at_the_longest_poll() {
        let histogram = Histogram::new(&BOUNDS, &[0, 0, 0, 0, 4]);
        assert_eq!(histogram.percentile(0.5, ns(1_000)), ns(900));
        assert_eq!(histogram.percentile(0.99, None), ns(800));
    }

    #[test]
    fn longest_poll_caps_every_percentile() {
        let histogram = Histogram::new(&BOUNDS, &[0, 0, 1]);
        assert_eq!(histogram.percentile(1.0, ns(250)), ns(250));
    }

    #[test]
    fn surplus_counts_are_ignored() {
        let histogram = Histogram::new(&BOUNDS, &[1; 50]);
        assert_eq!(histogram.total(), 5);
        assert_eq!(histogram.buckets().count(), 5);
    }

    proptest! {
        #[test]
        fn percentiles_never_fall_and_stay_within_bounds(
            counts in proptest::collection::vec(any::<u64>(), 0..30),
            longest in proptest::option::of(any::<u64>()),
            a in 0.0..=1.0_f64,
            b in 0.0..=1.0_f64,
        ) {
            let histogram = Histogram::new(&BOUNDS, &counts);
            let longest = longest.map(Duration::from_nanos);
            let low = histogram.percentile(a.min(b), longest);
            let high = histogram.percentile(a.max(b), longest);
            prop_assert_eq!(low.is_none(), histogram.total() == 0);
            prop_assert!(low <= high);
            if let (Some(high), Some(longest)) = (high, longest) {
                prop_assert!(high <= longest);
            }
        }
    }
}
