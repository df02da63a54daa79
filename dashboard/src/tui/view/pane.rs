//! A pane: a rule with its title, and what is below.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
    widgets::Widget,
};

use super::{Scene, Split};
use crate::tui::{action::Pane, hits::Hits, text};

/// Draws the rule with `title` and, at its right, `note`; returns the rest.
pub(super) fn frame(
    scene: &Scene<'_>,
    buffer: &mut Buffer,
    area: Rect,
    title: Line<'_>,
    note: &str,
    focused: bool,
) -> Rect {
    let (top, rest) = area.split_top(1);
    let rule = if focused {
        scene.theme.accent()
    } else {
        scene.theme.dim()
    };
    let dash = if focused { "━" } else { "─" };
    buffer.set_string(top.x, top.y, dash.repeat(usize::from(top.width)), rule);
    let mut spans = vec![Span::raw(" ")];
    spans.extend(title.spans);
    spans.push(Span::raw(" "));
    let line = Line::from(spans);
    let used = (line.width() + 1) as u16;
    let (_, for_title) = top.split_left(1);
    line.render(for_title, buffer);
    draw_note(scene, buffer, top, used, note);
    rest
}

fn draw_note(scene: &Scene<'_>, buffer: &mut Buffer, top: Rect, used: u16, note: &str) {
    let width = text::width(note) as u16 + 2;
    if !note.is_empty() && used + width + 2 <= top.width {
        let x = top.right() - width - 1;
        buffer.set_string(x, top.y, format!(" {note} "), scene.theme.dim());
    }
}

/// Draws `lines` from `scroll` on, with a note of how much there is.
pub(super) fn scrolled(
    buffer: &mut Buffer,
    area: Rect,
    lines: Vec<Line<'_>>,
    scroll: usize,
    pane: Pane,
    hits: &mut Hits,
) {
    let total = lines.len();
    let height = usize::from(area.height);
    let start = scroll.min(total.saturating_sub(height));
    for (i, line) in lines.into_iter().skip(start).take(height).enumerate() {
        line.render(area.line(i as u16), buffer);
    }
    hits.pane(pane, area, start..(start + height).min(total));
    hits.text_lines = total;
}

/// `12–30 of 400`, or nothing where everything is in sight.
pub(super) fn position(shown: &std::ops::Range<usize>, total: usize) -> String {
    if shown.len() >= total {
        return String::new();
    }
    let total = text::count(total as u64);
    format!("{}–{} of {total}", shown.start + 1, shown.end)
}
