//! Which function went on while what it called came and went.
//!
//! A loop of many short calls has no hot call: the samples of its poll lie all over
//! the functions it calls, and the innermost of the user's own is the one that
//! happened to run most. What tells the loop is the order of the samples. A call
//! that was seen, then was not, then was seen again while its caller went on must
//! have returned in between, so it was made several times, and the caller's line is
//! the one to look at. A call that was seen all along may have been one long call:
//! the search goes on inside it.

use std::{path::Path, time::Duration};

use crate::{
    Frame, ReadSource, Stack,
    frames::{is_derived, poll_end},
    help::is_known_slow,
    name::{display_name, is_anonymous},
    source::span_of,
};

/// The frame that the computing of a poll leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lasting {
    /// The stack to tell it by, and the frame in it.
    pub(crate) stack: usize,
    pub(crate) frame: usize,
    /// What it called was called many times over.
    pub(crate) loops: bool,
}

/// Times that an inlined call must have been away, and one sample in how many: single
/// instructions of it may be told as its caller's. So may a known slow function be away
/// now and then in earnest, and still be what takes the time.
const ABSENCES_MIN: usize = 3;
const SAMPLES_PER_AWAY_MAX: usize = 20;
/// Samples per absence: more of them are a phase of its own, such as another long
/// call in the same function.
const ABSENCE_SAMPLES_MAX: usize = 2;

/// Looks for it in the samples of one poll; `None` where their order is not known,
/// or none of them has a frame of the user's.
pub(crate) fn lasting(stacks: &[Stack], source: &dyn ReadSource) -> Option<Lasting> {
    let samples = samples(stacks);
    let mut here = heaviest(&samples, |sample| sample.function(0).map(Function::of))?;
    for depth in 0.. {
        let line = heaviest(&here, |sample| sample.function(depth)?.line.map(Some))
            .or_else(|| heaviest(&here, |sample| sample.function(depth).map(|_| None::<u32>)))?;
        let calls = heaviest(&line, |sample| sample.function(depth + 1).map(Function::of));
        let found = |loops| {
            let telling = line.iter().max_by_key(|sample| sample.stack_weight)?;
            Some(Lasting {
                stack: telling.stack,
                frame: telling.frames[depth],
                loops,
            })
        };
        let Some(call) = calls.filter(|call| weight(call) * 2 >= weight(&line)) else {
            return turns_with(&line, &here, depth).or_else(|| found(false));
        };
        if came_and_went(&call, &line, &here, depth) || began_anew(&call, depth + 1, source) {
            return found(true);
        }
        here = call;
    }
    None
}

/// One sample: its user frames, and where it stands among the others.
#[derive(Clone, Debug)]
struct Sample<'a> {
    order: u32,
    weight: Duration,
    stack: usize,
    stack_weight: Duration,
    all: &'a [Frame],
    /// The user's, outermost first, as indices into `all`.
    frames: Vec<usize>,
}

impl<'a> Sample<'a> {
    fn function(&self, depth: usize) -> Option<&'a Frame> {
        self.frames.get(depth).map(|&at| &self.all[at])
    }
}

/// A function, whatever line of it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Function<'a>(&'a str, Option<&'a str>);

impl<'a> Function<'a> {
    fn of(frame: &'a Frame) -> Function<'a> {
        Function(&frame.function, frame.file.as_deref())
    }
}

/// In the order they were taken.
fn samples(stacks: &[Stack]) -> Vec<Sample<'_>> {
    let mut samples: Vec<Sample<'_>> = Vec::new();
    for (at, stack) in stacks.iter().enumerate() {
        let poll = &stack.frames[..poll_end(&stack.frames).unwrap_or(stack.frames.len())];
        let frames: Vec<usize> = (0..poll.len())
            .rev()
            .filter(|&at| poll[at].user && !is_derived(poll, at))
            .collect();
        let count = u32::try_from(stack.seen.len()).unwrap_or(u32::MAX).max(1);
        samples.extend(stack.seen.iter().map(|&order| Sample {
            order,
            weight: stack.weight / count,
            stack: at,
            stack_weight: stack.weight,
            all: poll,
            frames: frames.clone(),
        }));
    }
    samples.sort_by_key(|sample| sample.order);
    samples
}

