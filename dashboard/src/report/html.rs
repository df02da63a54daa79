//! A report as one HTML file that needs nothing else: no network, no other file.
//!
//! Everything that programs told is escaped by `maud`; the page's policy forbids it to
//! load anything.

mod finding;
mod flame;
mod timeline;

use std::{collections::BTreeSet, time::Duration};

use asyncwatch_findings::{
    Class, Code, Coverage, Frame, ReadSource, SourceFiles, humanise, message::frame_label,
};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Group, Report, Standing, Verdict, summary, text::clean};

/// Findings that are shown in full.
const DETAILED_MAX: usize = 200;

/// Of these, how many with their stacks.
const GRAPHS_MAX: usize = 40;

/// The page.
pub(super) fn html(report: &Report) -> String {
    page(report, &SourceFiles).into_string()
}

fn page(report: &Report, source: &dyn ReadSource) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
                meta name="generator" content={ "asyncwatch " (env!("CARGO_PKG_VERSION")) };
                title { "asyncwatch: " (summary::headline(report)) }
                style { (PreEscaped(include_str!("html/style.css"))) }
            }
            body {
                (head(report))
                main {
                    (tiles(report))
                    (timeline::timeline(report))
                    (places(report))
                    (findings(report, source))
                    (gone(report))
                    (run(report))
                    (pages(report))
                }
                footer { "asyncwatch " (env!("CARGO_PKG_VERSION")) }
                script { (PreEscaped(include_str!("html/script.js"))) }
            }
        }
    }
}

fn head(report: &Report) -> Markup {
    let (class, word) = match report.verdict() {
        _ if report.ending.failure().is_some() => ("fail", "the command failed"),
        Verdict::Denied => ("fail", "failed"),
        Verdict::NothingReported | Verdict::NothingPolled => ("fail", "nothing was watched"),
        Verdict::Clean => ("pass", "passed"),
    };
    let started = report
        .processes
        .iter()
        .map(|process| process.info.started_unix_ns);
    html! {
        header class=(class) {
            div.title {
                h1 { "asyncwatch" }
                span.verdict { (word) }
            }
            p.headline { (prose(&summary::headline(report))) }
            p.command {
                code { "$ " (clean(&report.command.join(" "))) }
                @if let Some(started) = started.min().filter(|at| *at > 0) {
                    time { (time(started)) }
                }
            }
        }
    }
}

/// `2026-11-21T08:55:00Z`, as people write it.
fn time(unix_ns: u64) -> String {
    let at = std::time::UNIX_EPOCH.checked_add(Duration::from_nanos(unix_ns));
    let shown = at.map(|at| humantime::format_rfc3339_seconds(at).to_string());
    shown
        .unwrap_or_default()
        .replace('T', " ")
        .replace('Z', " UTC")
}

/// Text for people, in which code stands between backticks.
fn prose(text: &str) -> Markup {
    let text = clean(text);
    let parts: Vec<&str> = text.split('`').collect();
    // One that is left over belongs to the text.
    let paired = parts.len() % 2 == 1;
    html! {
        @for (at, part) in parts.iter().enumerate() {
            @if at % 2 == 1 && (paired || at + 1 < parts.len()) { code { (part) } }
            @else if at % 2 == 1 { "`" (part) }
            @else { (part) }
        }
    }
}

fn tiles(report: &Report) -> Markup {
    let count = |standing| report.of_standing(standing).count().to_string();
    let totals = report.totals();
    let longest = report.groups.iter().filter(|group| !group.is_descheduled());
    let longest = longest.filter_map(|group| group.finding.wall).max();
    let tile = |class: &str, name: &str, value: String| {
        let class = if value == "0" { "none" } else { class };
        html! { div class={ "tile " (class) } { dt { (name) } dd { (value) } } }
    };
    html! {
        dl.tiles {
            (tile("failure", "failures", count(Standing::Failure)))
            (tile("warning", "warnings", count(Standing::Warning)))
            @if report.baseline.is_some() {
                (tile("known", "known", count(Standing::Known)))
            }
            (tile("", "longest poll", longest.map_or("–".to_owned(), humanise)))
            // Programs that are watched from outside cannot tell.
            @if totals.polls > 0 {
                (tile("", "polls", grouped(totals.polls)))
                (tile("", "tasks", grouped(totals.tasks)))
            }
            (tile("", "processes", report.processes.len().to_string()))
        }
    }
}

