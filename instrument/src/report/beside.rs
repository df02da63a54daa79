//! Other lines that were slow in the same poll.
//!
//! A poll is told by the line that took most of its time. Whoever mends that one only
//! meets the next: a line that alone reaches the limit before or after it, and takes a
//! good part of the poll, is a finding of its own. Lines of one loop take turns, and are
//! one.

use std::time::Duration;

use asyncwatch_findings::{Class, Finding, Frame, SourceFiles, Stack, message, telling_stack};

use super::episodes::{Episode, Seen};
use crate::watchdog::{PollReport, Stage};

/// Lines told beside the first.
const LINES_MAX: usize = 2;
/// Of the poll's own time, such a line took one part in so many, or more.
const PART_MIN: u32 = 10;
/// Of the looks between its first and its last one, one in so many may have found another
/// line at work.
const OTHERS_MAX: usize = 10;
/// Looks that found it at work: one alone may stand for more time than was spent there.
const LOOKS_MIN: usize = 2;

/// The findings beside `main`, which tells of the poll that `report` says has ended.
pub(super) fn lines(report: &PollReport, episode: &Episode, main: &Finding) -> Vec<Finding> {
    let mut others = Vec::new();
    if report.stage != Stage::End || main.class == Some(Class::Descheduled) {
        return others;
    }
    let own = report.verdict.cpu + report.verdict.blocked;
    let least = report.limit.max(own / PART_MIN);
    let mut rest: Vec<&Seen> = episode.stacks.iter().collect();
    let mut told = main.culprit.clone();
    while let Some(culprit) = told.take().filter(|_| others.len() < LINES_MAX) {
        rest.retain(|seen| !has(&seen.stack, &culprit));
        let other = of_stacks(&rest, episode, report, main);
        if let Some(other) = other.filter(|other| other.own() >= least) {
            told = other.finding.culprit.clone();
            others.push(other.finding);
        }
    }
    others
}

/// A finding, with the time that is the program's.
struct Other {
    finding: Finding,
    class: Class,
}

impl Other {
    fn own(&self) -> Duration {
        match self.class {
            Class::Blocked => self.finding.blocked,
            _ => self.finding.cpu,
        }
        .unwrap_or_default()
    }
}

fn of_stacks(
    rest: &[&Seen],
    episode: &Episode,
    report: &PollReport,
    main: &Finding,
) -> Option<Other> {
    let all: Vec<Stack> = rest.iter().map(|seen| seen.stack.clone()).collect();
    let culprit = Finding {
        stacks: all,
        ..main.clone()
    };
    let culprit = attributed(culprit).culprit?;
    let here: Vec<&&Seen> = rest
        .iter()
        .filter(|seen| has(&seen.stack, &culprit))
        .collect();
    let looks: Vec<u32> = here
        .iter()
        .flat_map(|seen| &seen.stack.seen)
        .copied()
        .collect();
    if looks.len() < LOOKS_MIN || culprit.line.is_none() || !is_a_phase(&looks, &episode.stacks) {
        return None;
    }
    let time = |called: bool| -> Duration {
        let alike = here.iter().filter(|seen| seen.syscall.is_some() == called);
        alike.map(|seen| seen.stack.weight).sum()
    };
    let (in_calls, computing) = (time(true), time(false));
    let class = if in_calls > computing {
        Class::Blocked
    } else {
        Class::Cpu
    };
    let stacks: Vec<Stack> = here.iter().map(|seen| seen.stack.clone()).collect();
    let telling = telling_stack(&stacks).and_then(|at| here.get(at));
    let wall = in_calls + computing;
    let finding = attributed(Finding {
        wall: Some(wall),
        cpu: Some(computing.min(report.verdict.cpu)),
        blocked: Some(in_calls.min(report.verdict.blocked)),
        run_delay: None,
        class: Some(class),
        syscall: telling.and_then(|seen| seen.syscall.clone()),
        stacks,
        culprit: None,
        blocking_frame: None,
        help: None,
        notes: Vec::new(),
        queued_behind: None,
        waited_behind: None,
        ..main.clone()
    });
    let message = message::slow_beside(
        finding.task.as_ref(),
        finding.worker.as_deref(),
        report.wall,
        wall,
        report.limit,
    );
    Some(Other {
        finding: Finding { message, ..finding },
        class,
    })
}

/// Whether hardly anything else was seen between the first and the last of `looks`.
fn is_a_phase(looks: &[u32], all: &[Seen]) -> bool {
    let (Some(first), Some(last)) = (looks.iter().min(), looks.iter().max()) else {
        return false;
    };
    let meanwhile = all
        .iter()
        .flat_map(|seen| &seen.stack.seen)
        .filter(|look| (first..=last).contains(look));
    (meanwhile.count() - looks.len()) * OTHERS_MAX <= looks.len()
}

fn attributed(mut finding: Finding) -> Finding {
    finding.attribute(&SourceFiles);
    finding
}

/// Whether the line of `culprit` is on the stack.
fn has(stack: &Stack, culprit: &Frame) -> bool {
    let same =
        |frame: &Frame| frame.user && frame.line == culprit.line && frame.file == culprit.file;
    stack.frames.iter().any(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str, line: u32) -> Frame {
        Frame {
            function: function.to_owned(),
            file: Some("/home/me/app/src/main.rs".to_owned()),
            line: Some(line),
            user: true,
            ..Frame::default()
        }
    }

    fn seen(ms: u64, order: &[u32], frames: Vec<Frame>) -> Seen {
        Seen {
            stack: Stack {
                weight: Duration::from_millis(ms),
                frames,
                seen: order.to_vec(),
            },
            syscall: None,
        }
    }

    #[test]
    fn a_line_counts_wherever_it_stands_on_the_stack() {
        let inner = seen(
            1,
            &[0],
            vec![frame("app::inner", 5), frame("app::outer", 9)],
        );
        assert!(has(&inner.stack, &frame("app::outer", 9)));
        assert!(!has(&inner.stack, &frame("app::outer", 10)));
    }

    #[test]
    fn lines_that_take_turns_are_no_phases() {
        let all = [
            seen(9, &[0, 1, 2, 6, 7], vec![frame("app::load", 5)]),
            seen(9, &[3, 4, 5], vec![frame("app::load", 6)]),
        ];
        assert!(is_a_phase(&[3, 4, 5], &all));
        assert!(!is_a_phase(&[0, 1, 2, 6, 7], &all));
        assert!(!is_a_phase(&[], &all));
    }
}
