//! The last lines of a report: what was watched, what was not, and the verdict.

use std::{collections::BTreeMap, path::Path};

use asyncwatch_findings::{Code, Level};

use super::{
    Group, Report, Standing, Verdict,
    text::{clean, is_shown},
};
use crate::{baseline::Compared, config::Why, gather::Watched};

/// Most lines of one kind; the rest is counted.
const LINES_MAX: usize = 5;

pub(super) fn lines(report: &Report, base: Option<&Path>) -> Vec<String> {
    let mut lines = Vec::new();
    if !report.processes.is_empty() {
        lines.extend(watched(report));
        lines.extend(report.auto_limit.map(|limit| limit.line()));
        lines.extend(gaps(report));
        lines.extend(abrupt(report));
        lines.extend(left_out(report));
        lines.extend(descheduled(report));
        lines.extend(allowed(report));
        lines.extend(known(report));
    }
    lines.extend(unused_allows(report));
    lines.extend(verdict(report, base));
    lines
}

/// The lines as one text.
pub(super) fn plain(report: &Report) -> String {
    let lines = lines(report, None);
    lines.iter().map(|line| clean(line) + "\n").collect()
}

/// What it comes to, in one line.
pub(super) fn headline(report: &Report) -> String {
    let ending = report
        .ending
        .failure()
        .map(|how| format!("the command {how}"));
    let verdict = match report.verdict() {
        Verdict::NothingReported => "no watched process reported".to_owned(),
        Verdict::NothingPolled => "nothing was watched".to_owned(),
        Verdict::Denied | Verdict::Clean => findings(report),
    };
    let parts: Vec<String> = ending.into_iter().chain([verdict]).collect();
    parts.join("; ")
}

