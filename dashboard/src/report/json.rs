//! A report as one JSON document, for programs, and read back from it.
//!
//! Its fields are an interface, described by `docs/report.schema.json`: they may grow in
//! number and never change. Frames are innermost first, durations are fractional
//! milliseconds.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, bail};
use asyncwatch_findings::{Coverage, Finding, ProcessInfo, Totals};
use serde::{Deserialize, Serialize};

use super::{Aspect, Group, Report, Roots};
use crate::{
    auto_limit::AutoLimit, baseline::Compared, config::Unused, gather::Watched, run::child::Ending,
};

/// Version of this format.
const SCHEMA: u32 = 1;

/// Lines of report streams that were no event, in `dropped`.
const GARBLED: &str = "garbled-lines";
/// What this side left out, in `dropped`.
const LEFT_OUT: &str = "left-out";

#[derive(Serialize, Deserialize)]
struct Document {
    schema: u32,
    tool: Tool,
    /// `pass` or `fail`: `fail` if the check's exit code is not 0.
    verdict: String,
    command: Command,
    /// Where the command ran.
    #[serde(default)]
    directory: String,
    /// The root of the repository around that, or the same directory.
    #[serde(default)]
    repository: String,
    coverage: Vec<CoverageElement>,
    processes: Vec<Process>,
    /// Counts by kind.
    dropped: BTreeMap<String, u64>,
    /// What these kinds mean, for people.
    #[serde(default)]
    dropped_details: BTreeMap<String, String>,
    findings: Vec<Element>,
    /// Programs that could not be watched from outside, and why, for people.
    #[serde(default)]
    unwatched: Vec<String>,
    /// Entries of `asyncwatch.toml` that allowed nothing.
    unused_allows: Vec<Unused>,
    /// The limit that followed from the suite; `null` where it did not.
    #[serde(default)]
    auto_limit: Option<AutoLimit>,
    /// What became of the baseline's findings; `null` where there is none.
    #[serde(default)]
    baseline: Option<Compared>,
}

#[derive(Serialize, Deserialize)]
struct Tool {
    name: String,
    version: String,
}

#[derive(Serialize, Deserialize)]
struct Command {
    args: Vec<String>,
    /// Its exit code; `null` if a signal ended it.
    exit_code: Option<i32>,
    signal: Option<i32>,
    /// It was asked to end.
    #[serde(default)]
    stopped: bool,
}

#[derive(Serialize, Deserialize)]
struct CoverageElement {
    #[serde(flatten)]
    coverage: Coverage,
    /// In how many processes.
    processes: usize,
}

#[derive(Serialize, Deserialize)]
struct Process {
    pid: u32,
    ppid: u32,
    name: String,
    args: Vec<String>,
    exe: Option<String>,
    started_unix_ns: u64,
    asyncwatch_version: String,
    timing: String,
    max_poll_ms: f64,
    polls: u64,
    tasks: u64,
    threads: u64,
    /// Whether it ended in good order.
    ended: bool,
    /// Whether it still ran when the report was made.
    #[serde(default)]
    alive: bool,
}

#[derive(Serialize, Deserialize)]
struct Element {
    #[serde(flatten)]
    finding: Finding,
    /// Ids of the processes it was seen in.
    pids: Vec<u32>,
    /// It is in the baseline, and so fails nothing.
    #[serde(default)]
    known: bool,
}

/// The document, ended by a line end.
pub(crate) fn json(report: &Report) -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(&document(report))?;
    text.push('\n');
    Ok(text)
}

/// The report that a document tells.
pub(crate) fn read(text: &str) -> anyhow::Result<Report> {
    #[derive(Deserialize)]
    struct Version {
        schema: u32,
    }
    let Version { schema } = serde_json::from_str(text)
        .context("this is no JSON report of `asyncwatch check --report json=PATH`")?;
    if schema != SCHEMA {
        bail!("the report has format {schema}, and this asyncwatch reads format {SCHEMA} only");
    }
    let document: Document =
        serde_json::from_str(text).context("the report is damaged, or of another version")?;
    Ok(document.into_report())
}

