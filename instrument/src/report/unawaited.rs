//! A future that was dropped unpolled, as a finding, or as none.

use std::{collections::HashMap, panic::Location, path::PathBuf};

use asyncwatch_findings::{
    Code, Finding, Frame, Level, ReadSource, SourceFiles, Stack, aborted_or_shut_down, fingerprint,
    message,
};
use asyncwatch_stack::RawStack;

use super::symbols::Symbols;
use crate::{slow::TaskIdentity, source::SourceLine};

/// What one drop told, or several of one place.
#[derive(Clone, Debug)]
pub(crate) struct DroppedUnawaited {
    pub(crate) function: &'static str,
    pub(crate) defined: (&'static str, u32),
    pub(crate) made: &'static Location<'static>,
    /// How many drops this stands for.
    pub(crate) count: u64,
    /// Where it was dropped; only for the first few of a place.
    pub(crate) stack: Option<RawStack>,
    /// The task that was being polled then.
    pub(crate) task: Option<TaskIdentity>,
    /// Where it was dropped; 0 outside of any, or of several.
    pub(crate) runtime: u64,
    pub(crate) unix_ns: u64,
}

/// What the drops that left a stack said of each place.
#[derive(Default)]
pub(super) struct Places(HashMap<&'static Location<'static>, Known>);

#[derive(Default)]
struct Known {
    /// The newest mistake.
    forgotten: Option<Finding>,
    /// A drop that was none.
    excused: bool,
}

/// Places that are remembered: as many as the guards tell of.
const PLACES_MAX: usize = 1_024;

impl Places {
    fn at(&mut self, made: &'static Location<'static>) -> Option<&mut Known> {
        if self.0.len() >= PLACES_MAX && !self.0.contains_key(made) {
            return None;
        }
        Some(self.0.entry(made).or_default())
    }
}

/// Judges a drop; `None` if it is no mistake: its task was aborted or the runtime shut
/// down before its first poll, or it was made for a `select!` that another branch won, or
/// only to be measured.
///
/// Later drops of a place come without a stack; they count only where all that came
/// with one were mistakes.
pub(super) fn judge(
    dropped: &DroppedUnawaited,
    symbols: &mut Symbols,
    places: &mut Places,
    level: Level,
) -> Option<Finding> {
    let known = places.at(dropped.made)?;
    let Some(stack) = &dropped.stack else {
        let forgotten = known.forgotten.clone().filter(|_| !known.excused)?;
        return Some(Finding {
            count: dropped.count,
            last_unix_ns: dropped.unix_ns,
            ..forgotten
        });
    };
    let mut frames = symbols.resolve(stack);
    let aborted = aborted_or_shut_down(&frames);
    asyncwatch_findings::trim(&mut frames);
    skip_our_own(&mut frames);
    if aborted || super::select::need_not_be_polled(dropped.made, path_of_making(dropped, &frames))
    {
        known.excused = true;
        return None;
    }
    known.forgotten = Some(finding(dropped, frames, level));
    known.forgotten.clone()
}

/// The full path of the file that made the future, if a frame of the drop tells it.
fn path_of_making<'f>(dropped: &DroppedUnawaited, frames: &'f [Frame]) -> Option<&'f str> {
    frames
        .iter()
        .filter_map(|frame| frame.file.as_deref())
        .find(|file| file.ends_with(dropped.made.file()))
}

/// Whether the place that is said to have made it is where its function is defined: it
/// bears an attribute, or the function's name after `fn`.
fn is_definition(dropped: &DroppedUnawaited, frames: &[Frame]) -> bool {
    let made = dropped.made;
    if (made.file(), made.line()) == dropped.defined {
        return true;
    }
    let path = path_of_making(dropped, frames).map_or_else(
        || super::detected::source_path(made.file(), ""),
        PathBuf::from,
    );
    let Some(source) = SourceFiles.read(&path) else {
        return false;
    };
    let line = source.lines().nth(made.line() as usize - 1);
    let line = line.unwrap_or_default().trim_start();
    let name = dropped.function.rsplit("::").next().unwrap_or_default();
    let declares = |at: usize| {
        let after = line[at + "fn ".len() + name.len()..].chars().next();
        !after.is_some_and(|c| c.is_alphanumeric() || c == '_')
    };
    let declaration = line.find(&format!("fn {name}"));
    line.starts_with("#[") || declaration.is_some_and(declares)
}

/// The innermost frames are the guard's own.
fn skip_our_own(frames: &mut Vec<Frame>) {
    if let Some(first) = frames.iter().position(|frame| frame.user) {
        frames.drain(..first);
    }
}

fn finding(dropped: &DroppedUnawaited, frames: Vec<Frame>, level: Level) -> Finding {
    let dropper = frames.first().filter(|frame| frame.user).cloned();
    // Called through a trait object, a function does not learn by whom: what it takes for
    // its caller is its own definition.
    let unknown = is_definition(dropped, &frames);
    let known_dropper = dropper
        .clone()
        .filter(|frame| unknown && frame.line.is_some());
    let mut finding = Finding {
        label: known_dropper
            .as_ref()
            .map(|_| "dropped here, never awaited".to_owned()),
        culprit: known_dropper.or_else(|| Some(culprit(dropped, dropper.as_ref()))),
        blocking_frame: dropped_at(dropped, dropper.as_ref()).filter(|_| !unknown),
        task: dropped.task.map(TaskIdentity::to_ref),
        stacks: stacks(frames),
        help: Some("await it, spawn it, or do not make it".to_owned()),
        ..Finding::new(
            Code::NeverAwaited,
            level,
            message::never_awaited(dropped.function),
            dropped.unix_ns,
        )
    };
    finding.notes = notes(dropped);
    finding.fingerprint = fingerprint(
        finding.code,
        finding.culprit.as_ref(),
        None,
        finding.task.as_ref(),
    );
    finding
}

/// The place that made it; named by the function that dropped it, if that is where.
fn culprit(dropped: &DroppedUnawaited, dropper: Option<&Frame>) -> Frame {
    let made = SourceLine::from(dropped.made).to_location();
    let dropper =
        dropper.filter(|frame| path_of_making(dropped, std::slice::from_ref(frame)).is_some());
    Frame {
        function: dropper.map_or_else(
            || dropped.function.to_owned(),
            |frame| frame.function.clone(),
        ),
        file: Some(
            dropper
                .and_then(|frame| frame.file.clone())
                .unwrap_or(made.file),
        ),
        line: Some(made.line),
        user: true,
        ..Frame::default()
    }
}

fn stacks(frames: Vec<Frame>) -> Vec<Stack> {
    if frames.is_empty() {
        return Vec::new();
    }
    vec![Stack {
        weight: std::time::Duration::ZERO,
        frames,
        ..Stack::default()
    }]
}

/// Where it was dropped, if that is another place than where it was made.
fn dropped_at(dropped: &DroppedUnawaited, dropper: Option<&Frame>) -> Option<Frame> {
    dropper
        .filter(|frame| frame.line.is_some() && frame.line != Some(dropped.made.line()))
        .cloned()
}

fn notes(dropped: &DroppedUnawaited) -> Vec<String> {
    let (file, line) = dropped.defined;
    vec![format!(
        "`{}` is defined at {file}:{line}",
        dropped.function
    )]
}
