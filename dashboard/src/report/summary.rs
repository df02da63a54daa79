//! The last lines of a report: what was watched, what was not, and the verdict.

use std::path::Path;

use asyncwatch_findings::Level;

use super::{Report, Verdict, text::is_shown};
use crate::gather::Watched;

/// Most lines of one kind; the rest is counted.
const LINES_MAX: usize = 5;

pub(super) fn lines(report: &Report, base: Option<&Path>) -> Vec<String> {
    let mut lines = Vec::new();
    if !report.processes.is_empty() {
        lines.push(watched(report));
        lines.extend(gaps(report));
        lines.extend(abrupt(report));
        lines.extend(left_out(report));
        lines.extend(descheduled(report));
        lines.extend(allowed(report));
    }
    lines.extend(verdict(report, base));
    lines
}

fn watched(report: &Report) -> String {
    let totals = report.totals();
    format!(
        "{} watched: {} of {}",
        count(report.processes.len() as u64, "process", "processes"),
        count(totals.polls, "poll", "polls"),
        count(totals.tasks, "task", "tasks"),
    )
}

fn gaps(report: &Report) -> Vec<String> {
    let gaps = report
        .coverage
        .iter()
        .filter(|aspect| !aspect.coverage.covered);
    let lines = gaps.map(|gap| match gap.processes {
        processes if processes == report.processes.len() => {
            format!("not covered: {}", gap.coverage.detail)
        }
        processes => format!(
            "not covered in {}: {}",
            count(processes as u64, "process", "processes"),
            gap.coverage.detail
        ),
    });
    bounded(lines.collect(), "further gap", "further gaps")
}

fn abrupt(report: &Report) -> Vec<String> {
    let open = report.processes.iter().filter(|process| !process.ended);
    let lines = open.map(|process| {
        let how = if process.alive {
            "still runs; what it reported so far is included"
        } else {
            "ended abruptly; what it reported before is included"
        };
        format!("{} {how}", name(process))
    });
    bounded(
        lines.collect(),
        "further process without an end",
        "further processes without an end",
    )
}

fn name(process: &Watched) -> String {
    match process.info.name.as_str() {
        "" => format!("process {}", process.info.pid),
        name => format!("{name} (process {})", process.info.pid),
    }
}

fn left_out(report: &Report) -> Vec<String> {
    let drops = report.dropped.iter().filter(|(_, (count, _))| *count > 0);
    let mut lines: Vec<String> = drops
        .map(|(what, (count, detail))| match detail.as_str() {
            "" => format!("left out: {count} {what}"),
            detail => format!("left out: {count} {what}: {detail}"),
        })
        .collect();
    if report.garbled > 0 {
        let garbled = count(report.garbled, "line", "lines");
        lines.push(format!(
            "{garbled} of the processes' reports could not be read, most likely cut short by a kill"
        ));
    }
    if report.left_out > 0 {
        lines.push(format!(
            "left out: {} more findings or processes than are kept",
            report.left_out
        ));
    }
    lines
}

fn descheduled(report: &Report) -> Vec<String> {
    let groups: Vec<_> = report
        .groups
        .iter()
        .filter(|group| group.is_descheduled())
        .collect();
    if groups.is_empty() {
        return Vec::new();
    }
    let seen = groups.iter().map(|group| group.finding.count).sum();
    let polls = count(
        seen,
        "poll was slow only because the machine had no CPU free",
        "polls were slow only because the machine had no CPU free",
    );
    let mut lines = vec![format!("{polls}; that is not a failure")];
    let each = groups.iter().map(|group| format!("  {}", group.line()));
    lines.extend(bounded(
        each.collect(),
        "  further place",
        "  further places",
    ));
    lines
}

fn allowed(report: &Report) -> Option<String> {
    let allowed = report
        .groups
        .iter()
        .filter(|group| group.finding.level == Level::Allow && !group.is_descheduled());
    let allowed = allowed.count() as u64;
    (allowed > 0).then(|| {
        format!(
            "{} not shown because its level is allow",
            count(allowed, "finding", "findings")
        )
    })
}

fn verdict(report: &Report, base: Option<&Path>) -> Vec<String> {
    let ending = report
        .ending
        .failure()
        .map(|how| format!("the command {how}"));
    let verdict = match report.verdict() {
        Verdict::NothingReported => {
            return ending
                .into_iter()
                .chain(nothing_reported(report, base))
                .collect();
        }
        Verdict::NothingPolled => nothing_polled(report),
        Verdict::Denied | Verdict::Clean => vec![findings(report)],
    };
    ending.into_iter().chain(verdict).collect()
}

fn findings(report: &Report) -> String {
    let errors = report.denied();
    let shown = report.groups.iter().filter(|group| is_shown(group)).count();
    let warnings = (shown - errors) as u64;
    match (errors as u64, warnings) {
        (0, 0) => "no findings".to_owned(),
        (0, warnings) => count(warnings, "warning", "warnings"),
        (errors, 0) => count(errors, "error", "errors"),
        (errors, warnings) => format!(
            "{}, {}",
            count(errors, "error", "errors"),
            count(warnings, "warning", "warnings")
        ),
    }
}

fn nothing_polled(report: &Report) -> Vec<String> {
    let processes = count(report.processes.len() as u64, "process", "processes");
    vec![
        format!("nothing was watched: {processes} reported, and no watched task was polled"),
        "  put `#[asyncwatch::main]` or `#[asyncwatch::test]` where the runtime starts".to_owned(),
        "  spawned tasks are seen with RUSTFLAGS=\"--cfg tokio_unstable\", or by `asyncwatch::spawn`".to_owned(),
    ]
}

fn nothing_reported(report: &Report, base: Option<&Path>) -> Vec<String> {
    let program = report.command.first().map_or("the command", String::as_str);
    let mut lines = vec![
        "no watched process reported".to_owned(),
        format!("  nothing is known about what `{program}` blocked; likely reasons:"),
        "  - the program is built without asyncwatch's feature: \
         asyncwatch = { version = \"0.1\", features = [\"enabled\"] }"
            .to_owned(),
        "  - it never starts asyncwatch: put `#[asyncwatch::main]` on `main`, `#[asyncwatch::test]` on tests"
            .to_owned(),
        "  - it sets ASYNCWATCH=0, or clears or replaces its environment".to_owned(),
        "  - it ended before its runtime started, or its tests were filtered out".to_owned(),
    ];
    if report.garbled > 0 {
        lines.push(
            "  - its report could not be read: library and command differ in version".to_owned(),
        );
    }
    let manifest = base.map(|base| base.join("Cargo.toml"));
    if manifest.is_some_and(|manifest| manifest.is_file()) {
        lines.push(
            "  `cargo tree -e features -i asyncwatch` shows whether the feature is on".to_owned(),
        );
    }
    lines
}

/// The first few lines, and how many there are beyond them.
fn bounded(mut lines: Vec<String>, one: &str, many: &str) -> Vec<String> {
    let beyond = lines.len().saturating_sub(LINES_MAX);
    if beyond > 0 {
        lines.truncate(LINES_MAX);
        lines.push(count(beyond as u64, one, many));
    }
    lines
}

fn count(number: u64, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    }
}
