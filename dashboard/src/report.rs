//! What came of a command that ran under observation: everything a report shows,
//! in whatever format.
//!
//! Made from what was gathered, or read back from its JSON; pure data. How it is written
//! is up to the modules below, a format in each, and what its verdict means for the exit
//! code is decided in `check`.

mod format;
mod github;
mod gitlab;
mod group;
mod html;
mod json;
mod junit;
mod markdown;
mod output;
mod roots;
#[cfg(test)]
pub(crate) mod samples;
mod sarif;
mod summary;
mod text;

use std::collections::BTreeMap;

use asyncwatch_findings::{Class, Code, Coverage, Level, Totals};

pub(crate) use self::{
    group::Group,
    json::{json, read},
    output::{Defaults, Output, prepare, replacement},
    roots::Roots,
    text::{clean, options, print, say, text},
};
use crate::{
    auto_limit::AutoLimit,
    baseline::Compared,
    config::{Allows, Unused},
    gather::{Gathered, Watched},
    run::child::Ending,
};

/// The outcome of one command.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) command: Vec<String>,
    pub(crate) ending: Ending,
    /// Where it ran.
    pub(crate) roots: Roots,
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
    /// Programs that could not be watched from outside, and why.
    pub(crate) unwatched: Vec<String>,
    /// Entries of the configuration that allowed nothing.
    pub(crate) unused_allows: Vec<Unused>,
    /// The limit of slow polls, where it follows from the suite.
    pub(crate) auto_limit: Option<AutoLimit>,
    /// What is known from before, where there is a baseline.
    pub(crate) baseline: Option<Compared>,
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
            roots: Roots::here(),
            groups: group::group(&processes, caps, allows),
            unused_allows: allows.unused(),
            coverage: aspects(&processes),
            dropped: dropped(&processes),
            garbled,
            left_out: gathered.left_out,
            auto_limit: None,
            unwatched: gathered.unwatched,
            baseline: None,
            processes,
        }
    }

    /// Holds polls to the limit that follows from all of them.
    pub(crate) fn limit_by_itself(&mut self) {
        let mut counts = Vec::new();
        for process in &self.processes {
            let times = &process.poll_times;
            counts.resize(times.len().max(counts.len()), 0_u64);
            for (sum, count) in counts.iter_mut().zip(times) {
                *sum = sum.saturating_add(*count);
            }
        }
        let limit = AutoLimit::of(&counts);
        self.groups
            .retain_mut(|group| limit.judge(&mut group.finding));
        self.auto_limit = Some(limit);
    }

    /// Whether a check of it exits with 0.
    pub(crate) fn passed(&self) -> bool {
        self.verdict() == Verdict::Clean && self.ending.failure().is_none()
    }

    /// Whether what it does not show was not there: the command did all it should, and was
    /// watched.
    pub(crate) fn is_complete(&self) -> bool {
        self.ending.failure().is_none()
            && matches!(self.verdict(), Verdict::Clean | Verdict::Denied)
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
        self.of_standing(Standing::Failure).count()
    }

    pub(crate) fn of_standing(&self, standing: Standing) -> impl Iterator<Item = &Group> {
        let groups = self.groups.iter();
        groups.filter(move |group| group.standing() == standing)
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
            && (self.processes.iter()).all(|process| process.ended && !process.is_outside())
            && self.totals().polls == 0
    }
}

/// What a finding means for whoever reads the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// It fails a check.
    Failure,
    Warning,
    /// It would fail a check, were it not known from before.
    Known,
    /// Counted only: it is allowed, or the machine's doing.
    Hidden,
}

impl Group {
    pub(crate) fn standing(&self) -> Standing {
        match self.finding.level {
            _ if self.is_descheduled() => Standing::Hidden,
            Level::Deny if self.known => Standing::Known,
            Level::Deny => Standing::Failure,
            Level::Warn => Standing::Warning,
            Level::Allow => Standing::Hidden,
        }
    }

    /// Whether it fails a check: a poll that only lacked a CPU never does.
    pub(crate) fn is_failure(&self) -> bool {
        self.standing() == Standing::Failure
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
