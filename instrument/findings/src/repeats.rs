//! When to speak of a problem again: at the 1st, 2nd, 4th, 8th … occurrence.
//!
//! Keeps the count of one site; which occurrences belong to one site is decided by
//! who keeps the [`Repeats`].

/// Counts the occurrences of one problem and tells when to announce it.
///
/// ```
/// use asyncwatch_findings::Repeats;
///
/// let mut repeats = Repeats::default();
/// let announced: Vec<u64> = (1..=20).filter(|_| repeats.record().is_some()).collect();
/// assert_eq!(announced, [1, 2, 4, 8, 16]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repeats {
    seen: u64,
    announced: u64,
}

/// An occurrence worth speaking of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// How often the problem was seen, this time included.
    pub seen: u64,
    /// How many of them passed in silence since the last announcement.
    pub suppressed: u64,
}

impl Repeats {
    /// Counts one occurrence; `Some` if it should be announced.
    pub fn record(&mut self) -> Option<Announcement> {
        self.seen = self.seen.saturating_add(1);
        if !self.seen.is_power_of_two() {
            return None;
        }
        let suppressed = self.seen - self.announced - 1;
        self.announced = self.seen;
        Some(Announcement {
            seen: self.seen,
            suppressed,
        })
    }

    /// How often it was seen.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// How many occurrences nobody was told of yet.
    pub fn suppressed(&self) -> u64 {
        self.seen - self.announced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_counted() {
        let mut repeats = Repeats::default();
        let announcements: Vec<Announcement> = (0..8).filter_map(|_| repeats.record()).collect();
        assert_eq!(
            announcements[0],
            Announcement {
                seen: 1,
                suppressed: 0
            }
        );
        assert_eq!(
            announcements[3],
            Announcement {
                seen: 8,
                suppressed: 3
            }
        );
        repeats.record();
        assert_eq!((repeats.seen(), repeats.suppressed()), (9, 1));
    }

    #[test]
    fn the_last_count_stays() {
        let mut repeats = Repeats {
            seen: u64::MAX,
            announced: 1 << 63,
        };
        assert_eq!(repeats.record(), None);
        assert_eq!(repeats.seen(), u64::MAX);
    }
}
