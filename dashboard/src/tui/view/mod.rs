//! What is seen. Every view is a pure function of the app's state and a moment;
//! it tells where it drew what, for the mouse.

mod apps;
mod detail;
mod finding;
mod findings;
mod footer;
mod header;
mod help;
mod output;
mod pane;
mod tasks;
mod waiting;
mod workers;

use std::time::Instant;

use ratatui::{
    Frame,
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
    widgets::Widget,
};

use super::{
    action::Tab,
    app::{App, Overlay, Subject},
    hits::Hits,
    theme::Theme,
};
use crate::model::Model;

/// The smallest terminal that anything useful fits in.
const COLUMNS_MIN: u16 = 50;
const LINES_MIN: u16 = 12;

/// What views draw from.
#[derive(Clone, Copy)]
struct Scene<'a> {
    app: &'a App,
    model: &'a Model,
    theme: Theme,
    /// The moment that is shown: it stands still while paused.
    at: Instant,
    /// The moment it is.
    now: Instant,
}

impl Scene<'_> {
    fn root(&self) -> Option<&str> {
        self.app.root.as_deref()
    }
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, app: &App, now: Instant, hits: &mut Hits) {
    let scene = Scene {
        app,
        model: app.model(),
        theme: app.theme,
        at: app.moment(now),
        now,
    };
    let area = frame.area();
    let buffer = frame.buffer_mut();
    if area.width < COLUMNS_MIN || area.height < LINES_MIN {
        draw_too_small(buffer, area);
        return;
    }
    let (top, body) = area.split_top(header::height(&scene, area));
    let (body, bottom) = body.split_bottom(1);
    header::draw(&scene, buffer, top, hits);
    draw_body(&scene, buffer, body, hits);
    match app.overlay {
        Some(Overlay::Help { scroll }) => help::draw(&scene, buffer, body, scroll, hits),
        Some(Overlay::Apps) => apps::draw(&scene, buffer, body, hits),
        None => {}
    }
    footer::draw(&scene, buffer, bottom, hits);
}

fn draw_body(scene: &Scene<'_>, buffer: &mut Buffer, area: Rect, hits: &mut Hits) {
    if let Some(detail) = scene.app.details.last() {
        match detail.subject {
            Subject::Row(row) => detail::draw(scene, buffer, area, row, detail.scroll, hits),
            Subject::Finding(id) => finding::draw(scene, buffer, area, id, detail.scroll, hits),
        }
        return;
    }
    let nothing_known = scene.model.process().is_none();
    match scene.app.tab {
        Tab::Output => output::draw(scene, buffer, area, hits),
        _ if nothing_known => waiting::draw(scene, buffer, area),
        Tab::Tasks => draw_main(scene, buffer, area, hits),
        Tab::Findings => findings::draw_tab(scene, buffer, area, hits),
        Tab::Workers => workers::draw(scene, buffer, area, hits),
    }
}

/// The task table, and the findings below it.
fn draw_main(scene: &Scene<'_>, buffer: &mut Buffer, area: Rect, hits: &mut Hits) {
    let findings = scene.app.finding_rows.len() as u16;
    let most = area.height * 2 / 5;
    let previews = area.width >= findings::PREVIEW_COLUMNS_MIN;
    let least = if previews {
        (area.height / 3).min(18)
    } else {
        4
    };
    let height = (findings + 2).max(least).min(most);
    let (table, below) = area.split_bottom(height);
    tasks::draw(scene, buffer, table, hits);
    findings::draw_pane(scene, buffer, below, hits);
}

fn draw_too_small(buffer: &mut Buffer, area: Rect) {
    let text = format!("asyncwatch needs a terminal of {COLUMNS_MIN}x{LINES_MIN} or more");
    Line::from(text).render(area, buffer);
}

/// Cutting rectangles.
trait Split {
    /// The topmost lines, and the rest.
    fn split_top(self, lines: u16) -> (Rect, Rect);
    /// The rest, and the bottommost lines.
    fn split_bottom(self, lines: u16) -> (Rect, Rect);
    /// The leftmost columns, and the rest.
    fn split_left(self, columns: u16) -> (Rect, Rect);
    /// One line of it, counted from the top.
    fn line(self, line: u16) -> Rect;
}

impl Split for Rect {
    fn split_top(self, lines: u16) -> (Rect, Rect) {
        let lines = lines.min(self.height);
        let rest = self.height - lines;
        (
            Rect {
                height: lines,
                ..self
            },
            Rect {
                y: self.y + lines,
                height: rest,
                ..self
            },
        )
    }

    fn split_bottom(self, lines: u16) -> (Rect, Rect) {
        self.split_top(self.height.saturating_sub(lines))
    }

    fn split_left(self, columns: u16) -> (Rect, Rect) {
        let columns = columns.min(self.width);
        let rest = self.width - columns;
        (
            Rect {
                width: columns,
                ..self
            },
            Rect {
                x: self.x + columns,
                width: rest,
                ..self
            },
        )
    }

    fn line(self, line: u16) -> Rect {
        let line = line.min(self.height);
        Rect {
            y: self.y + line,
            height: (self.height - line).min(1),
            ..self
        }
    }
}

/// Draws `left` at the left of a line and `right` at its right; where both do not
/// fit, the left one gives way.
fn draw_ends(buffer: &mut Buffer, area: Rect, left: Line<'_>, right: Line<'_>) {
    let right_width = (right.width() as u16).min(area.width);
    let (for_left, for_right) = area.split_left(area.width - right_width);
    left.render(for_left, buffer);
    right.render(for_right, buffer);
}

/// A span without style.
fn plain<'a>(text: impl Into<std::borrow::Cow<'a, str>>) -> Span<'a> {
    Span::raw(text)
}
