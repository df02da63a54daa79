//! What a detector found, on its way to being a finding.
//!
//! Detectors hand in facts and raw stacks; names are looked up on the reporter's
//! thread.

use std::{path::PathBuf, time::Duration};

use asyncwatch_findings::{
    Careless, Code, Finding, Frame, Level, Owner, SourceFiles, Stack, blame, careless_pending,
    display_name, fingerprint, function_around, owner, waits_for_ever,
};
use asyncwatch_stack::{RawStack, source_file};

use super::symbols::Symbols;
use crate::{clock, registry::sites, settings, slow::TaskIdentity, source::SourceLine};

/// One occurrence of a problem.
#[derive(Clone, Debug)]
pub(crate) struct Detected {
    pub(crate) code: Code,
    /// One sentence with the facts.
    pub(crate) message: String,
    /// What happens at the culprit's line, in a few words.
    pub(crate) label: Option<String>,
    pub(crate) place: Place,
    /// Where the fault is if no stack says it.
    pub(crate) otherwise: Option<SourceLine>,
    pub(crate) task: Option<TaskIdentity>,
    /// Where it was seen, if that is not where the task is; 0 if not known.
    pub(crate) runtime: u64,
    pub(crate) worker: Option<String>,
    /// With the time each stands for; the telling one first.
    pub(crate) stacks: Vec<(Duration, RawStack)>,
    pub(crate) wall: Option<Duration>,
    pub(crate) queued_behind: Option<u64>,
    pub(crate) help: Option<String>,
    pub(crate) notes: Vec<String>,
    /// Notes that end with the place a stack tells, as in "it awaits at src/main.rs:5".
    pub(crate) traced: Vec<(String, RawStack)>,
    /// Says of a traced stack that nothing is wrong after all.
    pub(crate) excused_by: Option<fn(&[Frame]) -> bool>,
    pub(crate) unix_ns: u64,
    /// How many occurrences this stands for.
    pub(crate) count: u64,
    /// What has to hold for it to be a finding, where only names and sources tell.
    pub(crate) only_if: Option<OnlyIf>,
}

/// A condition that takes the reporter to check.
#[derive(Clone, Debug)]
pub(crate) enum OnlyIf {
    /// The names on this stack, innermost first, say so.
    Frames(RawStack, fn(&[Frame]) -> bool),
    /// The function or statement at this line does not wait for ever on purpose.
    EndsSomeDay {
        /// Its path, or empty.
        function: &'static str,
        file: &'static str,
        line: u32,
    },
}

impl OnlyIf {
    fn holds(&self, symbols: &mut Symbols) -> bool {
        match self {
            OnlyIf::Frames(stack, hold) => hold(&symbols.resolve(stack)),
            OnlyIf::EndsSomeDay {
                function,
                file,
                line,
            } => {
                let path = source_path(file, krate(function));
                !waits_for_ever(&SourceFiles, &path, *line)
            }
        }
    }
}

/// Where a file lies by its path as the compiler knew it, in the crate `krate` if that is
/// not empty: relative to where that was compiled or, if nobody knows, to a directory that
/// is this one or, as in the tests of a workspace, one above.
pub(super) fn source_path(file: &str, krate: &str) -> PathBuf {
    let near = || {
        let here = std::env::current_dir().unwrap_or_default();
        let mut near = here.ancestors().map(|directory| directory.join(file));
        near.find(|path| path.is_file())
    };
    source_file(file, krate)
        .or_else(near)
        .unwrap_or_else(|| PathBuf::from(file))
}

/// The crate of a function.
pub(super) fn krate(function: &str) -> &str {
    function.split("::").next().unwrap_or(function)
}

/// Where the fault is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// Where the first stack says, or else [`Detected::otherwise`].
    Stack,
    /// At this line, in the function around it.
    At(SourceLine),
    /// In this function, which begins in `file` at `line`.
    Function {
        name: &'static str,
        file: &'static str,
        line: u32,
    },
    /// Where something that this function awaits returns `Pending` without keeping the
    /// waker, if the source tells; else as [`Place::Function`].
    Forgetful {
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
            otherwise: None,
            task: None,
            runtime: 0,
            worker: None,
            stacks: Vec::new(),
            wall: None,
            queued_behind: None,
            help: None,
            notes: Vec::new(),
            traced: Vec::new(),
            excused_by: None,
            unix_ns: clock::now_unix_ns(),
            count: 1,
            only_if: None,
        }
    }

    /// Where it was seen; 0 if that is not known.
    pub(super) fn runtime(&self) -> u64 {
        match self.runtime {
            0 => self.task.map_or(0, |task| task.runtime),
            known => known,
        }
    }

    /// The finding, with names looked up; `None` if those say that it is none.
    pub(super) fn into_finding(self, symbols: &mut Symbols) -> Option<Finding> {
        if self.only_if.is_some_and(|only_if| !only_if.holds(symbols)) {
            return None;
        }
        let traced = self.traced.iter().map(|(_, raw)| symbols.resolve(raw));
        let traced: Vec<Vec<Frame>> = traced.collect();
        if let Some(excused) = self.excused_by
            && traced.iter().any(|frames| excused(frames))
        {
            return None;
        }
        let blamed = self
            .stacks
            .first()
            .and_then(|(_, raw)| blamed(&symbols.resolve(raw)));
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
        // A stack that was cut no longer tells a nested `block_on` from that of the root.
        finding.culprit = finding.culprit.or(blamed);
        let place = match (self.place, self.otherwise) {
            (Place::Stack, Some(at)) if finding.culprit.is_none() => Place::At(at),
            (place, _) => place,
        };
        finding.notes = self.notes;
        if let Some(frame) =
            forgetful(&place, &mut finding).or(culprit(place, &finding.stacks, symbols))
        {
            finding.culprit = Some(frame);
            finding.blocking_frame = None;
        }
        if self.code == Code::PanicUnobserved {
            // That a panic was in std says nothing.
            finding.blocking_frame = None;
        }
        finding.help = self.help.or(finding.help);
        let words = self.traced.into_iter().map(|(words, _)| words);
        for (words, frames) in words.zip(traced) {
            finding.notes.extend(note(&words, frames));
        }
        finding.notes.dedup();
        finding.fingerprint = fingerprint(
            finding.code,
            finding.culprit.as_ref(),
            finding.blocking_frame.as_ref(),
            finding.task.as_ref(),
        );
        Some(finding)
    }
}

