//! Where on the screen what was drawn: for the mouse, and for paging.

use std::ops::Range;

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::action::{Action, Pane};

/// Lines that one notch of the wheel moves.
const NOTCH: isize = 3;

/// What the last frame showed where.
#[derive(Clone, Debug, Default)]
pub(super) struct Hits {
    spots: Vec<(Rect, Action)>,
    panes: Vec<(Pane, Rect, Range<usize>)>,
    /// Lines of the text in [`Pane::Detail`] and the like, where one was drawn.
    pub(super) text_lines: usize,
}

impl Hits {
    /// A click into `area` means `action`.
    pub(super) fn spot(&mut self, area: Rect, action: Action) {
        self.spots.push((area, action));
    }

    /// `rows` of a list, or lines of a text, are shown in `area`, one a line.
    pub(super) fn pane(&mut self, pane: Pane, area: Rect, rows: Range<usize>) {
        self.panes.push((pane, area, rows));
    }

    /// An overlay covers everything drawn so far.
    pub(super) fn cover(&mut self) {
        *self = Self::default();
    }

    /// The rows of `pane` that were shown.
    pub(super) fn window(&self, pane: Pane) -> Option<&Range<usize>> {
        self.panes
            .iter()
            .find(|(it, ..)| *it == pane)
            .map(|(_, _, rows)| rows)
    }

    /// Lines of `pane`.
    pub(super) fn height(&self, pane: Pane) -> usize {
        self.panes
            .iter()
            .find(|(it, ..)| *it == pane)
            .map_or(1, |(_, area, _)| usize::from(area.height))
    }

    /// What the mouse asks for.
    pub(super) fn action(&self, mouse: MouseEvent) -> Option<Action> {
        let at = Position::new(mouse.column, mouse.row);
        match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => self.click(at),
            MouseEventKind::ScrollUp => Some(Action::Wheel(self.pane_at(at)?.0, -NOTCH)),
            MouseEventKind::ScrollDown => Some(Action::Wheel(self.pane_at(at)?.0, NOTCH)),
            _ => None,
        }
    }

    fn click(&self, at: Position) -> Option<Action> {
        if let Some((_, action)) = self.spots.iter().find(|(area, _)| area.contains(at)) {
            return Some(*action);
        }
        let (pane, area, rows) = self.pane_at(at)?;
        let row = rows.start + usize::from(at.y - area.y);
        rows.contains(&row).then_some(Action::Click(*pane, row))
    }

    fn pane_at(&self, at: Position) -> Option<&(Pane, Rect, Range<usize>)> {
        self.panes.iter().find(|(_, area, _)| area.contains(at))
    }
}
