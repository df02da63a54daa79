//! Equal findings of several processes, as one.

use std::collections::HashMap;

use asyncwatch_findings::{Code, Finding, Level};

use crate::{config::Allows, gather::Watched};

/// Occurrences of one finding that are told apart, of all processes.
const OCCURRENCES_MAX: usize = 256;

/// One problem, wherever it was seen.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// The worst occurrence, with the counts of all.
    pub(crate) finding: Finding,
    /// Ids of the processes it was seen in.
    pub(crate) pids: Vec<u32>,
    /// It is in the baseline.
    pub(crate) known: bool,
}

/// Findings with the same fingerprint are one; the worst come first.
pub(super) fn group(processes: &[Watched], caps: &[(Code, Level)], allows: &Allows) -> Vec<Group> {
    let mut groups: HashMap<Key, Group> = HashMap::new();
    for process in processes {
        for finding in process.findings.values() {
            let mut finding = capped(finding.clone(), caps);
            if let Some(allowed) = allows.of(&finding) {
                finding.level = Level::Allow;
                finding.allowed = Some(allowed);
            }
            let group = Group {
                finding,
                pids: vec![process.info.pid],
                known: false,
            };
            match groups.get_mut(&key(&group.finding)) {
                Some(known) => known.add(group),
                None => drop(groups.insert(key(&group.finding), group)),
            }
        }
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by(|a, b| {
        b.weight()
            .cmp(&a.weight())
            .then_with(|| key(&a.finding).cmp(&key(&b.finding)))
    });
    groups
}

/// What a machine without a free CPU did to a poll says nothing about the poll:
/// it is never merged with what the poll did itself.
///
/// A function may hold several calls that block, or forget several futures: their
/// lines tell them apart. One that is slow by itself is one problem, whichever of
/// its lines was seen.
///
/// What is allowed for a reason is told apart from what is not, and by its reason.
type Key = (Code, bool, String, Option<u32>, Option<String>);

fn key(finding: &Finding) -> Key {
    let descheduled = finding.class == Some(asyncwatch_findings::Class::Descheduled);
    let line = finding.culprit.as_ref().and_then(|frame| frame.line);
    let calls = finding.code != Code::SlowPoll || finding.blocking_frame.is_some();
    (
        finding.code,
        descheduled,
        finding.fingerprint.clone(),
        line.filter(|_| calls),
        (finding.allowed.as_ref()).map(|allowed| allowed.source.clone()),
    )
}

fn capped(mut finding: Finding, caps: &[(Code, Level)]) -> Finding {
    let cap = caps.iter().rev().find(|(code, _)| *code == finding.code);
    if let Some((_, level)) = cap {
        finding.level = finding.level.min(*level);
    }
    finding
}

impl Group {
    fn add(&mut self, other: Group) {
        let mut occurrences = self.finding.occurrences.clone();
        occurrences.extend(&other.finding.occurrences);
        occurrences.sort_by_key(|occurrence| occurrence.ended_unix_ns);
        let (worse, better) = if other.finding.wall > self.finding.wall {
            (other.finding, self.finding.clone())
        } else {
            (self.finding.clone(), other.finding)
        };
        self.finding = Finding {
            level: worse.level.max(better.level),
            count: worse.count.saturating_add(better.count),
            ongoing: worse.ongoing || better.ongoing,
            first_unix_ns: worse.first_unix_ns.min(better.first_unix_ns),
            last_unix_ns: worse.last_unix_ns.max(better.last_unix_ns),
            occurrences,
            ..worse
        };
        self.finding.bound_occurrences(OCCURRENCES_MAX);
        self.pids.extend(other.pids);
        self.pids.dedup();
    }

    /// More serious levels first, then longer polls, then more frequent ones.
    fn weight(&self) -> impl Ord + use<> {
        (self.finding.level, self.finding.wall, self.finding.count)
    }
}
