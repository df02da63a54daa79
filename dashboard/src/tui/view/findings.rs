//! The list of findings, below the tasks and on its own tab, each in one line:
//! what, how bad, how often, where, and the line itself.

use asyncwatch_findings::{Class, Code, Finding, Frame, Level};
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::Widget,
};

use super::{Scene, Split, finding, pane};
use crate::{
    model::Seen,
    tui::{action::Pane, hits::Hits, text},
};

/// From this width on, the selected finding is shown beside the list.
pub(super) const PREVIEW_COLUMNS_MIN: u16 = 150;

/// Columns of a line beside kind, place and what; see [`row_line`].
const FIXED: usize = 2 + 8 + 8 + 9;

/// The pane on the main screen.
pub(super) fn draw_pane(scene: &Scene<'_>, buffer: &mut Buffer, area: Rect, hits: &mut Hits) {
    if area.width < PREVIEW_COLUMNS_MIN {
        draw_list(scene, buffer, area, hits);
        return;
    }
    let (list, preview) = area.split_left(area.width * 11 / 20);
    let (_, preview) = preview.split_left(1);
    draw_list(scene, buffer, list, hits);
    draw_preview(scene, buffer, preview);
}

/// The whole tab.
pub(super) fn draw_tab(scene: &Scene<'_>, buffer: &mut Buffer, area: Rect, hits: &mut Hits) {
    if area.width >= PREVIEW_COLUMNS_MIN {
        draw_pane(scene, buffer, area, hits);
        return;
    }
    let rows = scene.app.finding_rows.len() as u16 + 2;
    let height = rows.clamp(4, (area.height / 2).max(4));
    let (list, preview) = area.split_top(height);
    draw_list(scene, buffer, list, hits);
    draw_preview(scene, buffer, preview);
}

fn draw_preview(scene: &Scene<'_>, buffer: &mut Buffer, area: Rect) {
    let selected = scene.app.findings.selected(&scene.app.finding_rows);
    let Some(seen) = selected.and_then(|id| scene.model.findings().get(id)) else {
        pane::frame(scene, buffer, area, Line::default(), "", false);
        return;
    };
    let title = Line::styled("Selected finding", scene.theme.heading());
    let rest = pane::frame(scene, buffer, area, title, "Enter: all of it", false);
    let lines = finding::lines(scene, seen, usize::from(rest.width));
    for (i, line) in lines.into_iter().take(usize::from(rest.height)).enumerate() {
        line.render(rest.line(i as u16), buffer);
    }
}

fn draw_list(scene: &Scene<'_>, buffer: &mut Buffer, area: Rect, hits: &mut Hits) {
    let app = scene.app;
    let rows = &app.finding_rows;
    let height = usize::from(area.height.saturating_sub(2));
    let window = app.findings.window(rows.len(), height);
    let focused = app.pane() == Pane::Findings;
    let note = pane::position(&window, rows.len());
    let rest = pane::frame(scene, buffer, area, title(scene), &note, focused);
    let (head, body) = rest.split_top(1);
    let widths = Widths::of(scene, usize::from(area.width));
    if rows.is_empty() {
        draw_nothing(scene, buffer, head);
    } else {
        Line::styled(widths.heading(), scene.theme.dim()).render(head, buffer);
    }
    for (line, index) in window.clone().enumerate() {
        let Some(seen) = scene.model.findings().get(rows[index]) else {
            continue;
        };
        let area = body.line(line as u16);
        let selected = index == app.findings.index();
        row_line(scene, seen, &widths, selected).render(area, buffer);
        if selected && focused {
            buffer.set_style(area, scene.theme.selected());
        }
    }
    hits.pane(Pane::Findings, body, window);
}

fn title<'a>(scene: &Scene<'a>) -> Line<'a> {
    let theme = scene.theme;
    let mut spans = vec![Span::styled("Findings", theme.heading())];
    for (code, count) in scene.model.findings().by_code() {
        spans.push(Span::styled(format!("  {code} "), theme.warn()));
        let times = text::count(count.occurrences);
        let places = text::plural(count.sites, "place");
        spans.push(Span::raw(format!("{times}× at {places}")));
    }
    if !scene.app.findings_filter.is_empty() {
        let text = format!("  /{}", scene.app.findings_filter);
        spans.push(Span::styled(text, theme.warn()));
    }
    spans.into()
}

fn draw_nothing(scene: &Scene<'_>, buffer: &mut Buffer, area: Rect) {
    let line = if scene.model.findings().is_empty() {
        let limit = scene.model.limit().map_or_else(String::new, |limit| {
            format!(": no poll has reached {}", text::duration(limit))
        });
        Line::styled(
            format!("  ✓ nothing found so far{limit}"),
            scene.theme.good(),
        )
    } else {
        Line::styled(
            "  no finding matches; Esc clears the filter",
            scene.theme.dim(),
        )
    };
    line.render(area, buffer);
}

/// Widths of the columns that share what the others leave.
struct Widths {
    kind: usize,
    place: usize,
    what: usize,
}

