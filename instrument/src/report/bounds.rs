//! What is told of one process and of one finding stays small enough for a line of the
//! report stream and a message to a dashboard, 4 MiB each.

use asyncwatch_findings::{Finding, Frame, Stack};

/// Of all stacks of a finding; some 20 KiB is usual. Escaped as JSON they can be twice
/// as much.
const STACK_BYTES_MAX: usize = 1 << 20;
const ARGS_MAX: usize = 64;
const ARG_BYTES_MAX: usize = 1_024;

/// Leaves out the lightest stacks, and the outermost frames of the last, of a finding
/// that is too large.
pub(super) fn bound(finding: &mut Finding) {
    let before = finding.stacks.len();
    let mut room = STACK_BYTES_MAX;
    let mut cut = false;
    finding.stacks.retain_mut(|stack| {
        if cut {
            return false;
        }
        let frames = stack.frames.len();
        keep_innermost(stack, &mut room);
        cut = stack.frames.len() < frames;
        !stack.frames.is_empty()
    });
    if cut {
        let gone = before - finding.stacks.len();
        finding.notes.push(format!(
            "its stacks are too large to be told whole: outer frames and {gone} further stacks are left out"
        ));
    }
}

fn keep_innermost(stack: &mut Stack, room: &mut usize) {
    let fit = stack.frames.iter().position(|frame| {
        let bytes = bytes(frame);
        let fits = bytes <= *room;
        if fits {
            *room -= bytes;
        }
        !fits
    });
    if let Some(fit) = fit {
        stack.frames.truncate(fit);
        *room = 0;
    }
}

fn bytes(frame: &Frame) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    // Names and numbers of the fields.
    64 + frame.function.len() + text(&frame.file) + text(&frame.module)
}

/// The command line, or its beginning.
pub(super) fn args(mut all: impl Iterator<Item = String>) -> Vec<String> {
    let mut args: Vec<String> = all.by_ref().take(ARGS_MAX).map(shortened).collect();
    let more = all.count();
    if more > 0 {
        args.push(format!("… and {more} more"));
    }
    args
}

fn shortened(mut arg: String) -> String {
    if arg.len() > ARG_BYTES_MAX {
        let mut end = ARG_BYTES_MAX;
        while !arg.is_char_boundary(end) {
            end -= 1;
        }
        arg.truncate(end);
        arg.push('…');
    }
    arg
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use asyncwatch_findings::{Code, Level};

    use super::*;

    fn stack(frames: usize, name_bytes: usize) -> Stack {
        let frame = Frame {
            function: "f".repeat(name_bytes),
            ..Frame::default()
        };
        Stack {
            weight: Duration::from_millis(1),
            frames: vec![frame; frames],
            ..Stack::default()
        }
    }

    fn finding(stacks: Vec<Stack>) -> Finding {
        Finding {
            stacks,
            ..Finding::new(Code::SlowPoll, Level::Warn, "", 0)
        }
    }

    #[test]
    fn usual_findings_are_left_alone() {
        let usual = finding(vec![stack(100, 100); 16]);
        let mut bounded = usual.clone();
        bound(&mut bounded);
        assert_eq!(bounded, usual);
    }

    #[test]
    fn monstrous_names_cost_outer_frames_and_light_stacks() {
        let mut monster = finding(vec![stack(200, 10_000); 16]);
        bound(&mut monster);
        let json = serde_json::to_string(&monster).expect("serialisable");
        assert!(json.len() < 2 << 20, "{}", json.len());
        assert_eq!(monster.stacks.len(), 1);
        assert!(monster.stacks[0].frames.len() > 50);
        assert!(monster.notes[0].contains("15 further stacks"));
    }

    #[test]
    fn command_lines_are_cut() {
        let usual = vec!["app".to_owned(), "--serve".to_owned()];
        assert_eq!(args(usual.clone().into_iter()), usual);
        let many = args((0..10_000).map(|n| format!("{n}é").repeat(1_000)));
        assert_eq!(many.len(), ARGS_MAX + 1);
        assert_eq!(many[ARGS_MAX], "… and 9936 more");
        assert!(many.iter().all(|arg| arg.len() <= ARG_BYTES_MAX + 3));
    }
}
