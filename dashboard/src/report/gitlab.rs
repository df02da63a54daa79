//! A report for GitLab's code quality widget: a list of places in the Code Climate form
//! that it documents.

use std::collections::HashMap;

use serde::Serialize;

use super::{Group, Report, Standing};

#[derive(Serialize)]
struct Issue<'a> {
    description: String,
    check_name: &'a str,
    /// Unlike anything else in the list.
    fingerprint: String,
    severity: &'static str,
    location: Location,
}

#[derive(Serialize)]
struct Location {
    path: String,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: u32,
}

/// The list; findings of which no place is known are left out, as the form has no room
/// for them.
pub(super) fn gitlab(report: &Report) -> serde_json::Result<String> {
    let mut seen: HashMap<&str, u32> = HashMap::new();
    let issues: Vec<Issue<'_>> = report
        .groups
        .iter()
        .filter_map(|group| issue(group, report, &mut seen))
        .collect();
    let mut text = serde_json::to_string_pretty(&issues)?;
    text.push('\n');
    Ok(text)
}

fn issue<'r>(
    group: &'r Group,
    report: &Report,
    seen: &mut HashMap<&'r str, u32>,
) -> Option<Issue<'r>> {
    let severity = match group.standing() {
        Standing::Failure => "major",
        Standing::Warning => "minor",
        Standing::Known => "info",
        Standing::Hidden => return None,
    };
    let finding = &group.finding;
    let culprit = finding.culprit.as_ref()?;
    let path = report.roots.shown(culprit.file.as_deref()?);
    // One function may hold several places of one fingerprint.
    let before = seen.entry(&finding.fingerprint).or_default();
    let fingerprint = match *before {
        0 => finding.fingerprint.clone(),
        before => format!("{}-{before}", finding.fingerprint),
    };
    *before += 1;
    Some(Issue {
        description: finding.message.clone(),
        check_name: finding.code.as_str(),
        fingerprint,
        severity,
        location: Location {
            path,
            lines: Lines {
                begin: culprit.line.unwrap_or(1),
            },
        },
    })
}