/// `12 041`, with thin spaces.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push('\u{202f}');
        }
        shown.push(digit);
    }
    shown
}

/// One row for each place, to be sorted by any column.
fn places(report: &Report) -> Markup {
    if report.groups.is_empty() {
        return html! {};
    }
    let several = report.processes.len() > 1;
    let number = ["worst", "blocked", "cpu", "no cpu", "waiting", "seen"];
    let number = number.into_iter().chain(several.then_some("processes"));
    html! {
        section #places {
            h2 { "Places" }
            div.scroll {
                table.sortable {
                    thead { tr {
                        th aria-sort="none" { span.hidden { "standing" } }
                        @for title in ["finding", "place", "function"] {
                            th aria-sort="none" { (title) }
                        }
                        @for title in number { th.number aria-sort="none" { (title) } }
                    } }
                    tbody {
                        @for (at, group) in report.groups.iter().enumerate() {
                            (row(at, group, report))
                        }
                    }
                }
            }
        }
    }
}

fn row(at: usize, group: &Group, report: &Report) -> Markup {
    let finding = &group.finding;
    let culprit = finding.culprit.as_ref();
    let place = culprit.and_then(|frame| place(frame, report));
    let time = |value: Option<Duration>| {
        let sort = value.unwrap_or_default().as_nanos();
        html! { td.number data-sort=(sort) { (value.map_or("–".to_owned(), humanise)) } }
    };
    let number = |value: u64| html! { td.number data-sort=(value) { (value) } };
    let shown = group.standing() != Standing::Hidden;
    html! {
        tr class=[(!shown).then_some("dim")] {
            td data-sort=(group.standing() as u8) { (badge(group)) }
            td {
                @if shown && at < DETAILED_MAX {
                    a href={ "#finding-" (at) } { (finding.code) }
                } @else { (finding.code) }
            }
            td { code { (place.unwrap_or_else(|| "unknown".to_owned())) } }
            td { code { (culprit.map(|frame| clean(&frame_label(frame))).unwrap_or_default()) } }
            (time(finding.wall))
            (time(finding.blocked))
            (time(finding.cpu))
            (time(finding.run_delay))
            (number(finding.queued_behind.unwrap_or_default()))
            (number(finding.count))
            @if report.processes.len() > 1 { (number(group.pids.len() as u64)) }
        }
    }
}

/// `src/session.rs:42`.
fn place(frame: &Frame, report: &Report) -> Option<String> {
    let file = clean(&report.roots.shown(frame.file.as_deref()?));
    Some(match frame.line {
        Some(line) => format!("{file}:{line}"),
        None => file,
    })
}

fn badge(group: &Group) -> Markup {
    let (class, word) = match group.standing() {
        Standing::Failure => ("failure", "error"),
        Standing::Warning => ("warning", "warning"),
        Standing::Known => ("known", "known"),
        Standing::Hidden if group.is_descheduled() => ("hidden-badge", "machine"),
        Standing::Hidden => ("hidden-badge", "allowed"),
    };
    html! { span class={ "badge " (class) } { (word) } }
}

fn class_name(class: Option<Class>) -> &'static str {
    match class {
        Some(Class::Blocked) => "blocked",
        Some(Class::Cpu) => "cpu",
        Some(Class::Mixed) => "mixed",
        Some(Class::Descheduled) => "descheduled",
        None => "other",
    }
}

