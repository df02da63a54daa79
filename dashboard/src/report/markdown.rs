//! A report in Markdown, for summaries and comments.
//!
//! Findings are quoted as text in fences that nothing in them can close; everything else
//! is escaped.

use asyncwatch_findings::{Code, RenderOptions, SourceFiles, message::frame_label, render};

use super::{Group, Report, Standing, Verdict, summary, text::clean};

/// Findings that are quoted in full.
const DETAILED_MAX: usize = 50;

/// Rows of a table.
const ROWS_MAX: usize = 200;

/// The whole report.
pub(super) fn markdown(report: &Report) -> String {
    write(report, DETAILED_MAX)
}

/// The same without what findings say in full.
pub(super) fn without_details(report: &Report) -> String {
    write(report, 0)
}

fn write(report: &Report, detailed: usize) -> String {
    let mut text = format!("## asyncwatch: {}\n\n", escape(&summary::headline(report)));
    text.push_str(&format!(
        "{} `{}`\n\n",
        if report.passed() { "✅" } else { "❌" },
        code(&report.command.join(" "))
    ));
    let shown: Vec<&Group> = report
        .groups
        .iter()
        .filter(|group| matches!(group.standing(), Standing::Failure | Standing::Warning))
        .collect();
    if !shown.is_empty() {
        text.push_str(&table(&shown, report));
    }
    for group in shown.iter().take(detailed) {
        text.push_str(&details(group, report));
    }
    if detailed > 0 && shown.len() > detailed {
        let beyond = shown.len() - detailed;
        text.push_str(&format!(
            "{beyond} further findings are in the table only.\n\n"
        ));
    }
    for line in summary::lines(report, None) {
        // Lines that belong to the one before are indented.
        let indent = line.len() - line.trim_start().len();
        text.push_str(&format!(
            "{}- {}\n",
            &line[..indent],
            escape(line.trim_start_matches([' ', '-']))
        ));
    }
    if report.verdict() == Verdict::Denied {
        text.push_str("\n`asyncwatch explain CODE` tells what a finding means, how to fix and how to allow it.\n");
    }
    text
}

fn table(groups: &[&Group], report: &Report) -> String {
    let mut text = "| | code | place | what | seen |\n|---|---|---|---|---:|\n".to_owned();
    for group in groups.iter().take(ROWS_MAX) {
        let finding = &group.finding;
        let mark = mark(group);
        let place = place(group, report).map_or("unknown".to_owned(), |place| escape(&place));
        let (message, count) = (escape(&finding.message), finding.count);
        text.push_str(&format!(
            "| {mark} | {} | {place} | {message} | {count} |\n",
            escape(finding.code.as_str()),
        ));
    }
    if groups.len() > ROWS_MAX {
        let beyond = groups.len() - ROWS_MAX;
        text.push_str(&format!("| | | {beyond} more | | |\n"));
    }
    text.push('\n');
    text
}

fn mark(group: &Group) -> &'static str {
    match group.standing() {
        Standing::Failure => "❌",
        _ => "⚠️",
    }
}

/// `src/session.rs:42 in app::session::load`.
fn place(group: &Group, report: &Report) -> Option<String> {
    let culprit = group.finding.culprit.as_ref()?;
    let label = frame_label(culprit);
    let place = culprit.file.as_deref().map(|file| {
        let file = report.roots.shown(file);
        match culprit.line {
            Some(line) => format!("{file}:{line} in {label}"),
            None => format!("{file} in {label}"),
        }
    });
    Some(place.unwrap_or(label))
}

fn details(group: &Group, report: &Report) -> String {
    let options = RenderOptions {
        base: Some(&report.roots.directory),
        source: &SourceFiles,
        stack: true,
        ..RenderOptions::default()
    };
    let quoted = render(&group.with_notes(), &options);
    let fence = fence(&quoted);
    let title = place(group, report).unwrap_or_else(|| "place unknown".to_owned());
    let code: Code = group.finding.code;
    format!(
        "<details><summary>{} {code}: {}</summary>\n\n{fence}text\n{quoted}{fence}\n\n</details>\n\n",
        mark(group),
        html(&clean(&title)),
    )
}

/// Longer than any run of backticks in the text.
fn fence(text: &str) -> String {
    let longest = text
        .split(|c| c != '`')
        .map(str::len)
        .max()
        .unwrap_or_default();
    "`".repeat(longest.max(2) + 1)
}

/// Text that means nothing but itself, on one line.
fn escape(text: &str) -> String {
    let text = clean(text);
    let number = text.bytes().take_while(u8::is_ascii_digit).count();
    let mut escaped = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let special = match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' => true,
            // These begin something at the start of a line only.
            '#' | '+' | '-' | '=' => at == 0,
            '.' | ')' => at == number && number > 0,
            _ => false,
        };
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            c if special => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}

/// What stands between single backticks.
fn code(text: &str) -> String {
    clean(text).replace('`', "'")
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