fn weight(samples: &[Sample<'_>]) -> Duration {
    samples.iter().map(|sample| sample.weight).sum()
}

/// The samples with the same `key` that weigh most, in order; those without one
/// count for nothing.
fn heaviest<'a, K: PartialEq>(
    samples: &[Sample<'a>],
    key: impl Fn(&Sample<'a>) -> Option<K>,
) -> Option<Vec<Sample<'a>>> {
    let mut groups: Vec<(K, Vec<Sample<'a>>)> = Vec::new();
    for sample in samples {
        let Some(key) = key(sample) else { continue };
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, group)) => group.push(sample.clone()),
            None => groups.push((key, vec![sample.clone()])),
        }
    }
    // Of equals the first: `max_by_key` takes the last.
    let heaviest = groups
        .into_iter()
        .rev()
        .max_by_key(|(_, group)| weight(group));
    heaviest.map(|(_, group)| group)
}

/// In a loop that spends about as much in a library's function as in one of the user's,
/// the user's call, which can be changed: other than this `line`, which took its turns
/// with it several times.
fn turns_with(line: &[Sample<'_>], here: &[Sample<'_>], depth: usize) -> Option<Lasting> {
    let calls = |sample: &Sample<'_>| {
        sample.function(depth + 1)?;
        sample.function(depth)?.line
    };
    let other = heaviest(here, calls)?;
    let at = |samples: &[Sample<'_>]| samples.first()?.function(depth)?.line;
    if at(&other) == at(line) {
        return None;
    }
    let orders = |samples: &[Sample<'_>]| samples.iter().map(|sample| sample.order).collect();
    let (line_seen, other_seen): (Vec<u32>, Vec<u32>) = (orders(line), orders(&other));
    let mut seen: Vec<(u32, bool)> = (line_seen.iter().map(|&order| (order, false)))
        .chain(other_seen.iter().map(|&order| (order, true)))
        .collect();
    seen.sort_unstable();
    let turns = seen.windows(2).filter(|pair| pair[0].1 != pair[1].1);
    if turns.count() < 2 * ABSENCES_MIN || weight(&other) * 2 < weight(line) {
        return None;
    }
    let telling = other.iter().max_by_key(|sample| sample.stack_weight)?;
    Some(Lasting {
        stack: telling.stack,
        frame: telling.frames[depth],
        loops: true,
    })
}

/// Whether `call` was away several times and briefly, while its caller was `here`.
///
/// A sample on the very `line` of the call, in the caller at `depth` itself, may be
/// part of the call: what optimised code tells of inlined functions has such holes.
fn came_and_went(
    call: &[Sample<'_>],
    line: &[Sample<'_>],
    here: &[Sample<'_>],
    depth: usize,
) -> bool {
    let is_in = |samples: &[Sample<'_>], order| {
        samples
            .binary_search_by_key(&order, |sample| sample.order)
            .is_ok()
    };
    let is_hole = |sample: &Sample<'_>| {
        sample.frames.get(depth) == Some(&0)
            && is_in(line, sample.order)
            && !is_in(call, sample.order)
    };
    let (Some(first), Some(last)) = (call.first(), call.last()) else {
        return false;
    };
    let (mut absences, mut away, mut was_away) = (0, 0, false);
    for sample in here {
        let order = sample.order;
        if order < first.order || order > last.order || is_hole(sample) {
            continue;
        }
        let is_away = !is_in(call, order);
        away += usize::from(is_away);
        absences += usize::from(is_away && !was_away);
        was_away = is_away;
    }
    let is_enough = if needs_many(call, depth + 1) {
        absences >= ABSENCES_MIN && away * SAMPLES_PER_AWAY_MAX >= here.len()
    } else {
        absences > 0
    };
    is_enough && away <= absences * ABSENCE_SAMPLES_MAX
}

/// Whether the function at `depth` was seen in its last line and later in an earlier one,
/// or in its first line after another: nothing else comes after the one or before the
/// other within one call. Inlined code knows no such order; and unoptimised code tells
/// some single instruction of a loop, such as its way back, as the first line's, which is
/// then seen far more rarely than the beginning of a function that is called all the time.
fn began_anew(call: &[Sample<'_>], depth: usize, source: &dyn ReadSource) -> bool {
    let lines = || {
        let frames = call.iter().filter_map(|sample| sample.function(depth));
        frames.filter_map(|frame| frame.line)
    };
    let Some(frame) = call.first().and_then(|sample| sample.function(depth)) else {
        return false;
    };
    let (Some(file), Some(line)) = (&frame.file, lines().max()) else {
        return false;
    };
    if frame.inlined || is_anonymous(&frame.function) || lines().min() == Some(line) {
        return false;
    }
    let name = display_name(&frame.function);
    let name = name.rsplit("::").next().unwrap_or(&name);
    let Some((first, last)) = span_of(source, Path::new(file), line, name) else {
        return false;
    };
    let pairs = || lines().zip(lines().skip(1));
    let ended = pairs().any(|(before, after)| before == last && after < last);
    let begun = pairs().filter(|&(before, after)| after == first && before > first);
    let begun = begun.count() * SAMPLES_PER_AWAY_MAX;
    first < last && (ended || begun > 0 && begun >= call.len())
}

/// Whether the call at `depth` is inlined, or leads to a function that is known to be
/// slow, in most samples.
fn needs_many(call: &[Sample<'_>], depth: usize) -> bool {
    let of_many = |sample: &&Sample<'_>| {
        let inlined = sample.function(depth).is_some_and(|frame| frame.inlined);
        let called = sample
            .frames
            .last()
            .map_or(&[][..], |&at| &sample.all[..at]);
        inlined || is_known_slow(called)
    };
    call.iter().filter(of_many).count() * 2 > call.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::tests::parse;

    /// One letter per sample; each stands for a stack.
    fn check(order: &str, letters: &[(char, &str)]) -> Option<(u32, bool)> {
        told(&stacks(order, letters))
    }

    fn told(stacks: &[Stack]) -> Option<(u32, bool)> {
        let lasting = lasting(stacks, &|_: &Path| None)?;
        let frame = &stacks[lasting.stack].frames[lasting.frame];
        Some((frame.line.expect("a line"), lasting.loops))
    }

    fn stacks(order: &str, letters: &[(char, &str)]) -> Vec<Stack> {
        letters
            .iter()
            .map(|&(letter, text)| {
                let seen: Vec<u32> = order
                    .char_indices()
                    .filter(|&(_, sample)| sample == letter)
                    .map(|(at, _)| at as u32)
                    .collect();
                Stack {
                    weight: Duration::from_millis(2) * seen.len() as u32,
                    frames: parse(text),
                    seen,
                }
            })
            .collect()
    }

    const HANDLE: &str = "core::hash::impls::hash | /rustc/1/library/core/src/hash/mod.rs:9\n\
        app::handle_packet | /home/me/app/src/main.rs:20\n\
        app::dispatch_loop::{async_fn#0} | /home/me/app/src/main.rs:27";
    const HANDLE_ELSEWHERE: &str = "app::handle_packet | /home/me/app/src/main.rs:19\n\
        app::dispatch_loop::{async_fn#0} | /home/me/app/src/main.rs:27";
    const NEXT: &str = "futures_channel::mpsc::next | /home/me/.cargo/registry/src/i/futures-channel-0.3.1/src/mpsc/mod.rs:9\n\
        app::dispatch_loop::{async_fn#0} | /home/me/app/src/main.rs:26";
    const LOOP: &[(char, &str)] = &[('h', HANDLE), ('e', HANDLE_ELSEWHERE), ('n', NEXT)];

    #[test]
    fn a_loop_of_short_calls_is_blamed_itself() {
        assert_eq!(check("hhenhhehnhhehhnehh", LOOP), Some((27, true)));
        assert_eq!(check("hhhhhhhnhhhhhhhhhnh", LOOP), Some((27, true)));
    }

    #[test]
    fn one_long_call_is_looked_into() {
        assert_eq!(check("hhhhhhhhhhhh", LOOP), Some((20, false)));
        // Before and after it prove nothing.
        assert_eq!(check("nnhhhhhhhhhhhhnn", LOOP), Some((20, false)));
    }

    #[test]
    fn one_absence_proves_it_unless_the_call_is_inlined() {
        assert_eq!(check("hhhhhhnhhhhhh", LOOP), Some((27, true)));
        let inlined = |order| {
            let mut stacks = stacks(order, LOOP);
            for frame in stacks.iter_mut().flat_map(|stack| &mut stack.frames) {
                frame.inlined = frame.function == "app::handle_packet";
            }
            told(&stacks)
        };
        assert_eq!(inlined("hhhhhhnhhhhhhnhhhh"), Some((20, false)));
        assert_eq!(inlined("hhhhhhnhhhnhhhnhhhh"), Some((27, true)));
    }

    #[test]
    fn a_known_slow_call_stays_to_blame_when_others_stand_beside_it() {
        let hash = "bcrypt::hash | /home/me/.cargo/registry/src/i/bcrypt-0.17.1/src/lib.rs:9\n\
            app::check | /home/me/app/src/main.rs:20\n\
            app::all::{async_fn#0} | /home/me/app/src/main.rs:27";
        let log = "app::all::{async_fn#0} | /home/me/app/src/main.rs:26";
        let stacks = [('h', hash), ('l', log)];
        assert_eq!(check("hhhhhhlhhhhhhhhlhhhh", &stacks), Some((20, false)));
    }

    #[test]
    fn another_long_call_in_turn_is_a_phase_of_its_own() {
        assert_eq!(
            check("hhhhhhnnnnnhhhhhhnnnnnhhhhhhh", LOOP),
            Some((20, false))
        );
    }

    #[test]
    fn a_call_that_reached_its_end_and_goes_on_was_made_anew() {
        const SOURCE: &str =
            "fn handle_packet() {\n    for hop in 0..4 {\n        take(hop);\n    }\n}\n";
        let at = |line: u32| {
            format!(
                "app::handle_packet | /home/me/app/src/main.rs:{line}\n\
                app::dispatch_loop::{{async_fn#0}} | /home/me/app/src/main.rs:27"
            )
        };
        let (first, head, body, end) = (at(1), at(2), at(3), at(5));
        let letters = [('f', &*first), ('h', &*head), ('b', &*body), ('e', &*end)];
        let check = |order| {
            let stacks = stacks(order, &letters);
            let found = lasting(&stacks, &|_: &Path| Some(SOURCE.to_owned()))?;
            let frame = &stacks[found.stack].frames[found.frame];
            Some((frame.line?, found.loops))
        };
        assert_eq!(check("bbbbhbbbebbbb"), Some((27, true)));
        assert_eq!(check("bbbbhbbbfbbbb"), Some((27, true)));
        assert_eq!(check("fbbbhbbbbbbhbbe"), Some((3, false)), "one call");
        // The way back of its own loop, told as its first line.
        let way_back = format!("{}f{}", "bbh".repeat(12), "bbh".repeat(12));
        assert_eq!(check(&way_back), Some((3, false)));
    }

    #[test]
    fn a_loop_is_told_by_the_users_call_in_it() {
        let stacks = [('h', HANDLE), ('n', NEXT)];
        assert_eq!(check("nnhnnhnhnnhnnhn", &stacks), Some((27, true)));
        let both = [
            ('h', HANDLE),
            (
                'n',
                "futures_channel::pop | /home/me/.cargo/registry/src/i/futures-channel-0.3.1/src/q.rs:9\n            app::dispatch_loop::{async_fn#0} | /home/me/app/src/main.rs:27",
            ),
        ];
        assert_eq!(
            check("nnhnnhnhnnhnnhn", &both),
            Some((27, false)),
            "one line"
        );
        // One after the other, or next to nothing.
        assert_eq!(check("nnnnnnnnhhhhhhh", &stacks), Some((26, false)));
        assert_eq!(check("nnnhnnnnnhnnnnnhnnnnn", &stacks), Some((26, false)));
    }

    #[test]
    fn holes_in_an_inlined_function_are_no_absence() {
        let hole = "app::dispatch_loop::{async_fn#0} | /home/me/app/src/main.rs:27";
        let stacks = [('h', HANDLE), ('o', hole)];
        assert_eq!(check("hhohhhohhhoh", &stacks), Some((20, false)));
    }

    #[test]
    fn what_a_dependency_calls_back_for_a_moment_is_not_to_blame() {
        let back = "app::part::encode | /home/me/app/src/main.rs:3\n\
            serde_json::ser::to_vec | /home/me/.cargo/registry/src/i/serde_json-1.0.1/src/ser.rs:9\n\
            app::reply::{async_fn#0} | /home/me/app/src/main.rs:40";
        let there = "serde_json::ser::to_vec | /home/me/.cargo/registry/src/i/serde_json-1.0.1/src/ser.rs:9\n\
            app::reply::{async_fn#0} | /home/me/app/src/main.rs:40";
        let stacks = [('b', back), ('t', there)];
        assert_eq!(
            check("bbtbtbbbtbbtbtb", &stacks).map(|(line, _)| line),
            Some(40)
        );
        assert_eq!(check("tttttbttttbttt", &stacks), Some((40, false)));
    }

    #[test]
    fn lines_of_one_function_count_together_before_its_callees_lines() {
        let a = "app::work | /home/me/app/src/main.rs:5\napp::main | /home/me/app/src/main.rs:10";
        let b = "app::work | /home/me/app/src/main.rs:6\napp::main | /home/me/app/src/main.rs:10";
        let c = "app::main | /home/me/app/src/main.rs:11";
        let stacks = [('a', a), ('b', b), ('c', c)];
        assert_eq!(check("ababaabcccc", &stacks), Some((5, false)));
    }

    #[test]
    fn without_an_order_or_user_frames_nothing_is_said() {
        assert_eq!(check("", LOOP), None);
        assert_eq!(check("xxxx", &[('x', "tokio::x |")]), None);
        assert_eq!(lasting(&[], &|_: &Path| None), None);
    }
}
