//! Findings as the dashboard got to know them, in the order they matter.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use asyncwatch_findings::{Code, Finding, Level};

/// For how long a finding counts as new.
const NEW_FOR: Duration = Duration::from_secs(10);

/// A finding, and when it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The finding.
    pub finding: Finding,
    /// When it first came, unless it was there when the dashboard connected.
    pub appeared: Option<Instant>,
}

impl Seen {
    /// Whether it appeared in the last ten seconds, while the dashboard watched.
    pub fn is_new(&self, at: Instant) -> bool {
        self.appeared
            .is_some_and(|appeared| at.saturating_duration_since(appeared) < NEW_FOR)
    }
}

/// All findings of the program.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    by_id: HashMap<u64, Seen>,
    order: Vec<u64>,
}

impl Findings {
    /// Number of findings.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The finding with this id.
    pub fn get(&self, id: u64) -> Option<&Seen> {
        self.by_id.get(&id)
    }

    /// Ongoing ones first, then the newest first.
    pub fn iter(&self) -> impl Iterator<Item = &Seen> {
        self.order.iter().filter_map(|id| self.by_id.get(id))
    }

    /// Those that have not ended yet.
    pub fn ongoing(&self) -> impl Iterator<Item = &Seen> {
        self.iter().take_while(|seen| seen.finding.ongoing)
    }

    /// Number of occurrences and of sites for each kind, level `allow` left out.
    pub fn by_code(&self) -> BTreeMap<Code, Count> {
        let mut counts = BTreeMap::<Code, Count>::new();
        for Seen { finding, .. } in self.by_id.values() {
            if finding.level != Level::Allow {
                let count = counts.entry(finding.code).or_default();
                count.sites += 1;
                count.occurrences = count.occurrences.saturating_add(finding.count);
            }
        }
        counts
    }

    /// Takes in new versions; returns how many did not fit below `limit`.
    /// `appeared` is when, or nothing for those that were there before.
    pub(super) fn merge(
        &mut self,
        findings: Vec<Finding>,
        limit: usize,
        appeared: Option<Instant>,
    ) -> u64 {
        if findings.is_empty() {
            return 0;
        }
        let mut dropped = 0;
        for finding in findings {
            if let Some(seen) = self.by_id.get_mut(&finding.id) {
                seen.finding = finding;
            } else if self.by_id.len() < limit {
                self.by_id.insert(finding.id, Seen { finding, appeared });
            } else {
                dropped += 1;
            }
        }
        self.sort();
        dropped
    }

    /// Keeps from `before` when each finding appeared: a new connection to the
    /// same program is not news.
    pub(super) fn remember(&mut self, before: &Findings) {
        for (id, seen) in &mut self.by_id {
            if let Some(old) = before.by_id.get(id) {
                seen.appeared = old.appeared;
            }
        }
    }

    /// Nothing is ongoing any more: the program is gone.
    pub(super) fn end_all(&mut self) {
        for seen in self.by_id.values_mut() {
            seen.finding.ongoing = false;
        }
        self.sort();
    }

    fn sort(&mut self) {
        let mut order: Vec<_> = self.by_id.values().map(rank).collect();
        order.sort_unstable();
        self.order = order.into_iter().map(|(_, _, id)| id).collect();
    }
}

/// How often a kind of finding was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Places.
    pub sites: u64,
    /// Times at all places together.
    pub occurrences: u64,
}

fn rank(seen: &Seen) -> (bool, std::cmp::Reverse<u64>, u64) {
    let finding = &seen.finding;
    let newest_first = std::cmp::Reverse(finding.last_unix_ns);
    (!finding.ongoing, newest_first, finding.id)
}
