//! Other lines that were slow in the same poll.
//!
//! A poll is told by the line that took most of its time. Whoever mends that one only
//! meets the next: a line that alone reaches the limit before or after it, and takes a
//! good part of the poll, is a finding of its own. Lines of one loop take turns, and are
//! one.

use std::time::Duration;

use crate::{Class, Finding, Frame, ReadSource, Stack, message, telling_stack};

/// A stack that was seen of a slow poll, and the system call that it slept in.
pub type SeenStack<'a> = (&'a Stack, Option<&'a str>);

/// Lines told beside the first.
const LINES_MAX: usize = 2;
/// Of the poll's own time, such a line took one part in so many, or more.
const PART_MIN: u32 = 10;
/// Of the looks between its first and its last one, one in so many may have found another
/// line at work.
const OTHERS_MAX: usize = 10;
/// Looks that found it at work: one alone may stand for more time than was spent there.
const LOOKS_MIN: usize = 2;

/// The findings beside `main`, which tells of a slow poll that has ended; `seen` is all
/// that was seen of it.
pub fn lines_beside(
    main: &Finding,
    seen: &[SeenStack<'_>],
    source: &dyn ReadSource,
) -> Vec<Finding> {
    let mut others = Vec::new();
    if main.ongoing || main.class == Some(Class::Descheduled) {
        return others;
    }
    let own = main.cpu.unwrap_or_default() + main.blocked.unwrap_or_default();
    let least = main.limit.unwrap_or_default().max(own / PART_MIN);
    let mut rest = seen.to_vec();
    let mut told = main.culprit.clone();
    while let Some(culprit) = told.take().filter(|_| others.len() < LINES_MAX) {
        rest.retain(|(stack, _)| !has(stack, &culprit));
        let other = of_stacks(&rest, seen, main, source);
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
    rest: &[SeenStack<'_>],
    all: &[SeenStack<'_>],
    main: &Finding,
    source: &dyn ReadSource,
) -> Option<Other> {
    let mut of_rest = Finding {
        stacks: rest.iter().map(|(stack, _)| (*stack).clone()).collect(),
        ..main.clone()
    };
    of_rest.attribute(source);
    let culprit = of_rest.culprit?;
    let here: Vec<&SeenStack<'_>> = rest
        .iter()
        .filter(|(stack, _)| has(stack, &culprit))
        .collect();
    let looks: Vec<u32> = here
        .iter()
        .flat_map(|(stack, _)| &stack.seen)
        .copied()
        .collect();
    if looks.len() < LOOKS_MIN || culprit.line.is_none() || !is_a_phase(&looks, all) {
        return None;
    }
    let time = |called: bool| -> Duration {
        let alike = here
            .iter()
            .filter(|(_, syscall)| syscall.is_some() == called);
        alike.map(|(stack, _)| stack.weight).sum()
    };
    let (in_calls, computing) = (time(true), time(false));
    let class = if in_calls > computing {
        Class::Blocked
    } else {
        Class::Cpu
    };
    let stacks: Vec<Stack> = here.iter().map(|(stack, _)| (*stack).clone()).collect();
    let telling = telling_stack(&stacks).and_then(|at| here.get(at));
    let wall = in_calls + computing;
    let mut finding = Finding {
        wall: Some(wall),
        cpu: main.cpu.map(|cpu| computing.min(cpu)),
        blocked: main.blocked.map(|blocked| in_calls.min(blocked)),
        run_delay: None,
        class: Some(class),
        syscall: telling.and_then(|(_, syscall)| syscall.map(str::to_owned)),
        stacks,
        culprit: None,
        blocking_frame: None,
        help: None,
        notes: Vec::new(),
        queued_behind: None,
        waited_behind: None,
        ..main.clone()
    };
    finding.attribute(source);
    finding.message = message::slow_beside(
        finding.task.as_ref(),
        finding.worker.as_deref(),
        main.wall.unwrap_or_default(),
        wall,
        main.limit.unwrap_or_default(),
    );
    Some(Other { finding, class })
}

/// Whether hardly anything else was seen between the first and the last of `looks`.
fn is_a_phase(looks: &[u32], all: &[SeenStack<'_>]) -> bool {
    let (Some(first), Some(last)) = (looks.iter().min(), looks.iter().max()) else {
        return false;
    };
    let meanwhile = all
        .iter()
        .flat_map(|(stack, _)| &stack.seen)
        .filter(|look| (first..=last).contains(look));
    (meanwhile.count() - looks.len()) * OTHERS_MAX <= looks.len()
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
    use crate::{Code, Level, NoSource};

    fn frame(function: &str, line: u32) -> Frame {
        Frame {
            function: function.to_owned(),
            file: Some("/home/me/app/src/main.rs".to_owned()),
            line: Some(line),
            user: true,
            ..Frame::default()
        }
    }

    fn stack(ms: u64, order: &[u32], frames: Vec<Frame>) -> Stack {
        Stack {
            weight: Duration::from_millis(ms),
            frames,
            seen: order.to_vec(),
        }
    }

    #[test]
    fn a_line_counts_wherever_it_stands_on_the_stack() {
        let frames = vec![frame("app::inner", 5), frame("app::outer", 9)];
        let inner = stack(1, &[0], frames);
        assert!(has(&inner, &frame("app::outer", 9)));
        assert!(!has(&inner, &frame("app::outer", 10)));
    }

    #[test]
    fn a_line_that_alone_is_slow_is_told_beside_the_first() {
        let ms = Duration::from_millis;
        let stacks = [
            stack(60, &[0, 1, 2], vec![frame("app::load", 5)]),
            stack(40, &[3, 4], vec![frame("app::load", 6)]),
            stack(9, &[5, 6], vec![frame("app::load", 7)]),
        ];
        let main = Finding {
            wall: Some(ms(109)),
            cpu: Some(ms(109)),
            blocked: Some(Duration::ZERO),
            limit: Some(ms(20)),
            class: Some(Class::Cpu),
            culprit: Some(frame("app::load", 5)),
            ..Finding::new(Code::SlowPoll, Level::Warn, String::new(), 0)
        };
        let seen: Vec<SeenStack<'_>> = stacks.iter().map(|stack| (stack, None)).collect();
        let lines = |main: &Finding| -> Vec<Option<u32>> {
            let beside = lines_beside(main, &seen, &NoSource);
            beside
                .iter()
                .map(|finding| finding.culprit.as_ref().and_then(|frame| frame.line))
                .collect()
        };
        assert_eq!(lines(&main), [Some(6)]);
        let ongoing = Finding {
            ongoing: true,
            ..main
        };
        assert!(lines(&ongoing).is_empty());
    }

    #[test]
    fn lines_that_take_turns_are_no_phases() {
        let stacks = [
            stack(9, &[0, 1, 2, 6, 7], vec![frame("app::load", 5)]),
            stack(9, &[3, 4, 5], vec![frame("app::load", 6)]),
        ];
        let all: Vec<SeenStack<'_>> = stacks.iter().map(|stack| (stack, None)).collect();
        assert!(is_a_phase(&[3, 4, 5], &all));
        assert!(!is_a_phase(&[0, 1, 2, 6, 7], &all));
        assert!(!is_a_phase(&[], &all));
    }
}
