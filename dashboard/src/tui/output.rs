//! The started program's own output: the newest lines, without what would steer
//! the terminal.

use std::collections::VecDeque;

use super::OutputLine;
use crate::client::clean;

const LINES_MAX: usize = 10_000;
const LINE_CHARS_MAX: usize = 2_000;

/// One line of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The text.
    pub(super) text: String,
    /// It was written to the error stream.
    pub(super) error: bool,
}

/// A program's output so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Output {
    lines: VecDeque<Line>,
    dropped: u64,
    exited: Option<String>,
    /// Lines scrolled up from the end; 0 follows the output.
    up: usize,
}

impl Output {
    pub(super) fn push(&mut self, line: OutputLine) {
        let (text, error) = match line {
            OutputLine::Stdout(text) => (text, false),
            OutputLine::Stderr(text) => (text, true),
            OutputLine::Exited(how) => {
                self.exited = Some(clean(&how, LINE_CHARS_MAX));
                return;
            }
        };
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
            self.dropped += 1;
        }
        let plain = anstream::adapter::strip_str(&text).to_string();
        let text = clean(&plain.replace('\t', "    "), LINE_CHARS_MAX);
        self.lines.push_back(Line { text, error });
        if self.up > 0 {
            self.up = (self.up + 1).min(self.lines.len());
        }
    }

    /// Number of lines there are.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Number of lines that were too many.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How the program ended, if it has.
    pub(super) fn exited(&self) -> Option<&str> {
        self.exited.as_deref()
    }

    /// Whether the newest line is in sight.
    pub(super) fn follows(&self) -> bool {
        self.up == 0
    }

    /// Moves by some lines, down if positive.
    pub(super) fn scroll(&mut self, by: isize) {
        let up = self.up.saturating_add_signed(by.saturating_neg());
        self.up = up.min(self.lines.len().saturating_sub(1));
    }

    /// The lines that are visible in a pane of this height.
    pub(super) fn visible(&self, height: usize) -> impl Iterator<Item = &Line> {
        let highest = self.lines.len().saturating_sub(height);
        let start = highest.saturating_sub(self.up);
        self.lines.iter().skip(start).take(height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(output: &Output, height: usize) -> Vec<&str> {
        output
            .visible(height)
            .map(|line| line.text.as_str())
            .collect()
    }

    #[test]
    fn follows_the_end_until_scrolled_up() {
        let mut output = Output::default();
        for n in 0..5 {
            output.push(OutputLine::Stdout(n.to_string()));
        }
        assert_eq!(texts(&output, 2), ["3", "4"]);
        output.scroll(-1);
        output.push(OutputLine::Stdout("5".to_owned()));
        assert_eq!(texts(&output, 2), ["2", "3"]);
        output.scroll(isize::MAX);
        assert_eq!(texts(&output, 2), ["4", "5"]);
    }

    #[test]
    fn the_oldest_lines_go_and_are_counted() {
        let mut output = Output::default();
        for n in 0..LINES_MAX + 3 {
            output.push(OutputLine::Stderr(n.to_string()));
        }
        assert_eq!((output.len(), output.dropped()), (LINES_MAX, 3));
        output.scroll(isize::MIN);
        assert_eq!(texts(&output, 1), ["3"]);
    }

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        let mut output = Output::default();
        output.push(OutputLine::Stdout(
            "\x1b[31mred\x1b[0m\x07\x1b]0;title\x07".to_owned(),
        ));
        assert_eq!(texts(&output, 1), ["red"]);
    }
}