fn document(report: &Report) -> Document {
    Document {
        schema: SCHEMA,
        tool: Tool {
            name: "asyncwatch".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        verdict: if report.passed() { "pass" } else { "fail" }.to_owned(),
        command: Command {
            args: report.command.clone(),
            exit_code: report.ending.exit_code(),
            signal: report.ending.signal(),
            stopped: report.ending.was_stopped(),
        },
        directory: report.roots.directory.display().to_string(),
        repository: report.roots.repository.display().to_string(),
        coverage: report
            .coverage
            .iter()
            .map(|aspect| CoverageElement {
                coverage: aspect.coverage.clone(),
                processes: aspect.processes,
            })
            .collect(),
        processes: report.processes.iter().map(process).collect(),
        dropped: dropped(report),
        dropped_details: report
            .dropped
            .iter()
            .filter(|(_, (count, detail))| *count > 0 && !detail.is_empty())
            .map(|(what, (_, detail))| (what.clone(), detail.clone()))
            .collect(),
        findings: report
            .groups
            .iter()
            .map(|group| Element {
                finding: group.finding.clone(),
                pids: group.pids.clone(),
                known: group.known,
            })
            .collect(),
        unwatched: report.unwatched.clone(),
        unused_allows: report.unused_allows.clone(),
        auto_limit: report.auto_limit,
        baseline: report.baseline.clone(),
    }
}

fn process(process: &Watched) -> Process {
    let info = process.info.clone();
    Process {
        pid: info.pid,
        ppid: info.ppid,
        name: info.name,
        args: info.args,
        exe: info.exe,
        started_unix_ns: info.started_unix_ns,
        asyncwatch_version: info.asyncwatch_version,
        timing: info.timing,
        max_poll_ms: info.max_poll_ms,
        polls: process.totals.polls,
        tasks: process.totals.tasks,
        threads: process.totals.threads,
        ended: process.ended,
        alive: process.alive,
    }
}

fn dropped(report: &Report) -> BTreeMap<String, u64> {
    let ours = [(GARBLED, report.garbled), (LEFT_OUT, report.left_out)];
    let ours = ours.map(|(what, count)| (what.to_owned(), count));
    let theirs = report
        .dropped
        .iter()
        .map(|(what, (count, _))| (what.clone(), *count));
    theirs.chain(ours).filter(|(_, count)| *count > 0).collect()
}

impl Document {
    fn into_report(mut self) -> Report {
        let garbled = self.dropped.remove(GARBLED).unwrap_or_default();
        let left_out = self.dropped.remove(LEFT_OUT).unwrap_or_default();
        let dropped = self.dropped.into_iter().map(|(what, count)| {
            let detail = self.dropped_details.remove(&what).unwrap_or_default();
            (what, (count, detail))
        });
        let Command {
            args,
            exit_code,
            signal,
            stopped,
        } = self.command;
        Report {
            command: args,
            ending: Ending::told(exit_code, signal, stopped),
            roots: Roots {
                directory: Path::new(&self.directory).to_owned(),
                repository: Path::new(&self.repository).to_owned(),
            },
            processes: self.processes.into_iter().map(Process::watched).collect(),
            groups: self
                .findings
                .into_iter()
                .map(|element| Group {
                    finding: element.finding,
                    pids: element.pids,
                    known: element.known,
                })
                .collect(),
            coverage: self
                .coverage
                .into_iter()
                .map(|element| Aspect {
                    coverage: element.coverage,
                    processes: element.processes,
                })
                .collect(),
            dropped: dropped.collect(),
            garbled,
            left_out,
            unwatched: self.unwatched,
            unused_allows: self.unused_allows,
            auto_limit: self.auto_limit,
            baseline: self.baseline,
        }
    }
}

impl Process {
    fn watched(self) -> Watched {
        Watched {
            info: ProcessInfo {
                schema: 1,
                pid: self.pid,
                ppid: self.ppid,
                name: self.name,
                args: self.args,
                exe: self.exe,
                started_unix_ns: self.started_unix_ns,
                asyncwatch_version: self.asyncwatch_version,
                timing: self.timing,
                max_poll_ms: self.max_poll_ms,
                ..ProcessInfo::default()
            },
            totals: Totals {
                polls: self.polls,
                tasks: self.tasks,
                threads: self.threads,
            },
            ended: self.ended,
            alive: self.alive,
            reported: true,
            ..Watched::default()
        }
    }
}
