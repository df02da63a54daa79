//! A report as one JSON document, for programs.
//!
//! Its fields are an interface: they may grow in number and never change. Frames
//! are innermost first, durations are fractional milliseconds.

use std::collections::BTreeMap;

use asyncwatch_findings::{Coverage, Finding};
use serde::Serialize;

use super::{Report, Verdict};
use crate::{
    config::{Unused, Why},
    gather::Watched,
};

/// Version of this format.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    tool: Tool,
    /// `pass` or `fail`: `fail` if the check's exit code is not 0.
    verdict: &'static str,
    command: Command<'a>,
    coverage: Vec<Aspect<'a>>,
    processes: Vec<Process<'a>>,
    /// Counts by kind.
    dropped: BTreeMap<&'a str, u64>,
    findings: Vec<Element<'a>>,
    /// Entries of `asyncwatch.toml` that allowed nothing.
    unused_allows: Vec<UnusedAllow<'a>>,
}

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Command<'a> {
    args: &'a [String],
    /// Its exit code; `null` if a signal ended it.
    exit_code: Option<i32>,
    signal: Option<i32>,
}

#[derive(Serialize)]
struct Aspect<'a> {
    #[serde(flatten)]
    coverage: &'a Coverage,
    /// In how many processes.
    processes: usize,
}

#[derive(Serialize)]
struct Process<'a> {
    pid: u32,
    ppid: u32,
    name: &'a str,
    args: &'a [String],
    exe: Option<&'a str>,
    started_unix_ns: u64,
    asyncwatch_version: &'a str,
    timing: &'a str,
    max_poll_ms: f64,
    polls: u64,
    tasks: u64,
    threads: u64,
    /// Whether it ended in good order.
    ended: bool,
}

#[derive(Serialize)]
struct Element<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    /// Ids of the processes it was seen in.
    pids: &'a [u32],
}

#[derive(Serialize)]
struct UnusedAllow<'a> {
    /// Where it is written.
    source: String,
    site: Option<&'a str>,
    fingerprint: Option<&'a str>,
    spawned: Option<&'a str>,
    code: Option<&'static str>,
    reason: &'a str,
    expires: Option<&'a str>,
    /// `unmatched` or `expired`.
    why: &'static str,
}

/// The document, ended by a line end.
pub(crate) fn json(report: &Report) -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(&document(report))?;
    text.push('\n');
    Ok(text)
}

fn document(report: &Report) -> Document<'_> {
    let passed = report.verdict() == Verdict::Clean && report.ending.failure().is_none();
    Document {
        schema: SCHEMA,
        tool: Tool {
            name: "asyncwatch",
            version: env!("CARGO_PKG_VERSION"),
        },
        verdict: if passed { "pass" } else { "fail" },
        command: Command {
            args: &report.command,
            exit_code: report.ending.exit_code(),
            signal: report.ending.signal(),
        },
        coverage: report
            .coverage
            .iter()
            .map(|aspect| Aspect {
                coverage: &aspect.coverage,
                processes: aspect.processes,
            })
            .collect(),
        processes: report.processes.iter().map(process).collect(),
        dropped: dropped(report),
        findings: report
            .groups
            .iter()
            .map(|group| Element {
                finding: &group.finding,
                pids: &group.pids,
            })
            .collect(),
        unused_allows: report.unused_allows.iter().map(unused).collect(),
    }
}

fn unused(unused: &Unused) -> UnusedAllow<'_> {
    let allow = &unused.allow;
    UnusedAllow {
        source: allow.source.to_string(),
        site: allow.site.as_ref().map(|site| &*site.text),
        fingerprint: allow.fingerprint.as_deref(),
        spawned: allow.spawned.as_ref().map(|at| &*at.text),
        code: allow.code.map(|code| code.as_str()),
        reason: &allow.reason,
        expires: allow.expires.as_ref().map(|day| &*day.text),
        why: match unused.why {
            Why::Unmatched => "unmatched",
            Why::Expired(_) => "expired",
        },
    }
}

fn process(process: &Watched) -> Process<'_> {
    let info = &process.info;
    Process {
        pid: info.pid,
        ppid: info.ppid,
        name: &info.name,
        args: &info.args,
        exe: info.exe.as_deref(),
        started_unix_ns: info.started_unix_ns,
        asyncwatch_version: &info.asyncwatch_version,
        timing: &info.timing,
        max_poll_ms: info.max_poll_ms,
        polls: process.totals.polls,
        tasks: process.totals.tasks,
        threads: process.totals.threads,
        ended: process.ended,
    }
}

fn dropped(report: &Report) -> BTreeMap<&str, u64> {
    let ours = [
        ("garbled-lines", report.garbled),
        ("left-out", report.left_out),
    ];
    let theirs = report
        .dropped
        .iter()
        .map(|(what, (count, _))| (what.as_str(), *count));
    theirs.chain(ours).filter(|(_, count)| *count > 0).collect()
}
