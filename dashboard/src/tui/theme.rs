//! Colours, by meaning. Without colour the same meanings are told by bold, dim,
//! reverse, and by words and marks that are always there.
//!
//! Only the sixteen colours that a terminal's own palette defines are used, so
//! that dark and light terminals both stay readable.

use ratatui::style::{Color, Modifier, Style};

/// Styles by meaning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    color: bool,
}

impl Theme {
    pub(super) const fn new(color: bool) -> Self {
        Self { color }
    }

    /// What blocks right now.
    pub(super) fn alarm(self) -> Style {
        let style = Style::new().add_modifier(Modifier::BOLD);
        if self.color {
            style.fg(Color::White).bg(Color::Red)
        } else {
            style.add_modifier(Modifier::REVERSED)
        }
    }

    /// Fails, or is over a limit.
    pub(super) fn bad(self) -> Style {
        self.fg(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// Deserves attention.
    pub(super) fn warn(self) -> Style {
        self.fg(Color::Yellow)
    }

    /// As it should be.
    pub(super) fn good(self) -> Style {
        self.fg(Color::Green)
    }

    /// Can be acted on: keys, the sort column, the focused pane.
    pub(super) fn accent(self) -> Style {
        self.fg(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// The user's own code.
    pub(super) fn own(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Secondary. Not a dark grey: some palettes make that the background's colour.
    pub(super) fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// Headings.
    pub(super) fn heading(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The selected row: laid over whatever is there.
    pub(super) fn selected(self) -> Style {
        Style::reset().add_modifier(Modifier::REVERSED)
    }

    fn fg(self, color: Color) -> Style {
        if self.color {
            Style::new().fg(color)
        } else {
            Style::new()
        }
    }
}
