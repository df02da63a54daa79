//! One finding in full: fact, source, where the time went, stacks, next step.

use std::time::Duration;

use asyncwatch_findings::{
    Finding, Frame, ReadSource, humanise,
    message::{cause, frame_label, task_name},
};
use maud::{Markup, html};

use super::{GRAPHS_MAX, badge, flame, place, prose};
use crate::report::{Group, Report, Standing, text::clean};

/// Lines of source above and below the culprit's.
const AROUND: u32 = 4;

/// Longest line of source that is shown.
const LINE_CHARS_MAX: usize = 200;

/// Findings that are open when the page is.
const OPEN_MAX: usize = 10;

pub(super) fn card(at: usize, group: &Group, report: &Report, source: &dyn ReadSource) -> Markup {
    let finding = &group.finding;
    let open = at < OPEN_MAX && group.standing() == Standing::Failure;
    html! {
        details.finding id={ "finding-" (at) } open[open] {
            summary {
                (badge(group))
                span.code { (finding.code) }
                span.message { (prose(&finding.message)) }
            }
            div.body {
                (source_lines(finding, report, source))
                (time_bar(finding))
                @if let Some(help) = &finding.help {
                    p.help { b { "help" } " " (prose(help)) }
                }
                (facts(group, report))
                @if at < GRAPHS_MAX { (flame::graph(finding, report)) }
                @else { p.note { "The stacks of findings from here on are in the JSON report only." } }
                @for note in &group.with_notes().notes { p.note { (prose(note)) } }
            }
        }
    }
}

/// The culprit's place, and the source around it where that can be read.
fn source_lines(finding: &Finding, report: &Report, source: &dyn ReadSource) -> Markup {
    let Some(culprit) = &finding.culprit else {
        return html! { p.place { "place unknown: no stack could be taken" } };
    };
    let lines = excerpt(culprit, report, source);
    html! {
        figure.source {
            figcaption.place {
                code { (place(culprit, report).unwrap_or_else(|| "unknown file".to_owned())) }
                " in " code { (clean(&frame_label(culprit))) }
            }
            @if lines.is_empty() {
                @if let Some(cause) = cause(finding) { p.cause { (clean(&cause)) } }
            } @else {
                pre {
                    @for (number, line) in &lines {
                        @let hit = Some(*number) == culprit.line;
                        div class={ "line" @if hit { " hit" } } {
                            span.number { (number) } span.text { (line) "\n" }
                        }
                        @if hit {
                            @if let Some(cause) = cause(finding) {
                                div.line.cause {
                                    span.number {} span.text { (indent(line)) (clean(&cause)) "\n" }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn excerpt(culprit: &Frame, report: &Report, source: &dyn ReadSource) -> Vec<(u32, String)> {
    let text = (culprit.file.as_deref()).and_then(|file| source.read(&report.roots.readable(file)));
    let (Some(text), Some(line)) = (text, culprit.line) else {
        return Vec::new();
    };
    let first = line.saturating_sub(AROUND).max(1);
    let lines = text.lines().zip(1_u32..);
    let lines: Vec<(u32, String)> = lines
        .skip(first as usize - 1)
        .take_while(|(_, number)| *number <= line + AROUND)
        .map(|(line, number)| (number, printable(line)))
        .collect();
    // A file that is shorter than that is another one.
    match lines.iter().any(|(number, _)| *number == line) {
        true => lines,
        false => Vec::new(),
    }
}

fn printable(line: &str) -> String {
    let line = line.replace('\t', "    ");
    clean(&line).chars().take(LINE_CHARS_MAX).collect()
}

fn indent(line: &str) -> String {
    " ".repeat(line.len() - line.trim_start().len())
}

/// Where the time of the worst poll went.
fn time_bar(finding: &Finding) -> Markup {
    let Some(wall) = finding.wall.filter(|wall| !wall.is_zero()) else {
        return html! {};
    };
    let parts = [
        ("blocked", finding.blocked),
        ("cpu", finding.cpu),
        ("waiting for a cpu", finding.run_delay),
    ];
    let parts: Vec<(&str, Duration)> = parts
        .into_iter()
        .filter_map(|(name, time)| Some((name, time.filter(|time| !time.is_zero())?)))
        .collect();
    if parts.is_empty() {
        return html! {};
    }
    let share = |time: Duration| 100.0 * time.as_secs_f64() / wall.as_secs_f64();
    html! {
        div.times {
            div.bar aria-hidden="true" {
                @for (name, time) in &parts {
                    span class=(class_of(name)) style={ "width:" (format!("{:.2}", share(*time).min(100.0))) "%" } {}
                }
            }
            ul {
                @for (name, time) in &parts {
                    li class=(class_of(name)) { b { (humanise(*time)) } " " (name) }
                }
                @if let Some(limit) = finding.limit { li.limit { "limit " (humanise(limit)) } }
            }
        }
    }
}

fn class_of(part: &str) -> &'static str {
    match part {
        "blocked" => "blocked",
        "cpu" => "cpu",
        _ => "descheduled",
    }
}

fn facts(group: &Group, report: &Report) -> Markup {
    let finding = &group.finding;
    let task = finding.task.as_ref();
    let spawned_at = task.and_then(|task| task.spawned_at.as_ref());
    let called = finding.blocking_frame.as_ref().map(frame_label);
    let spawned_at = spawned_at.map(|at| {
        let file = report.roots.shown(&at.file);
        format!("{file}:{}:{}", at.line, at.column)
    });
    let waited = finding.waited_behind.map(humanise);
    let behind = finding.queued_behind.map(|queued| match waited {
        Some(waited) => format!("{queued} tasks, {waited} together"),
        None => format!("{queued} tasks"),
    });
    let allowed = finding.allowed.as_ref();
    let rows = [
        ("called", called),
        ("system call", finding.syscall.clone()),
        ("task", task.map(|task| task_name(Some(task)))),
        ("spawned at", spawned_at),
        ("thread", finding.worker.clone()),
        ("waited behind it", behind),
        (
            "allowed",
            allowed.map(|allowed| format!("{} ({})", allowed.reason, allowed.source)),
        ),
        ("seen", Some(format!("{}×", finding.count))),
        ("fingerprint", Some(finding.fingerprint.clone())),
    ];
    html! {
        dl.facts {
            @for (name, value) in rows {
                @if let Some(value) = value {
                    div { dt { (name) } dd { code { (clean(&value)) } } }
                }
            }
        }
    }
}
