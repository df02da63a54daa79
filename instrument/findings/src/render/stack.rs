//! The heaviest stack below a finding: the user's frames and what they called in
//! full, runs of the runtime's frames as a count.

use super::{RenderOptions, Text, frame_place};
use crate::{
    Finding, Frame, Stack,
    frames::{Owner, frame_owner, poll_end},
    message::{frame_label, humanise},
    source::printable,
};

/// Frames shown at most: a screenful; what is left out is counted.
const FRAMES_MAX: usize = 30;

pub(super) fn write(text: &mut Text, finding: &Finding, options: &RenderOptions<'_>) {
    let Some(stack) = finding.stacks.first() else {
        return;
    };
    let poll = &stack.frames[..poll_end(&stack.frames).unwrap_or(stack.frames.len())];
    if poll.is_empty() {
        return;
    }
    text.fact("", &title(finding, stack));
    for line in fold(poll).iter().map(|line| line.text(options)) {
        let indent = " ".repeat(text.gutter + 5);
        let line = printable(&line);
        let line = if line.starts_with('…') {
            text.paint.dim(&line)
        } else {
            line
        };
        text.push(&format!("{indent}{line}"));
    }
}

fn title(finding: &Finding, stack: &Stack) -> String {
    let weight = humanise(stack.weight);
    match finding.stacks.len() {
        1 => "stack, innermost call first:".to_owned(),
        count => format!("stack of {weight}, the heaviest of {count}, innermost call first:"),
    }
}

/// One line of a folded stack.
enum Line<'a> {
    Frame(&'a Frame),
    Folded(usize, &'static str),
    LeftOut(usize),
}

impl Line<'_> {
    fn text(&self, options: &RenderOptions<'_>) -> String {
        match self {
            Line::Frame(frame) if frame.user && frame.file.is_some() => {
                format!("{} at {}", frame_label(frame), position(frame, options))
            }
            Line::Frame(frame) => frame_label(frame),
            Line::Folded(1, what) => format!("… 1 frame of {what}"),
            Line::Folded(count, what) => format!("… {count} frames of {what}"),
            Line::LeftOut(count) => format!("… {count} more frames"),
        }
    }
}

fn position(frame: &Frame, options: &RenderOptions<'_>) -> String {
    let unnamed = Frame {
        function: String::new(),
        module: None,
        ..frame.clone()
    };
    frame_place(&unnamed, options.base)
}

fn fold(frames: &[Frame]) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    let culprit = frames.iter().position(|frame| frame.user);
    for (depth, frame) in frames.iter().enumerate() {
        let owner = frame_owner(frame);
        let outside = culprit.is_some_and(|culprit| depth > culprit);
        match (foldable(owner, outside), lines.last_mut()) {
            (Some(what), Some(Line::Folded(count, of))) if *of == what => *count += 1,
            (Some(what), _) => lines.push(Line::Folded(1, what)),
            (None, _) => lines.push(Line::Frame(frame)),
        }
    }
    if lines.len() > FRAMES_MAX {
        let left_out = lines.len() - FRAMES_MAX;
        lines.truncate(FRAMES_MAX);
        lines.push(Line::LeftOut(left_out));
    }
    lines
}

/// Outside of the culprit, std only passes polls on, as the runtime does.
fn foldable(owner: Owner, outside: bool) -> Option<&'static str> {
    match owner {
        Owner::Runtime => Some("the runtime"),
        Owner::Std if outside => Some("the runtime"),
        Owner::Asyncwatch => Some("asyncwatch"),
        Owner::User | Owner::Dependency | Owner::Std => None,
    }
}