fn watched(report: &Report) -> Vec<String> {
    let (outside, inside): (Vec<_>, Vec<_>) =
        (report.processes.iter()).partition(|process| process.is_outside());
    let mut lines = Vec::new();
    if !inside.is_empty() {
        let totals = report.totals();
        lines.push(format!(
            "{} watched: {} of {}",
            count(inside.len() as u64, "process", "processes"),
            count(totals.polls, "poll", "polls"),
            count(totals.tasks, "task", "tasks"),
        ));
    }
    if !outside.is_empty() {
        lines.push(format!(
            "{} watched from outside: polls that block or compute; what else asyncwatch finds needs its feature in the program",
            count(outside.len() as u64, "process", "processes"),
        ));
    }
    lines
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

/// What is not shown because it is allowed: for a reason, or by its level.
fn allowed(report: &Report) -> Vec<String> {
    let allowed: Vec<&Group> = report
        .groups
        .iter()
        .filter(|group| group.finding.level == Level::Allow && !group.is_descheduled())
        .collect();
    let mut by_reason: BTreeMap<(&str, &str), Vec<&Group>> = BTreeMap::new();
    for group in &allowed {
        if let Some(allowed) = &group.finding.allowed {
            let reason = (allowed.source.as_str(), allowed.reason.as_str());
            by_reason.entry(reason).or_default().push(group);
        }
    }
    let lines = by_reason.iter().map(|((source, reason), groups)| {
        let kinds = kinds(groups.iter().copied());
        format!("allowed: {kinds}: {reason} ({source})")
    });
    let mut lines = bounded(lines.collect(), "further reason", "further reasons");
    let by_level = allowed
        .iter()
        .filter(|group| group.finding.allowed.is_none());
    let by_level: Vec<&Group> = by_level.copied().collect();
    if !by_level.is_empty() {
        let kinds = kinds(by_level.iter().copied());
        lines.push(format!("not shown, because the level is allow: {kinds}"));
    }
    lines
}

/// What is known from before, and what of that is no longer there.
fn known(report: &Report) -> Vec<String> {
    let Some(Compared { path, gone }) = &report.baseline else {
        return Vec::new();
    };
    let known: Vec<&Group> = report.of_standing(Standing::Known).collect();
    let mut lines = Vec::new();
    if !known.is_empty() {
        let kinds = kinds(known.iter().copied());
        lines.push(format!("known, and so no failure: {kinds} ({path})"));
        let each = known.iter().map(|group| format!("  {}", group.line()));
        lines.extend(bounded(each.collect(), "  further one", "  further ones"));
    }
    if !gone.is_empty() {
        let (number, drop) = match gone.len() {
            1 => ("1 known finding is".to_owned(), "it"),
            many => (format!("{many} known findings are"), "them"),
        };
        lines.push(format!(
            "{number} no longer seen; run with --update-baseline to drop {drop} from {path}"
        ));
        let each = gone.iter().map(|known| format!("  {}", known.line()));
        lines.extend(bounded(each.collect(), "  further one", "  further ones"));
    }
    lines
}

fn unused_allows(report: &Report) -> Vec<String> {
    // Where nothing is known, nothing is known to be superfluous.
    let known = report.verdict() != Verdict::NothingReported;
    let lines = report.unused_allows.iter().filter_map(|unused| {
        let (source, what) = (&unused.source, unused.what());
        let day = unused.expires.as_deref().unwrap_or_default();
        Some(match (unused.why, unused.matched) {
            (Why::Unmatched, _) if !known => return None,
            (Why::Unmatched, _) => {
                format!("warning: {source}: nothing was found that it allows: {what}; remove it if it is not needed any more")
            }
            (Why::Expired, 0) => {
                format!("warning: {source}: it expired on {day} and is not needed: {what}; remove it")
            }
            (Why::Expired, _) => {
                format!("warning: {source}: it expired on {day}, so this is not allowed any more: {what}")
            }
        })
    });
    bounded(
        lines.collect(),
        "further `[[allow]]` entry did nothing",
        "further `[[allow]]` entries did nothing",
    )
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

/// `2 errors (slow-poll, lost-waker), 1 warning (unjoined)`: places, not occurrences.
fn findings(report: &Report) -> String {
    let (errors, warnings): (Vec<&Group>, Vec<&Group>) = report
        .groups
        .iter()
        .filter(|group| is_shown(group))
        .partition(|group| group.is_failure());
    let part = |groups: &[&Group], one, many| {
        let number = count(groups.len() as u64, one, many);
        (!groups.is_empty()).then(|| format!("{number} ({})", kinds(groups.iter().copied())))
    };
    let parts = [
        part(&errors, "error", "errors"),
        part(&warnings, "warning", "warnings"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    match parts.is_empty() {
        true => "no findings".to_owned(),
        false => parts.join(", "),
    }
}

/// The codes, each with the number of its findings if that is not one.
fn kinds<'g>(groups: impl Iterator<Item = &'g Group>) -> String {
    let mut numbers: BTreeMap<Code, u64> = BTreeMap::new();
    for group in groups {
        *numbers.entry(group.finding.code).or_default() += 1;
    }
    let kinds = numbers.iter().map(|(code, number)| match number {
        1 => code.to_string(),
        number => format!("{number} × {code}"),
    });
    kinds.collect::<Vec<_>>().join(", ")
}

fn nothing_polled(report: &Report) -> Vec<String> {
    let processes = count(report.processes.len() as u64, "process", "processes");
    vec![
        format!("nothing was watched: {processes} reported, and no watched task was polled"),
        "  put `#[asyncwatch::main]` or `#[asyncwatch::test]` where the runtime starts, or `.watched_as(..)` on what `block_on` is given".to_owned(),
        "  spawned tasks are seen with RUSTFLAGS=\"--cfg tokio_unstable\", or by `asyncwatch::spawn`".to_owned(),
    ]
}

fn nothing_reported(report: &Report, base: Option<&Path>) -> Vec<String> {
    let program = report.command.first().map_or("the command", String::as_str);
    let mut lines = vec![
        "no watched process reported".to_owned(),
        format!("  nothing is known about what `{program}` blocked; likely reasons:"),
        "  - none of its programs has tokio inside, or they ended within a few milliseconds".to_owned(),
        "  - what was to be instrumented is built without asyncwatch's feature: \
         asyncwatch = { version = \"0.1\", features = [\"enabled\"] }"
            .to_owned(),
        "  - or it never starts asyncwatch: put `#[asyncwatch::main]` on `main`, `#[asyncwatch::test]` on tests"
            .to_owned(),
        "  - it sets ASYNCWATCH=0, or clears or replaces its environment".to_owned(),
        "  - it ended before its runtime started, or its tests were filtered out".to_owned(),
    ];
    lines.extend(bounded(
        (report.unwatched.iter())
            .map(|unwatched| format!("  - {unwatched}"))
            .collect(),
        "  - a further program could not be watched",
        "  - further programs could not be watched",
    ));
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
