//! From the stacks of a slow poll to its culprit, its help and its fingerprint.

use std::{path::Path, time::Duration};

use crate::{
    Class, Finding, Frame, ReadSource, Stack, blame, fingerprint,
    frames::{Blame, called_at},
    help::help_at,
    lasting::lasting,
    name, source,
};

/// The stack to tell a slow poll by: of the culprit line with the most time, the
/// heaviest. `stacks` are sorted, the heaviest first; stacks without a culprit come
/// last. `None` if there are no stacks.
pub fn telling_stack(stacks: &[Stack]) -> Option<usize> {
    let culprits: Vec<Option<&Frame>> = stacks.iter().map(culprit).collect();
    let same = |a: usize, b: usize| match (culprits[a], culprits[b]) {
        (Some(a), Some(b)) => (&a.function, &a.file, a.line) == (&b.function, &b.file, b.line),
        (None, None) => true,
        _ => false,
    };
    let weight = |n: usize| -> Duration {
        (0..stacks.len())
            .filter(|&other| same(n, other))
            .map(|other| stacks[other].weight)
            .sum()
    };
    // Of equals `max_by_key` takes the last: in reverse, that is the heaviest stack.
    (0..stacks.len())
        .rev()
        .max_by_key(|&n| (culprits[n].is_some(), weight(n)))
}

/// By which stack to tell a poll, and whom it blames.
struct Told {
    stack: usize,
    blame: Blame,
    /// The culprit is a loop of many short calls.
    loops: bool,
}

/// Where a poll blocked, the line that blocked longest tells it; where it computed,
/// the innermost call that may have been one long one.
fn tell(stacks: &[Stack], class: Option<Class>, source: &dyn ReadSource) -> Option<Told> {
    let computes = class == Some(Class::Cpu);
    if let Some(found) = lasting(stacks, source).filter(|_| computes) {
        let frames = &stacks[found.stack].frames;
        return Some(Told {
            stack: found.stack,
            blame: called_at(frames, found.frame),
            loops: found.loops,
        });
    }
    let stack = telling_stack(stacks)?;
    Some(Told {
        stack,
        blame: blame(&stacks[stack].frames),
        loops: false,
    })
}

fn name_by_source(frames: &mut [Frame], source: &dyn ReadSource) {
    for frame in frames.iter_mut().filter(|frame| frame.user) {
        if !name::is_anonymous(&frame.function) {
            continue;
        }
        if let (Some(file), Some(line)) = (&frame.file, frame.line)
            && let Some(function) = source::function_around(source, Path::new(file), line)
        {
            frame.function = format!("{function}::{}", frame.function);
        }
    }
}

fn culprit(stack: &Stack) -> Option<&Frame> {
    blame(&stack.frames)
        .culprit
        .and_then(|at| stack.frames.get(at))
}

impl Finding {
    /// Sets culprit, blocking frame, help and fingerprint of a slow poll from its
    /// stacks; to be called when they are known, or known better.
    ///
    /// Async functions that debug information leaves nameless, as line tables do with
    /// inlined ones, get the name that `source` has around their line.
    pub fn attribute(&mut self, source: &dyn ReadSource) {
        if let Some(Told {
            stack,
            blame,
            loops,
        }) = tell(&self.stacks, self.class, source)
        {
            name_by_source(&mut self.stacks[stack].frames, source);
            let frames = &self.stacks[stack].frames;
            let frame = |at: Option<usize>| at.and_then(|at| frames.get(at)).cloned();
            self.culprit = frame(blame.culprit);
            self.blocking_frame = frame(blame.blocking);
            self.help = help_at(frames, blame.culprit, self.class, loops);
        }
        self.fingerprint = fingerprint(
            self.code,
            self.culprit.as_ref(),
            self.blocking_frame.as_ref(),
            self.task.as_ref(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(ms: u64, line: Option<u32>) -> Stack {
        Stack {
            weight: Duration::from_millis(ms),
            frames: line
                .map(|line| Frame {
                    function: "app::work".to_owned(),
                    file: Some("/home/me/app/src/main.rs".to_owned()),
                    line: Some(line),
                    user: true,
                    ..Frame::default()
                })
                .into_iter()
                .collect(),
            ..Stack::default()
        }
    }

    #[test]
    fn stacks_of_one_line_count_together() {
        let stacks = [stack(50, Some(1)), stack(40, Some(2)), stack(30, Some(2))];
        assert_eq!(telling_stack(&stacks), Some(1));
    }

    #[test]
    fn a_nameless_async_fn_is_named_by_its_source() {
        let mut finding: Finding = serde_json::from_value(serde_json::json!({
            "id": 1, "code": "slow-poll", "level": "warn", "message": "", "count": 1,
            "first_unix_ns": 0, "last_unix_ns": 0, "wall_ms": 300.0, "cpu_ms": 0.0,
            "blocked_ms": 300.0, "run_delay_ms": 0.0, "class": "blocked", "syscall": null,
            "culprit": null, "blocking_frame": null, "task": null, "help": null,
            "fingerprint": "",
            "stacks": [{"weight_ms": 300.0, "frames": [
                {"function": "std::thread::sleep", "file": "/rustc/0/library/std/src/thread.rs", "line": 1},
                {"function": "{async_fn#0}", "file": "/home/me/app/src/main.rs", "line": 2, "user": true},
            ]}],
        }))
        .expect("a finding");
        finding.attribute(&|_: &Path| Some("async fn back_off() {\n    sleep();\n}\n".to_owned()));
        let culprit = finding.culprit.expect("blamed");
        assert_eq!(crate::display_name(&culprit.function), "back_off");
        assert_eq!(culprit.line, Some(2));
    }

    #[test]
    fn a_stack_without_a_culprit_tells_only_if_no_other_does() {
        assert_eq!(
            telling_stack(&[stack(90, None), stack(10, Some(1))]),
            Some(1)
        );
        assert_eq!(telling_stack(&[stack(90, None), stack(10, None)]), Some(0));
        assert_eq!(telling_stack(&[]), None);
    }
}
