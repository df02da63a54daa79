//! A report in SARIF 2.1.0, for code scanning.
//!
//! Paths are relative to the repository, fingerprints are those of the findings, and each
//! code is a rule with its `explain` page as help.

use std::collections::BTreeMap;

use asyncwatch_findings::{
    Code, Finding, Frame, Level, Location as Place, Stack, message::cause, message::frame_label,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Group, Report, Roots, Standing, Verdict, summary, text::clean};
use crate::explain;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// By this name SARIF's consumers know the root of a repository.
const ROOT: &str = "%SRCROOT%";

/// Name and version of how fingerprints are made.
const FINGERPRINT: &str = "asyncwatch/v1";

/// The document.
pub(super) fn sarif(report: &Report) -> serde_json::Result<String> {
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [run(report)],
    });
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}

fn run(report: &Report) -> Value {
    let roots = &report.roots;
    let directory = format!("{}/", roots.repository.display());
    json!({
        "tool": {"driver": {
            "name": "asyncwatch",
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "informationUri": env!("CARGO_PKG_REPOSITORY"),
            "rules": Code::ALL.iter().map(|code| rule(*code)).collect::<Vec<_>>(),
        }},
        "invocations": [invocation(report)],
        "originalUriBaseIds": {ROOT: {"uri": format!("file://{}", encoded(&directory))}},
        "results": report.groups.iter().filter_map(|group| result(group, report)).collect::<Vec<_>>(),
        "columnKind": "unicodeCodePoints",
    })
}

fn rule(code: Code) -> Value {
    let page = code.explain();
    json!({
        "id": code.as_str(),
        "shortDescription": {"text": explain::summary(code)},
        "fullDescription": {"text": explain::meaning(code)},
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"level": level(code.check_level())},
        "properties": {"tags": ["async", "tokio"], "precision": "very-high"},
    })
}

fn invocation(report: &Report) -> Value {
    let saw = !matches!(
        report.verdict(),
        Verdict::NothingReported | Verdict::NothingPolled
    );
    let mut invocation = json!({
        // Of the tool, which did its work whatever it found.
        "executionSuccessful": saw,
        "commandLine": report.command.join(" "),
    });
    if !saw {
        let message = summary::plain(report);
        invocation["toolExecutionNotifications"] =
            json!([{"level": "error", "message": {"text": message}}]);
    }
    if let Some(code) = report.ending.exit_code() {
        invocation["exitCode"] = code.into();
    }
    if let Some(signal) = report.ending.signal() {
        invocation["exitSignalNumber"] = signal.into();
    }
    invocation
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Value,
    locations: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stacks: Vec<Value>,
    partial_fingerprints: BTreeMap<&'static str, String>,
    occurrence_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline_state: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suppressions: Vec<Value>,
    properties: Value,
}

/// What is shown, and what somebody allowed with a reason.
fn result(group: &Group, report: &Report) -> Option<SarifResult> {
    let roots = &report.roots;
    let finding = &group.finding;
    let suppressions: Vec<Value> = finding
        .allowed
        .iter()
        .map(|allowed| json!({"kind": "external", "justification": allowed.reason}))
        .collect();
    if group.standing() == Standing::Hidden && suppressions.is_empty() {
        return None;
    }
    let spawned_at = finding
        .task
        .as_ref()
        .and_then(|task| task.spawned_at.as_ref());
    Some(SarifResult {
        rule_id: finding.code.as_str(),
        rule_index: Code::ALL.iter().position(|code| *code == finding.code)?,
        level: level(finding.level),
        message: json!({"text": message(finding)}),
        locations: location(finding, roots).into_iter().collect(),
        related_locations: spawned_at
            .map(|at| spawned(at, roots))
            .into_iter()
            .collect(),
        stacks: finding
            .stacks
            .iter()
            .map(|each| stack(each, roots))
            .collect(),
        partial_fingerprints: BTreeMap::from([(FINGERPRINT, finding.fingerprint.clone())]),
        occurrence_count: finding.count,
        baseline_state: report.baseline.as_ref().map(|_| match group.known {
            true => "unchanged",
            false => "new",
        }),
        suppressions,
        properties: json!({
            "wallMs": finding.wall.map(|wall| wall.as_secs_f64() * 1_000.0),
            "processes": group.pids.len(),
        }),
    })
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Allow => "note",
        Level::Warn => "warning",
        Level::Deny => "error",
    }
}

/// Fact, cause and next step.
fn message(finding: &Finding) -> String {
    let help = finding.help.as_ref().map(|help| format!("help: {help}"));
    let parts = [Some(finding.message.clone()), cause(finding), help];
    let parts: Vec<String> = parts
        .into_iter()
        .flatten()
        .map(|part| clean(&part))
        .collect();
    parts.join("\n")
}

/// The culprit, else the place that spawned the task, else the project as a whole:
/// code scanning takes no result without a place.
fn location(finding: &Finding, roots: &Roots) -> Option<Value> {
    let culprit = finding
        .culprit
        .as_ref()
        .and_then(|culprit| frame(culprit, roots));
    let spawned_at = || {
        let at = finding.task.as_ref()?.spawned_at.as_ref()?;
        Some(json!({"physicalLocation": physical(&at.file, Some(at.line), Some(at.column), roots)}))
    };
    let project = || {
        let manifest = roots.repository.join("Cargo.toml");
        let there = manifest.is_file();
        there.then(|| json!({"physicalLocation": physical("Cargo.toml", None, None, roots)}))
    };
    culprit.or_else(spawned_at).or_else(project)
}

fn spawned(at: &Place, roots: &Roots) -> Value {
    json!({
        "id": 1,
        "message": {"text": "the task was spawned here"},
        "physicalLocation": physical(&at.file, Some(at.line), Some(at.column), roots),
    })
}

fn stack(stack: &Stack, roots: &Roots) -> Value {
    let frames = stack.frames.iter().map(|each| {
        let location = frame(each, roots);
        let location = location
            .unwrap_or_else(|| json!({"logicalLocations": [{"fullyQualifiedName": name(each)}]}));
        json!({"location": location})
    });
    json!({
        "message": {"text": format!("for {} ms", stack.weight.as_millis())},
        "frames": frames.collect::<Vec<_>>(),
    })
}

fn frame(frame: &Frame, roots: &Roots) -> Option<Value> {
    let file = frame.file.as_deref()?;
    Some(json!({
        "physicalLocation": physical(file, frame.line, None, roots),
        "logicalLocations": [{"fullyQualifiedName": name(frame), "kind": "function"}],
    }))
}

fn name(frame: &Frame) -> String {
    clean(&frame_label(frame))
}

fn physical(file: &str, line: Option<u32>, column: Option<u32>, roots: &Roots) -> Value {
    let artifact = match roots.relative(file) {
        Some(relative) => json!({"uri": encoded(&relative), "uriBaseId": ROOT}),
        None if file.starts_with('/') => json!({"uri": format!("file://{}", encoded(file))}),
        None => json!({"uri": encoded(file)}),
    };
    let mut location = json!({"artifactLocation": artifact});
    if let Some(line) = line.filter(|line| *line > 0) {
        location["region"] = json!({"startLine": line});
        if let Some(column) = column.filter(|column| *column > 0) {
            location["region"]["startColumn"] = column.into();
        }
    }
    location
}

/// As a URI has it: everything but letters, digits and a few signs percent-encoded.
fn encoded(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let bytes = path.bytes().map(|byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    bytes.collect()
}
