//! The help page: keys, what columns mean, and what is not watched.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
    widgets::{Clear, Widget},
};

use super::{Scene, finding, pane};
use crate::tui::{action::Pane, hits::Hits, text};

/// Columns for keys and marks.
const KEY: usize = 16;

const KEYS: &[(&str, &str)] = &[
    (
        "1 2 3 4",
        "tasks, findings, workers, output of a started program",
    ),
    (
        "Tab",
        "to the findings below the tasks and back; else next tab",
    ),
    ("Shift-Tab", "next tab"),
    ("↑ ↓ PgUp PgDn", "move; also j k Home End, and the wheel"),
    ("Enter", "look at it closely; so does a second click"),
    ("Esc", "back; clear the filter"),
    (
        "/",
        "filter as you type: all words must occur, !word must not",
    ),
    (
        "s S ← →",
        "sort by the next or previous column; or click its title",
    ),
    ("r", "reverse the order"),
    ("g", "one line per spawn location instead of per task"),
    ("t", "only tasks spawned where the selected one was"),
    ("p Space", "pause the display; the program goes on"),
    ("+ -", "a longer or shorter limit for polls, in the program"),
    ("x", "look for slow polls in the program, or look away"),
    ("a", "other apps on this machine"),
    ("q Ctrl-C", "quit"),
];

const MARKS: &[(&str, &str)] = &[
    ("▶", "blocks now: a poll over the limit that has not ended"),
    ("!", "there are findings about this task or place"),
    ("▲", "a poll over the limit"),
    ("▶ run", "is being polled"),
    ("◆ ready", "was woken, waits for a worker"),
    ("·", "not measured; · idle: waits to be woken"),
    ("now", "share of the last interval spent inside polls"),
    ("queued", "time between being woken and being polled"),
    ("p99", "99 of 100 polls took less; within a factor of two"),
];

pub(super) fn draw(
    scene: &Scene<'_>,
    buffer: &mut Buffer,
    area: Rect,
    scroll: usize,
    hits: &mut Hits,
) {
    hits.cover();
    Clear.render(area, buffer);
    let lines = lines(scene, usize::from(area.width));
    let height = usize::from(area.height.saturating_sub(1));
    let start = scroll.min(lines.len().saturating_sub(height));
    let note = pane::position(&(start..(start + height).min(lines.len())), lines.len());
    let title = Line::styled("Help", scene.theme.heading());
    let rest = pane::frame(scene, buffer, area, title, &note, true);
    pane::scrolled(buffer, rest, lines, scroll, Pane::Help, hits);
}

fn lines<'a>(scene: &Scene<'_>, columns: usize) -> Vec<Line<'a>> {
    let mut lines = vec![heading(scene, "Keys")];
    lines.extend(KEYS.iter().map(|(key, text)| pair(scene, key, text, KEY)));
    lines.push(Line::default());
    lines.push(heading(scene, "Marks and columns"));
    lines.extend(
        MARKS
            .iter()
            .map(|(mark, text)| pair(scene, mark, text, KEY)),
    );
    if let Some(process) = scene.model.process() {
        lines.push(Line::default());
        lines.push(heading(scene, "What is watched"));
        for aspect in &process.coverage {
            let mark = if aspect.covered { "✓" } else { "✗" };
            let text = format!("{mark} {}: {}", aspect.aspect, aspect.detail);
            lines.extend(finding::wrap(&text, columns, 2).map(Line::from));
        }
        lines.extend(left_out(scene, columns));
        lines.push(Line::default());
        lines.push(heading(scene, "Program"));
        lines.extend(finding::wrap(&process.args.join(" "), columns, 2).map(Line::from));
        let version = format!("  asyncwatch {} on {}", process.version, process.platform);
        lines.push(version.into());
    }
    lines
}

fn left_out<'a>(scene: &Scene<'_>, columns: usize) -> Vec<Line<'a>> {
    let model = scene.model;
    let mut texts: Vec<String> = model
        .drops()
        .iter()
        .map(|drop| format!("{} {}: {}", text::count(drop.count), drop.what, drop.detail))
        .collect();
    if model.overflowed() > 0 {
        let n = text::count(model.overflowed());
        texts.push(format!(
            "{n} left out by this dashboard, whose tables are full"
        ));
    }
    if model.unreadable() > 0 {
        let n = text::count(model.unreadable());
        texts.push(format!(
            "{n} findings of kinds this dashboard does not know; update it"
        ));
    }
    if texts.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![Line::default(), heading(scene, "What was left out")];
    for text in texts {
        lines.extend(finding::wrap(&text, columns, 2).map(Line::from));
    }
    lines
}

fn heading<'a>(scene: &Scene<'_>, text: &'a str) -> Line<'a> {
    Line::styled(format!(" {text}"), scene.theme.heading())
}

fn pair<'a>(scene: &Scene<'_>, key: &str, text: &'a str, columns: usize) -> Line<'a> {
    Line::from(vec![
        Span::styled(
            format!("  {}", text::left(key, columns)),
            scene.theme.accent(),
        ),
        Span::raw(text),
    ])
}