/// The `poll` that [`Place::Forgetful`] asks for; says in the finding what was read there.
fn forgetful(place: &Place, finding: &mut Finding) -> Option<Frame> {
    let &Place::Forgetful { name, file, line } = place else {
        return None;
    };
    let krate = krate(name);
    let path = source_path(file, krate);
    let Careless { function, line: at } = careless_pending(&SourceFiles, &path, line)?;
    finding.label = Some("returns `Pending` without keeping the waker".to_owned());
    finding
        .notes
        .push(format!("awaited in `{name}`, defined at {file}:{line}"));
    Some(Frame {
        function: format!("{krate}::{function}"),
        file: Some(path.to_string_lossy().into_owned()),
        line: Some(at),
        user: true,
        ..Frame::default()
    })
}

fn blamed(frames: &[Frame]) -> Option<Frame> {
    blame(frames).culprit.and_then(|at| frames.get(at)).cloned()
}

/// `words`, with the place in the user's own code that the stack tells.
fn note(words: &str, frames: Vec<Frame>) -> Option<String> {
    let mut told = Finding::new(Code::SlowPoll, Level::Allow, "", 0);
    told.stacks.push(Stack {
        frames,
        ..Stack::default()
    });
    told.attribute(&SourceFiles);
    let place = told.culprit?;
    let (file, line) = (place.file?, place.line?);
    let function = display_name(&place.function);
    Some(format!("{words} at {file}:{line} in `{function}`"))
}

fn stack(weight: Duration, raw: &RawStack, symbols: &mut Symbols) -> Stack {
    let mut frames = symbols.resolve(raw);
    asyncwatch_findings::trim(&mut frames);
    skip_our_own(&mut frames);
    Stack {
        weight,
        frames,
        ..Stack::default()
    }
}

/// Where the thread itself took its stack, the innermost frames are ours.
fn skip_our_own(frames: &mut Vec<Frame>) {
    let ours = |frame: &Frame| owner(&frame.function, frame.file.as_deref()) == Owner::Asyncwatch;
    let first = frames.iter().position(|frame| !ours(frame));
    if frames.first().is_some_and(ours) {
        frames.drain(..first.unwrap_or(0));
    }
}

/// The frame that spawned at `at`, where a stack of that is known; else the function
/// that the source has around the line.
pub(super) fn spawner(at: SourceLine, symbols: &mut Symbols) -> Frame {
    let (file, line) = (at.file(), Some(at.line()));
    let same = |frame: &Frame| {
        frame.line == line && frame.file.as_ref().is_some_and(|path| path.ends_with(file))
    };
    let known =
        sites::first_spawns(at).find_map(|stack| symbols.resolve(stack).into_iter().find(same));
    known.unwrap_or_else(|| {
        let path = source_path(file, "");
        let around = function_around(&SourceFiles, &path, at.line());
        Frame {
            function: around.unwrap_or_default(),
            file: Some(path.to_string_lossy().into_owned()),
            line,
            user: true,
            ..Frame::default()
        }
    })
}

/// The frame that `place` names; one of the stack's, if that has the very line.
fn culprit(place: Place, stacks: &[Stack], symbols: &mut Symbols) -> Option<Frame> {
    let (function, file, line) = match place {
        Place::Stack => return None,
        Place::At(at) => return Some(spawner(at, symbols)),
        Place::Function { name, file, line } | Place::Forgetful { name, file, line } => {
            (name.to_owned(), file.to_owned(), line)
        }
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
    if let Some(known) = known {
        return Some(known.clone());
    }
    let path = source_path(&file, krate(&function));
    Some(Frame {
        function,
        file: Some(path.to_string_lossy().into_owned()),
        line: Some(line),
        user: true,
        ..Frame::default()
    })
}