fn findings(report: &Report, source: &dyn ReadSource) -> Markup {
    let shown = report
        .groups
        .iter()
        .enumerate()
        .filter(|(_, group)| group.standing() != Standing::Hidden);
    let shown: Vec<_> = shown.collect();
    if shown.is_empty() {
        return html! {};
    }
    html! {
        section #findings {
            h2 { "Findings" }
            @for (at, group) in shown.iter().take_while(|(at, _)| *at < DETAILED_MAX) {
                (finding::card(*at, group, report, source))
            }
            @if shown.last().is_some_and(|(at, _)| *at >= DETAILED_MAX) {
                p.note { "Further findings are in the table only." }
            }
        }
    }
}

fn gone(report: &Report) -> Markup {
    let Some(compared) = report
        .baseline
        .as_ref()
        .filter(|compared| !compared.gone.is_empty())
    else {
        return html! {};
    };
    html! {
        section {
            h2 { "No longer seen" }
            p { "Run with " code { "--update-baseline" } " to drop these from " code { (clean(&compared.path)) } "." }
            ul { @for known in &compared.gone { li { code { (clean(&known.line())) } } } }
        }
    }
}

/// What ran, and how much of it could be seen.
fn run(report: &Report) -> Markup {
    let lines = summary::lines(report, None);
    html! {
        section {
            h2 { "The run" }
            ul.lines {
                @for line in &lines {
                    li class=[line.starts_with(' ').then_some("under")] { (prose(line.trim())) }
                }
            }
            @if !report.coverage.is_empty() { (coverage(report)) }
            @if !report.processes.is_empty() { (processes(report)) }
        }
    }
}

fn coverage(report: &Report) -> Markup {
    html! {
        h3 { "What was watched" }
        ul.coverage {
            @for aspect in &report.coverage {
                @let Coverage { aspect: name, covered, detail } = &aspect.coverage;
                li class=(if *covered { "yes" } else { "no" }) {
                    b { (clean(name)) } " " (clean(detail))
                    @if aspect.processes < report.processes.len() {
                        " (in " (aspect.processes) " of " (report.processes.len()) " processes)"
                    }
                }
            }
        }
    }
}

fn processes(report: &Report) -> Markup {
    html! {
        h3 { "Processes" }
        div.scroll {
            table.sortable {
                thead { tr {
                    th aria-sort="none" { "program" }
                    @for title in ["process", "polls", "tasks", "threads", "limit"] {
                        th.number aria-sort="none" { (title) }
                    }
                    th aria-sort="none" { "end" }
                } }
                tbody {
                    @for process in &report.processes {
                        @let info = &process.info;
                        @let limit = Duration::try_from_secs_f64(info.max_poll_ms / 1_000.0);
                        tr {
                            td { code { (clean(&info.name)) } }
                            td.number data-sort=(info.pid) { (info.pid) }
                            @for number in [process.totals.polls, process.totals.tasks] {
                                td.number data-sort=(number) {
                                    @if process.is_outside() { "–" } @else { (grouped(number)) }
                                }
                            }
                            td.number data-sort=(process.totals.threads) { (process.totals.threads) }
                            td.number data-sort=(info.max_poll_ms) { (humanise(limit.unwrap_or_default())) }
                            td {
                                @if process.ended { "in good order" }
                                @else if process.alive { "still runs" }
                                @else { "abrupt" }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What `explain` says of the kinds that are shown.
fn pages(report: &Report) -> Markup {
    let shown = report
        .groups
        .iter()
        .filter(|group| group.standing() != Standing::Hidden);
    let codes: BTreeSet<Code> = shown.map(|group| group.finding.code).collect();
    if codes.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "What they mean" }
            @for code in codes {
                details.page id={ "explain-" (code) } {
                    summary { (code) }
                    pre { (code.explain().split_once("\n\n").map_or("", |(_, page)| page)) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
