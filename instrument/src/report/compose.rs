//! One slow poll as a finding.

use asyncwatch_findings::{
    Blame, Class, Code, Finding, Frame, Level, blame, fingerprint, help_for, message,
};
use asyncwatch_stack::DebugInfo;

use super::episodes::{Episode, Seen};
use crate::{
    settings,
    watchdog::{PollReport, Stage},
};

/// The finding that `report` and what was seen of its poll make, without a count.
pub(super) fn slow_poll(report: &PollReport, episode: &Episode, level: Level) -> Finding {
    let heaviest = heaviest_culprit(&episode.stacks);
    let (culprit, blocking_frame) = match heaviest {
        Some(seen) => blamed(&seen.stack.frames),
        None => (None, None),
    };
    let class = report.verdict.class;
    let mut finding = Finding {
        id: 0,
        code: Code::SlowPoll,
        level: if class == Class::Descheduled {
            Level::Allow
        } else {
            level
        },
        message: String::new(),
        count: 1,
        ongoing: report.stage != Stage::End,
        first_unix_ns: report.unix_ns,
        last_unix_ns: report.unix_ns,
        wall: Some(report.wall.saturating_sub(episode.excused)),
        cpu: Some(report.verdict.cpu),
        blocked: Some(report.verdict.blocked),
        run_delay: report.verdict.run_delay,
        limit: Some(settings::limit()),
        class: Some(class),
        syscall: heaviest.and_then(|seen| seen.syscall.clone()),
        help: heaviest.and_then(|seen| help_for(&seen.stack.frames, Some(class))),
        culprit,
        blocking_frame,
        task: Some(report.task.to_ref()),
        worker: (!report.thread.is_empty()).then(|| report.thread.clone()),
        queued_behind: report.queued_behind.filter(|&queued| queued > 0),
        stacks: episode
            .stacks
            .iter()
            .map(|seen| seen.stack.clone())
            .collect(),
        notes: Vec::new(),
        fingerprint: String::new(),
    };
    finding.notes = notes(report, episode, &finding);
    finding.message = message::slow_poll(&message::SlowPoll {
        task: finding.task.as_ref(),
        worker: finding.worker.as_deref(),
        wall: finding.wall.unwrap_or_default(),
        limit: settings::limit(),
        class: finding.class,
        ongoing: finding.ongoing,
    });
    finding.fingerprint = fingerprint(
        finding.code,
        finding.culprit.as_ref(),
        finding.blocking_frame.as_ref(),
        finding.task.as_ref(),
    );
    finding
}

/// The first of the stacks that share the culprit line with the most time.
fn heaviest_culprit(stacks: &[Seen]) -> Option<&Seen> {
    let place = |seen: &Seen| {
        blamed(&seen.stack.frames)
            .0
            .map(|frame| (frame.function, frame.file, frame.line))
    };
    let places: Vec<_> = stacks.iter().map(place).collect();
    let weight = |n: usize| -> std::time::Duration {
        stacks
            .iter()
            .zip(&places)
            .filter(|(_, of)| **of == places[n])
            .map(|(seen, _)| seen.stack.weight)
            .sum()
    };
    let heaviest = (0..stacks.len()).rev().max_by_key(|&n| {
        let known = places[n].is_some();
        (known, weight(n))
    })?;
    // Of one culprit's stacks, the heaviest comes first: they are sorted.
    stacks
        .iter()
        .zip(&places)
        .find(|(_, of)| **of == places[heaviest])
        .map(|(seen, _)| seen)
}

fn blamed(frames: &[Frame]) -> (Option<Frame>, Option<Frame>) {
    let Blame { culprit, blocking } = blame(frames);
    let frame = |at: Option<usize>| at.and_then(|at| frames.get(at)).cloned();
    (frame(culprit), frame(blocking))
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
            (settings::limit() / 8).as_millis().max(1)
        ));
    }
    if episode.stacks.is_empty() {
        notes.push("no stack was taken before it ended".to_owned());
    } else if finding
        .culprit
        .as_ref()
        .is_none_or(|culprit| culprit.line.is_none())
    {
        notes.extend(missing_debuginfo());
    }
    notes
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
