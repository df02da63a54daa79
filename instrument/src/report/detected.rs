//! What a detector found, on its way to being a finding.
//!
//! Detectors hand in facts and raw stacks; names are looked up on the reporter's
//! thread.

use std::time::Duration;

use asyncwatch_findings::{Code, Finding, Frame, SourceFiles, Stack, fingerprint, function_around};
use asyncwatch_stack::RawStack;

use super::symbols::Symbols;
use crate::{clock, settings, slow::TaskIdentity, source::SourceLine};

/// One occurrence of a problem.
#[derive(Clone, Debug)]
pub(crate) struct Detected {
    pub(crate) code: Code,
    /// One sentence with the facts.
    pub(crate) message: String,
    /// What happens at the culprit's line, in a few words.
    pub(crate) label: Option<String>,
    pub(crate) place: Place,
    pub(crate) task: Option<TaskIdentity>,
    pub(crate) worker: Option<String>,
    /// With the time each stands for; the telling one first.
    pub(crate) stacks: Vec<(Duration, RawStack)>,
    pub(crate) wall: Option<Duration>,
    pub(crate) queued_behind: Option<u64>,
    pub(crate) help: Option<String>,
    pub(crate) notes: Vec<String>,
    pub(crate) unix_ns: u64,
    /// How many occurrences this stands for.
    pub(crate) count: u64,
}

/// Where the fault is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// Where the first stack says; nowhere, if there is none.
    Stack,
    /// At this line, in the function around it.
    At(SourceLine),
    /// In this function, which begins in `file` at `line`.
    Function {
        name: &'static str,
        file: &'static str,
        line: u32,
    },
    /// At the declaration of a variable of this function.
    Variable {
        function: String,
        file: String,
        line: u32,
    },
}

impl Detected {
    /// An occurrence now, of which nothing else is known.
    pub(crate) fn new(code: Code, message: impl Into<String>, place: Place) -> Detected {
        Detected {
            code,
            message: message.into(),
            label: None,
            place,
            task: None,
            worker: None,
            stacks: Vec::new(),
            wall: None,
            queued_behind: None,
            help: None,
            notes: Vec::new(),
            unix_ns: clock::now_unix_ns(),
            count: 1,
        }
    }

    /// The finding, with names looked up.
    pub(super) fn into_finding(self, symbols: &mut Symbols) -> Finding {
        let stacks: Vec<Stack> = self
            .stacks
            .iter()
            .map(|(weight, raw)| stack(*weight, raw, symbols))
            .collect();
        let level = settings::level(self.code);
        let mut finding = Finding {
            label: self.label,
            task: self.task.map(TaskIdentity::to_ref),
            worker: self.worker,
            wall: self.wall,
            queued_behind: self.queued_behind,
            stacks,
            count: self.count,
            ..Finding::new(self.code, level, self.message, self.unix_ns)
        };
        // Sets culprit and help from the stacks.
        finding.attribute(&SourceFiles);
        if let Some(frame) = culprit(self.place, &finding.stacks) {
            finding.culprit = Some(frame);
            finding.blocking_frame = None;
        }
        finding.help = self.help.or(finding.help);
        finding.notes = self.notes;
        finding.fingerprint = fingerprint(
            finding.code,
            finding.culprit.as_ref(),
            finding.blocking_frame.as_ref(),
            finding.task.as_ref(),
        );
        finding
    }
}

fn stack(weight: Duration, raw: &RawStack, symbols: &mut Symbols) -> Stack {
    let mut frames = symbols.resolve(raw);
    asyncwatch_findings::trim(&mut frames);
    Stack {
        weight,
        frames,
        ..Stack::default()
    }
}

/// The frame that `place` names; one of the stack's, if that has the very line.
fn culprit(place: Place, stacks: &[Stack]) -> Option<Frame> {
    let (function, file, line) = match place {
        Place::Stack => return None,
        Place::At(at) => {
            let at = at.to_location();
            let around = function_around(&SourceFiles, at.file.as_ref(), at.line);
            (around.unwrap_or_default(), at.file, at.line)
        }
        Place::Function { name, file, line } => (name.to_owned(), file.to_owned(), line),
        Place::Variable {
            function,
            file,
            line,
        } => (function, file, line),
    };
    let same = |frame: &&Frame| {
        frame.line == Some(line) && frame.file.as_ref().is_some_and(|f| f.ends_with(&file))
    };
    let known = stacks.iter().flat_map(|stack| &stack.frames).find(same);
    Some(known.cloned().unwrap_or(Frame {
        function,
        file: Some(file),
        line: Some(line),
        user: true,
        ..Frame::default()
    }))
}
