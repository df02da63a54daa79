//! Findings grouped by site: one finding per place, with counts.

use std::collections::HashMap;

use asyncwatch_findings::{Class, Code, Finding, Repeats};

use crate::drops;

/// Sites with findings; the findings' stacks make them some 20 KiB each.
const FINDINGS_MAX: usize = 1_024;

/// All findings so far.
#[derive(Default)]
pub(super) struct Groups {
    by_site: HashMap<Site, u64>,
    all: HashMap<u64, Group>,
}

/// What makes two occurrences one finding.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Site {
    fingerprint: String,
    /// The machine's doing and the program's are never one finding.
    descheduled: bool,
    /// Neither are what is allowed and what is not.
    allowed: bool,
    /// The line of the call that blocks or of the future that is forgotten. A function
    /// that is slow by itself is one problem, whichever of its lines was seen.
    line: Option<u32>,
}

impl Site {
    fn of(occurrence: &Finding) -> Site {
        let line = occurrence.culprit.as_ref().and_then(|frame| frame.line);
        Site {
            fingerprint: occurrence.fingerprint.clone(),
            descheduled: occurrence.class == Some(Class::Descheduled),
            allowed: occurrence.allowed.is_some(),
            line: line.filter(|_| {
                occurrence.code != Code::SlowPoll || occurrence.blocking_frame.is_some()
            }),
        }
    }
}

struct Group {
    finding: Finding,
    repeats: Repeats,
    shown: bool,
    /// It was due and there was no room in the log.
    owed: bool,
}

/// What became of an occurrence.
pub(super) struct Counted {
    pub(super) finding: Finding,
    /// Whether it is worth showing: the 1st, 2nd, 4th, 8th … of its site, or the next
    /// after one of these that was not shown.
    pub(super) due: bool,
    /// None of its site was shown yet.
    pub(super) new: bool,
}

impl Groups {
    /// Counts one occurrence; `None` if there is no room for another site.
    pub(super) fn count(&mut self, occurrence: Finding) -> Option<Counted> {
        let site = Site::of(&occurrence);
        if let Some(id) = self.by_site.get(&site) {
            let group = self.all.get_mut(id)?;
            group.finding.count += occurrence.count;
            merge(&mut group.finding, occurrence);
            return Some(group.counted());
        }
        if self.all.len() >= FINDINGS_MAX {
            drops::count(drops::What::Findings);
            return None;
        }
        let mut occurrence = occurrence;
        occurrence.note_occurrence(occurrence.as_occurrence());
        let id = self.next_id();
        self.by_site.insert(site, id);
        let group = self.all.entry(id).or_insert(Group {
            finding: Finding { id, ..occurrence },
            repeats: Repeats::default(),
            shown: false,
            owed: false,
        });
        Some(group.counted())
    }

    /// The id that the next new site will get.
    pub(super) fn next_id(&self) -> u64 {
        self.all.len() as u64 + 1
    }

    /// Remembers whether a finding that was due was shown.
    pub(super) fn note_shown(&mut self, id: u64, shown: bool) {
        if let Some(group) = self.all.get_mut(&id) {
            group.shown |= shown;
            group.owed = !shown;
        }
    }

    /// The newest occurrence goes on, but counts elsewhere from now on.
    pub(super) fn end(&mut self, id: u64) -> Option<Finding> {
        let group = self.all.get_mut(&id)?;
        group.finding.ongoing = false;
        Some(group.finding.clone())
    }

    /// Tells more of an occurrence that was counted before.
    pub(super) fn update(&mut self, id: u64, occurrence: Finding) -> Option<Finding> {
        let group = self.all.get_mut(&id)?;
        let site = Site::of(&occurrence);
        if group.finding.count == 1 && !self.by_site.contains_key(&site) {
            // All that is known of it is of this occurrence, and that is known better now.
            self.by_site.retain(|_, known| *known != id);
            self.by_site.insert(site, id);
            group.finding.fingerprint = occurrence.fingerprint.clone();
        }
        merge(&mut group.finding, occurrence);
        Some(group.finding.clone())
    }
}

impl Group {
    fn counted(&mut self) -> Counted {
        Counted {
            due: self.repeats.record().is_some() || self.owed,
            new: !self.shown,
            finding: self.finding.clone(),
        }
    }
}

/// The worst occurrence gives the facts, the newest its time and state.
fn merge(known: &mut Finding, newer: Finding) {
    let (id, count, first, fingerprint) = (
        known.id,
        known.count,
        known.first_unix_ns,
        std::mem::take(&mut known.fingerprint),
    );
    let (ongoing, last) = (newer.ongoing, newer.last_unix_ns);
    let newest = newer.as_occurrence();
    let occurrences = std::mem::take(&mut known.occurrences);
    let worse = newer.wall >= known.wall;
    if worse {
        let stacks = std::mem::take(&mut known.stacks);
        *known = newer;
        if known.stacks.is_empty() {
            known.stacks = stacks;
        }
    }
    known.id = id;
    known.count = count;
    known.first_unix_ns = first;
    known.fingerprint = fingerprint;
    known.ongoing = ongoing;
    known.last_unix_ns = last;
    known.occurrences = occurrences;
    known.note_occurrence(newest);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use asyncwatch_findings::{Frame, Level};

    use super::*;

    fn occurrence(line: u32, wall: u64) -> Finding {
        Finding {
            fingerprint: format!("at {line}"),
            wall: Some(Duration::from_millis(wall)),
            culprit: Some(Frame {
                line: Some(line),
                ..Frame::default()
            }),
            ..Finding::new(Code::SlowPoll, Level::Warn, "", 0)
        }
    }

    #[test]
    fn a_poll_that_turns_out_to_be_about_another_line_counts_there() {
        let mut groups = Groups::default();
        let id = groups.count(occurrence(21, 15)).expect("room").finding.id;
        let known_better = groups.update(id, occurrence(24, 90)).expect("known");
        assert_eq!(known_better.fingerprint, "at 24");
        let elsewhere = groups.count(occurrence(21, 15)).expect("room").finding;
        assert_ne!(elsewhere.id, id);
        let again = groups.count(occurrence(24, 15)).expect("room").finding;
        assert_eq!((again.id, again.count), (id, 2));
    }

    #[test]
    fn a_line_that_was_seen_before_keeps_what_was_counted_there() {
        let mut groups = Groups::default();
        let first = groups.count(occurrence(24, 15)).expect("room").finding.id;
        let id = groups.count(occurrence(21, 15)).expect("room").finding.id;
        groups.update(id, occurrence(24, 90));
        let again = groups.count(occurrence(24, 15)).expect("room").finding;
        assert_eq!((again.id, again.count), (first, 2));
    }
}
