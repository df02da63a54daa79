//! What the started program prints.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
    widgets::Widget,
};

use super::{Scene, Split, pane};
use crate::tui::{action::Pane, hits::Hits, text};

pub(super) fn draw(scene: &Scene<'_>, buffer: &mut Buffer, area: Rect, hits: &mut Hits) {
    let Some(output) = &scene.app.output else {
        return;
    };
    let theme = scene.theme;
    let mut title = vec![Span::styled("Output", theme.heading())];
    title.push(Span::raw(format!(
        " {}",
        text::plural(output.len() as u64, "line")
    )));
    if output.dropped() > 0 {
        let older = format!(", {} older dropped", text::count(output.dropped()));
        title.push(Span::styled(older, theme.warn()));
    }
    if let Some(how) = output.exited() {
        title.push(Span::styled(format!("  {how}"), theme.bad()));
    }
    let note = if output.follows() {
        "follows"
    } else {
        "End: follow"
    };
    let rest = pane::frame(scene, buffer, area, title.into(), note, true);
    let height = usize::from(rest.height);
    for (i, line) in output.visible(height).enumerate() {
        let mark = if line.error { "!" } else { " " };
        let line = Line::from(vec![
            Span::styled(mark, theme.warn()),
            Span::raw(text::keep_start(&line.text, usize::from(rest.width) - 1)),
        ]);
        line.render(rest.line(i as u16), buffer);
    }
    hits.pane(Pane::Output, rest, 0..0);
}
