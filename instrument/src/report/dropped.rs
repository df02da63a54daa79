//! A task that was dropped before it had finished, as a finding.

use std::collections::HashMap;

use asyncwatch_findings::{
    Code, Finding, Frame, Stack, aborted_or_shut_down, fingerprint, message,
};

use super::{detected, symbols::Symbols};
use crate::{
    detect::{Dropped, Source},
    settings,
    slow::TaskIdentity,
    source::SourceLine,
};

/// Why a task was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Aborted,
    ShutDown,
}

/// What the drops that left a stack said of each spawn site: as many as there are.
#[derive(Default)]
pub(super) struct Sites(HashMap<SourceLine, Why>);

/// The finding that a drop makes; `None` if it may not have been a task that was dropped.
///
/// Drops without a stack are told as the last one of their site that had one.
pub(super) fn judge(
    dropped: &Dropped,
    symbols: &mut Symbols,
    sites: &mut Sites,
) -> Option<Finding> {
    let spawned_at = dropped.task.spawned_at?;
    let mut frames = Vec::new();
    let why = match &dropped.stack {
        Some(stack) => {
            frames = symbols.resolve(stack);
            let why = why(&frames, dropped.source)?;
            sites.0.insert(spawned_at, why);
            why
        }
        None => *sites.0.get(&spawned_at)?,
    };
    asyncwatch_findings::trim(&mut frames);
    let spawner = detected::spawner(spawned_at, symbols);
    Some(finding(dropped, spawner, why, frames))
}

/// The runtime drops what is left in its shutdown; any other drop of a whole task is an
/// abort.
fn why(frames: &[Frame], source: Source) -> Option<Why> {
    let shut_down = frames.iter().any(|frame| is_shutdown(&frame.function));
    match source {
        Source::Hooks => Some(Why::ShutDown),
        _ if !aborted_or_shut_down(frames) => None,
        Source::Future if shut_down => Some(Why::ShutDown),
        Source::FutureBesideHooks if shut_down => None,
        Source::Future | Source::FutureBesideHooks => Some(Why::Aborted),
    }
}

fn is_shutdown(function: &str) -> bool {
    let tokios = function.contains("tokio::runtime") || function.contains("tokio::task::local");
    tokios && function.contains("shutdown")
}

fn finding(dropped: &Dropped, spawner: Frame, why: Why, frames: Vec<Frame>) -> Finding {
    let task = dropped.task.to_ref();
    let level = settings::level(Code::TaskDroppedPending);
    let mut finding = Finding {
        label: Some("spawned here, dropped before it finished".to_owned()),
        culprit: Some(spawner),
        stacks: stacks(frames),
        count: dropped.count,
        help: Some(help(why).to_owned()),
        notes: notes(dropped),
        ..Finding::new(
            Code::TaskDroppedPending,
            level,
            message(dropped, why),
            dropped.unix_ns,
        )
    };
    finding.fingerprint = fingerprint(finding.code, finding.culprit.as_ref(), None, Some(&task));
    finding.task = (dropped.count == 1).then_some(task);
    finding
}

fn message(dropped: &Dropped, why: Why) -> String {
    let how = match why {
        Why::Aborted => "aborted before it had finished",
        Why::ShutDown => "dropped by the shutdown of its runtime before it had finished",
    };
    let task = TaskIdentity::to_ref(dropped.task);
    let task = (task.id != 0).then_some(&task);
    format!("{} was {how}", message::task_name(task))
}

fn help(why: Why) -> &'static str {
    match why {
        Why::Aborted => {
            "if its work has to be done whole, tell it to stop (`CancellationToken`, a channel) and await its handle"
        }
        Why::ShutDown => {
            "if its work has to be done whole, await its handle, or the `JoinSet` it is in, before the runtime ends"
        }
    }
}

fn notes(dropped: &Dropped) -> Vec<String> {
    let note = match dropped.polls {
        Some(0) => "it was never polled: none of its code ran",
        Some(1) => "it had been polled once",
        Some(polls) => return vec![format!("it had been polled {polls} times")],
        None => return Vec::new(),
    };
    vec![note.to_owned()]
}

fn stacks(frames: Vec<Frame>) -> Vec<Stack> {
    if frames.is_empty() {
        return Vec::new();
    }
    vec![Stack {
        frames,
        ..Stack::default()
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(functions: &[&str]) -> Vec<Frame> {
        let frame = |function: &&str| Frame {
            function: (*function).to_owned(),
            ..Frame::default()
        };
        functions.iter().map(frame).collect()
    }

    #[test]
    fn a_shutdown_is_told_from_an_abort_and_from_a_future_that_a_task_drops() {
        let aborted = frames(&[
            "app::work::{{closure}}",
            "tokio::runtime::task::harness::cancel_task",
            "tokio::runtime::task::harness::Harness<T,S>::poll",
        ]);
        assert_eq!(why(&aborted, Source::Future), Some(Why::Aborted));
        assert_eq!(why(&aborted, Source::FutureBesideHooks), Some(Why::Aborted));
        let shut_down = frames(&[
            "tokio::runtime::task::harness::cancel_task",
            "tokio::runtime::task::harness::Harness<T,S>::shutdown",
            "tokio::runtime::task::list::OwnedTasks<S>::close_and_shutdown_all",
        ]);
        assert_eq!(why(&shut_down, Source::Future), Some(Why::ShutDown));
        let told_by_the_hooks = why(&shut_down, Source::FutureBesideHooks);
        assert_eq!(told_by_the_hooks, None);
        let lost_a_select = frames(&[
            "app::work::{{closure}}",
            "tokio::runtime::task::core::Core<T,S>::poll",
            "tokio::runtime::task::harness::Harness<T,S>::poll",
        ]);
        assert_eq!(why(&lost_a_select, Source::Future), None);
        assert_eq!(why(&[], Source::Hooks), Some(Why::ShutDown));
    }
}
