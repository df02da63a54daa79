//! A report for GitHub Actions: annotations at the lines of a change, as workflow
//! commands, and the summary of a step.
//!
//! A workflow command is a line `::error file=src/a.rs,line=1::message`; what would end
//! a line, a property or a value is percent-encoded.

use asyncwatch_findings::message::cause;

use super::{Group, Report, Standing, markdown, summary};

/// What GitHub shows of each kind for one step.
const ANNOTATIONS_MAX: usize = 10;

/// GitHub takes 1 MiB for the summaries of a step.
const SUMMARY_BYTES_MAX: usize = 900 << 10;

/// The annotations: failures and warnings, the worst first.
pub(super) fn annotations(report: &Report) -> String {
    let mut text = String::new();
    for (standing, command) in [(Standing::Failure, "error"), (Standing::Warning, "warning")] {
        let groups: Vec<&Group> = report.of_standing(standing).collect();
        for group in groups.iter().take(ANNOTATIONS_MAX) {
            text.push_str(&annotation(command, group, report));
        }
    }
    if report.denied() == 0 && !report.passed() {
        let title = property("asyncwatch");
        let message = data(&summary::headline(report));
        text.push_str(&format!("::error title={title}::{message}\n"));
    }
    text
}

fn annotation(command: &str, group: &Group, report: &Report) -> String {
    let finding = &group.finding;
    let mut properties = Vec::new();
    // What lies elsewhere can be named, but not annotated.
    if let Some(culprit) = &finding.culprit
        && let Some(file) = culprit
            .file
            .as_deref()
            .and_then(|file| report.roots.relative(file))
    {
        properties.push(format!("file={}", property(&file)));
        properties.extend(culprit.line.map(|line| format!("line={line}")));
    }
    properties.push(format!("title={}", property(finding.code.as_str())));
    let help = finding.help.as_ref().map(|help| format!("help: {help}"));
    let message = [Some(finding.message.clone()), cause(finding), help];
    let message: Vec<String> = message.into_iter().flatten().collect();
    format!(
        "::{command} {}::{}\n",
        properties.join(","),
        data(&message.join("\n"))
    )
}

/// The summary of a step, in Markdown.
pub(super) fn step_summary(report: &Report) -> String {
    let text = markdown::markdown(report);
    if text.len() <= SUMMARY_BYTES_MAX {
        return text;
    }
    markdown::without_details(report)
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
