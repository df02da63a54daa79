//! A report as text for people: each finding, then what it all comes to.

use std::{
    io::{self, Write},
    path::Path,
};

use asyncwatch_findings::{RenderOptions, SourceFiles, message::frame_label, render};

use super::{Group, Report, Standing, summary};

/// How findings are written: paths relative to `base`, source lines from disk.
pub(crate) fn options(base: Option<&Path>, color: bool, stack: bool) -> RenderOptions<'_> {
    RenderOptions {
        color,
        base,
        source: &SourceFiles,
        stack,
    }
}

/// The whole report.
pub(crate) fn text(report: &Report, options: &RenderOptions<'_>) -> String {
    let mut text = failures(report, options);
    for line in summary::lines(report, options.base) {
        text.push_str(&format!("asyncwatch: {}\n", clean(&line)));
    }
    text
}

/// Prints the whole report below whatever the command printed.
pub(crate) fn print(report: &Report, options: &RenderOptions<'_>) {
    say(&format!("\n{}", text(report, options)));
}

/// Prints to standard error, for whoever still reads it.
pub(crate) fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// The findings that a reader should see in full, each with an empty line after it.
fn failures(report: &Report, options: &RenderOptions<'_>) -> String {
    let shown = report.groups.iter().filter(|group| is_shown(group));
    shown
        .map(|group| format!("{}\n", render(&group.with_notes(), options)))
        .collect()
}

pub(super) fn is_shown(group: &Group) -> bool {
    matches!(group.standing(), Standing::Failure | Standing::Warning)
}

impl Group {
    /// The finding, with what is known of the group beside it.
    pub(super) fn with_notes(&self) -> asyncwatch_findings::Finding {
        let mut finding = self.finding.clone();
        if self.pids.len() > 1 {
            finding.notes.push(format!(
                "seen in {} processes; this is the worst of them",
                self.pids.len()
            ));
        }
        finding
    }

    /// One line that names the finding.
    pub(super) fn line(&self) -> String {
        let place = self.finding.culprit.as_ref().map(frame_label);
        let place = place
            .map(|place| format!(" in {place}"))
            .unwrap_or_default();
        format!("{}{place}", self.finding.message)
    }
}

/// Streams come from other processes: nothing in them may command the terminal, nor end
/// a line.
pub(crate) fn clean(line: &str) -> String {
    line.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
