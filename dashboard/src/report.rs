//! What came of a command that ran under observation: everything a report shows,
//! in whatever format.
//!
//! Made from what was gathered; pure data. How it is written is up to the modules
//! below, and what its verdict means for the exit code is decided in `check`.

mod group;
mod json;
mod output;
#[cfg(test)]
pub(crate) mod samples;
mod summary;
mod text;

use std::collections::BTreeMap;

use asyncwatch_findings::{Class, Code, Coverage, Level, Totals};

pub(crate) use self::{
    group::Group,
    json::json,
    output::{Output, Prepared},
    text::{options, print, say, text},
};
use crate::{
    config::{Allows, Unused},
    gather::{Gathered, Watched},
    run::child::Ending,
};

/// The outcome of one command.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) command: Vec<String>,
    pub(crate) ending: Ending,
    /// Processes that reported.
    pub(crate) processes: Vec<Watched>,
    /// Findings, equal ones of several processes together; the worst first.
    pub(crate) groups: Vec<Group>,
    pub(crate) coverage: Vec<Aspect>,
    /// What bounds made the processes leave out: count and explanation by kind.
    pub(crate) dropped: BTreeMap<String, (u64, String)>,
    /// Lines of report streams that were no event.
    pub(crate) garbled: u64,
    /// What this side left out.
    pub(crate) left_out: u64,
    /// Entries of the configuration that allowed nothing.
    pub(crate) unused_allows: Vec<Unused>,
}

/// One aspect of what could be seen, and in how many processes.
#[derive(Clone, Debug)]
pub(crate) struct Aspect {
    pub(crate) coverage: Coverage,
    pub(crate) processes: usize,
}

/// What a report comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No finding at deny level.
    Clean,
    /// Findings at deny level.
    Denied,
    /// No process reported: nothing is known.
    NothingReported,
    /// Processes reported, and none of them polled anything watched.
    NothingPolled,
}

impl Report {
    /// `caps` are levels that findings of a kind have at most; `allows` what is allowed
    /// beyond that.
    pub(crate) fn new(
        command: Vec<String>,
        ending: Ending,
        gathered: Gathered,
        caps: &[(Code, Level)],
        allows: &Allows,
    ) -> Report {
        let garbled = gathered
            .processes
            .iter()
            .map(|process| process.garbled)
            .sum();
        let processes: Vec<Watched> = gathered
            .processes
            .into_iter()
            .filter(|process| process.reported)
            .collect();
        Report {
            command,
            ending,
            groups: group::group(&processes, caps, allows),
            unused_allows: allows.unused(),
            coverage: aspects(&processes),
            dropped: dropped(&processes),
            garbled,
            left_out: gathered.left_out,
            processes,
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        if self.denied() > 0 {
            Verdict::Denied
        } else if self.processes.is_empty() {
            Verdict::NothingReported
        } else if self.polled_nothing() {
            Verdict::NothingPolled
        } else {
            Verdict::Clean
        }
    }

    /// Findings that fail a check.
    pub(crate) fn denied(&self) -> usize {
        self.groups
            .iter()
            .filter(|group| group.is_failure())
            .count()
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut sum = Totals::default();
        for Totals {
            polls,
            tasks,
            threads,
        } in self.processes.iter().map(|process| process.totals)
        {
            sum.polls = sum.polls.saturating_add(polls);
            sum.tasks = sum.tasks.saturating_add(tasks);
            sum.threads = sum.threads.saturating_add(threads);
        }
        sum
    }

    /// Only processes that ended in good order have told all their polls.
    fn polled_nothing(&self) -> bool {
        self.groups.is_empty()
            && self.processes.iter().all(|process| process.ended)
            && self.totals().polls == 0
    }
}

impl Group {
    /// Whether it fails a check: a poll that only lacked a CPU never does.
    pub(crate) fn is_failure(&self) -> bool {
        self.finding.level == Level::Deny && !self.is_descheduled()
    }

    pub(crate) fn is_descheduled(&self) -> bool {
        self.finding.class == Some(Class::Descheduled)
    }
}

/// What could be seen, equal sentences of several processes together; gaps first.
fn aspects(processes: &[Watched]) -> Vec<Aspect> {
    let mut aspects: Vec<Aspect> = Vec::new();
    for coverage in processes.iter().flat_map(|process| &process.info.coverage) {
        match aspects
            .iter_mut()
            .find(|aspect| aspect.coverage == *coverage)
        {
            Some(known) => known.processes += 1,
            None => aspects.push(Aspect {
                coverage: coverage.clone(),
                processes: 1,
            }),
        }
    }
    aspects.sort_by_key(|aspect| aspect.coverage.covered);
    aspects
}

fn dropped(processes: &[Watched]) -> BTreeMap<String, (u64, String)> {
    let mut dropped: BTreeMap<String, (u64, String)> = BTreeMap::new();
    for drop in processes.iter().flat_map(|process| &process.drops) {
        let (count, detail) = dropped.entry(drop.what.clone()).or_default();
        *count = count.saturating_add(drop.count);
        detail.clone_from(&drop.detail);
    }
    dropped
}

#[cfg(test)]
mod tests;
