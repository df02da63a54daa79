//! One slow poll as a finding.

use std::time::Duration;

use asyncwatch_findings::{
    Class, Code, Finding, Level, SourceFiles, Stack, fingerprint, message, telling_stack,
    waits_for_lock,
};
use asyncwatch_stack::DebugInfo;

use super::episodes::Episode;
use crate::{
    coverage, settings,
    watchdog::{Looks, PollReport, Stage},
};

/// The finding that `report` and what was seen of its poll make, without a count.
pub(super) fn slow_poll(report: &PollReport, episode: &Episode, level: Level) -> Finding {
    let stacks: Vec<Stack> = episode
        .stacks
        .iter()
        .map(|seen| seen.stack.clone())
        .collect();
    let telling = telling_stack(&stacks).and_then(|at| episode.stacks.get(at));
    let class = report.verdict.class;
    let level = if class == Class::Descheduled || is_unseen(episode) {
        Level::Allow
    } else {
        level
    };
    let mut finding = Finding {
        ongoing: report.stage != Stage::End,
        wall: Some(report.wall),
        cpu: Some(report.verdict.cpu),
        blocked: Some(report.verdict.blocked),
        run_delay: report.verdict.run_delay,
        limit: Some(report.limit),
        class: Some(class),
        syscall: telling.and_then(|seen| seen.syscall.clone()),
        task: Some(report.task.to_ref()),
        worker: (!report.thread.is_empty()).then(|| report.thread.clone()),
        queued_behind: report.queued_behind.filter(|&queued| queued > 0),
        waited_behind: Some(report.waited_behind).filter(|waited| !waited.is_zero()),
        stacks,
        ..Finding::new(Code::SlowPoll, level, String::new(), report.unix_ns)
    };
    finding.attribute(&SourceFiles);
    finding.notes = notes(report, episode, &finding);
    finding.message = message::slow_poll(&message::SlowPoll {
        task: finding.task.as_ref(),
        worker: finding.worker.as_deref(),
        wall: finding.wall.unwrap_or_default(),
        limit: report.limit,
        class: finding.class,
        ongoing: finding.ongoing,
    });
    finding
}

/// Nobody saw what it did, though that is seen of others here: all of it may have been
/// on purpose, as in `block_in_place`.
pub(super) fn is_unseen(episode: &Episode) -> bool {
    episode.stacks.is_empty() && coverage::takes_stacks()
}

/// What else there is to say of a poll that is the first of its task and has lasted so
/// long, without what the machine withheld, that the task cannot be said to be async at
/// all; `None` if it is not one.
pub(super) fn never_yielded(report: &PollReport, slow: &Finding) -> Option<Finding> {
    let limit = Duration::from_nanos(settings::limit_of(Code::NeverYielded));
    let own = report.verdict.cpu + report.verdict.blocked;
    let long = own >= limit.max(report.limit) && report.verdict.is_guilty();
    if !(report.first && long && settings::wants(Code::NeverYielded)) {
        return None;
    }
    let level = settings::level(Code::NeverYielded);
    let message = message::never_yielded(slow.task.as_ref(), report.wall, slow.ongoing);
    let mut finding = Finding {
        level,
        code: Code::NeverYielded,
        message,
        limit: Some(limit),
        help: Some(help_against_never_yielding(slow)),
        ..slow.clone()
    };
    finding.fingerprint = fingerprint(
        finding.code,
        finding.culprit.as_ref(),
        finding.blocking_frame.as_ref(),
        finding.task.as_ref(),
    );
    Some(finding)
}

fn help_against_never_yielding(slow: &Finding) -> String {
    match (&slow.help, slow.class) {
        (Some(help), _) => help.clone(),
        (None, Some(Class::Blocked)) => {
            "give it a thread of its own, with `spawn_blocking` or `std::thread::spawn`".to_owned()
        }
        (None, _) => {
            "await something in the loop, such as `tokio::task::yield_now()` every few milliseconds, or move it to `spawn_blocking`".to_owned()
        }
    }
}

fn notes(report: &PollReport, episode: &Episode, finding: &Finding) -> Vec<String> {
    let mut notes = Vec::new();
    if report.verdict.cause_unknown {
        notes.push(
            "off-CPU, cause unknown: this system does not tell how long a thread waits for a CPU"
                .to_owned(),
        );
    }
    if report.dated {
        notes.push(format!(
            "times are the watchdog's, exact to {} ms; use `timing = exact` for exact ones",
            (report.limit / 8).as_millis().max(1)
        ));
    }
    let telling = telling_stack(&finding.stacks).map(|at| &*finding.stacks[at].frames);
    if let Some((thread, frames)) = &episode.holder
        && telling.is_some_and(waits_for_lock)
    {
        notes.push(message::lock_holder(thread, frames));
    }
    notes.extend(
        report.faults.and_then(|faults| {
            message::page_faults(faults.minor, faults.major, report.verdict.cpu)
        }),
    );
    let Looks { all, in_io } = report.looks;
    if report.verdict.class != Class::Cpu && in_io * 2 > all {
        notes.push(message::IN_IO.to_owned());
    }
    if is_unseen(episode) {
        notes.push(
            "no stack was taken while it ran: whether it blocked on purpose is not known, so it is no failure"
                .to_owned(),
        );
    } else if is_named(episode)
        && finding
            .culprit
            .as_ref()
            .is_none_or(|culprit| culprit.line.is_none())
    {
        notes.extend(missing_debuginfo());
    }
    notes
}

/// Whether names were looked up at all.
fn is_named(episode: &Episode) -> bool {
    let mut frames = episode.stacks.iter().flat_map(|seen| &seen.stack.frames);
    frames.any(|frame| !frame.function.is_empty())
}

/// What to build differently, if that is why a line is missing.
fn missing_debuginfo() -> Option<String> {
    let why = match asyncwatch_stack::has_debuginfo() {
        DebugInfo::LineTables => return None,
        DebugInfo::SymbolsOnly => "the program has no line tables",
        DebugInfo::Stripped => "the program is stripped",
    };
    Some(format!(
        "{why}: set `debug = \"line-tables-only\"` and `strip = false` in its Cargo profile to see lines and inlined functions"
    ))
}
