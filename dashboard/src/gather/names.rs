//! Names for frames that a process could not name any more before it was killed.
//!
//! It tells the object file and the offset of each frame at once, and names later;
//! where the names never came, they are looked up in the object files, as long as
//! those are still here.

use std::path::Path;

use asyncwatch_findings::{Finding, Frame, SourceFiles, mark, trim};
use asyncwatch_stack::Objects;

use super::Watched;

/// Names what can be named, and blames anew.
pub(super) fn complete(processes: &mut [Watched]) {
    let mut objects = Objects::new();
    for process in processes {
        for finding in process.findings.values_mut() {
            if is_unnamed(finding) {
                name(finding, &mut objects);
            }
        }
    }
}

fn is_unnamed(finding: &Finding) -> bool {
    let mut frames = finding.stacks.iter().flat_map(|stack| &stack.frames);
    frames.any(|frame| frame.function.is_empty() && frame.module.is_some())
}

fn name(finding: &mut Finding, objects: &mut Objects) {
    for stack in &mut finding.stacks {
        stack.frames = stack
            .frames
            .drain(..)
            .flat_map(|frame| named(frame, objects))
            .collect();
        mark(&mut stack.frames);
        trim(&mut stack.frames);
    }
    finding.attribute(&SourceFiles);
    let named = finding
        .culprit
        .as_ref()
        .is_some_and(|culprit| culprit.line.is_some());
    if named {
        finding
            .notes
            .retain(|note| !note.contains("line-tables-only"));
    }
}

/// The function at the frame, and those that were inlined into it.
pub(crate) fn named(frame: Frame, objects: &mut Objects) -> Vec<Frame> {
    let symbols = match (&frame.module, frame.offset) {
        (Some(module), Some(offset)) if frame.function.is_empty() => {
            objects.resolve(Path::new(module), offset)
        }
        _ => Vec::new(),
    };
    if symbols.is_empty() {
        return vec![frame];
    }
    let inlined = symbols.len() - 1;
    symbols
        .into_iter()
        .enumerate()
        .map(|(at, symbol)| Frame {
            inlined: at < inlined,
            function: symbol.function,
            file: symbol.file.map(|file| file.display().to_string()),
            line: symbol.line,
            ..Frame::default()
        })
        .collect()
}