impl Widths {
    /// The kinds are shown whole, unless that would leave little for the rest.
    fn of(scene: &Scene<'_>, columns: usize) -> Self {
        let findings = scene.model.findings().iter();
        let longest = findings.map(|seen| seen.finding.code.as_str().len()).max();
        let kind_max = if columns < 100 { 17 } else { 26 };
        let kind = (longest.unwrap_or(0) + 1).clamp(14, kind_max);
        let left = columns.saturating_sub(FIXED + kind + 1);
        let place = (left * 2 / 5).clamp(12, 44).min(left);
        Self {
            kind,
            place,
            what: left - place,
        }
    }

    fn heading(&self) -> String {
        let place = text::left("culprit", self.place);
        let what = text::left("what it does", self.what);
        let kind = text::left("kind", self.kind);
        format!(
            "  {kind}{:>7} {:>7} {place} {what}{:>9}",
            "worst", "count", "seen"
        )
    }
}

fn row_line<'a>(scene: &Scene<'_>, seen: &Seen, widths: &Widths, selected: bool) -> Line<'a> {
    let theme = scene.theme;
    let finding = &seen.finding;
    let cursor = if selected { "›" } else { " " };
    let (mark, loud) = match (finding.ongoing, finding.level) {
        (true, _) => ("▶", theme.alarm()),
        (false, Level::Deny) => ("✗", theme.bad()),
        (false, Level::Warn) => ("!", theme.warn()),
        (false, Level::Allow) => ("·", theme.dim()),
    };
    let code = if finding.ongoing { theme.bad() } else { loud };
    Line::from(vec![
        Span::raw(cursor),
        Span::styled(mark, loud),
        Span::styled(kind_text(finding.code, widths.kind), code),
        Span::raw(text::right(&text::optional(finding.wall), 7)),
        Span::raw(text::right(&format!("{}×", text::count(finding.count)), 8)),
        Span::raw(" "),
        Span::styled(
            text::path(&place(scene, finding), widths.place),
            theme.own(),
        ),
        Span::raw(" "),
        Span::raw(text::left(&what(scene, finding), widths.what)),
        seen_span(scene, seen),
    ])
}

/// The kind, with a space after it.
fn kind_text(code: Code, columns: usize) -> String {
    text::left(code.as_str(), columns.saturating_sub(1)) + " "
}

/// When it was last seen, nine columns wide.
fn seen_span<'a>(scene: &Scene<'_>, seen: &Seen) -> Span<'a> {
    let finding = &seen.finding;
    let (words, style) = if let Some(elapsed) = scene.model.ongoing_for(finding, scene.at) {
        (format!("{} ▶", text::ticking(elapsed)), scene.theme.bad())
    } else if seen.is_new(scene.at) {
        ("NEW".to_owned(), scene.theme.accent())
    } else {
        let since = scene.model.since(finding.last_unix_ns, scene.at);
        (text::ago(since), scene.theme.dim())
    };
    Span::styled(text::right(&words, 9), style)
}

/// Where the culprit is, else where the task was spawned.
pub(super) fn place(scene: &Scene<'_>, finding: &Finding) -> String {
    let spawned_at = || finding.task.as_ref()?.spawned_at.as_ref();
    match (&finding.culprit, spawned_at()) {
        (Some(culprit), _) => text::frame_place(culprit, scene.root()),
        (None, Some(location)) => text::place(location, scene.root()),
        (None, None) => "place unknown".to_owned(),
    }
}

/// What happens there: the line of source, else the function, and why it took
/// long.
pub(super) fn what(scene: &Scene<'_>, finding: &Finding) -> String {
    let doing = source_line(scene, finding)
        .or_else(|| function(finding.blocking_frame.as_ref()))
        .or_else(|| function(finding.culprit.as_ref()))
        .unwrap_or_else(|| finding.message.clone());
    match why(finding) {
        Some(why) => format!("{doing}  {why}"),
        None => doing,
    }
}

fn source_line(scene: &Scene<'_>, finding: &Finding) -> Option<String> {
    let culprit = finding.culprit.as_ref()?;
    let line = culprit.line?;
    let excerpt = scene.app.sources.get(culprit.file.as_deref()?, line)?;
    let text = excerpt.line(line)?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn function(frame: Option<&Frame>) -> Option<String> {
    let name = text::short_function(&frame?.function);
    (!name.is_empty()).then(|| name.to_owned())
}

/// Whether it holds a thread for as long as it goes on.
pub(super) fn holds_thread(finding: &Finding) -> bool {
    matches!(finding.code, Code::SlowPoll | Code::NeverYielded)
}

/// Why the time passed, or else what happens there, in a few words.
pub(super) fn why(finding: &Finding) -> Option<String> {
    let Some(class) = finding.class else {
        return finding.label.clone();
    };
    Some(match (class, &finding.syscall) {
        (Class::Blocked | Class::Mixed, Some(syscall)) => format!("blocked in {syscall}"),
        (Class::Blocked, None) => "blocked".to_owned(),
        (Class::Mixed, None) => "computes and blocks".to_owned(),
        (Class::Cpu, _) => "computes".to_owned(),
        (Class::Descheduled, _) => "had no CPU: the machine is busy".to_owned(),
    })
}

/// A level's style.
pub(super) fn level_style(scene: &Scene<'_>, level: Level) -> Style {
    match level {
        Level::Deny => scene.theme.bad(),
        Level::Warn => scene.theme.warn(),
        Level::Allow => scene.theme.dim(),
    }
}
