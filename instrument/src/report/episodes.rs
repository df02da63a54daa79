//! Slow polls that have not ended yet, with all that was seen of each.

use std::{collections::HashMap, time::Duration};

use asyncwatch_findings::{
    Frame, SeenStack, Stack, in_block_in_place, in_blocking_closure, waits_for_allocator,
    waits_for_child_to_begin, waits_for_memory_map,
};

use asyncwatch_stack::How;

use super::symbols::Symbols;
use crate::watchdog::{PollReport, Sample, Stage};

/// Stacks kept of one poll; those beyond are added to one that says the same of the
/// user's own code, or else to the heaviest.
const STACKS_MAX: usize = 16;
/// Polls that may go on at once: one per slot.
const OPEN_MAX: usize = 1_024;

/// Which poll a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    slot: u32,
    origin: u64,
}

/// What was seen of one slow poll so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Episode {
    /// Heaviest first.
    pub(super) stacks: Vec<Seen>,
    /// Time seen where blocking is meant, or nobody's fault, of `attributed`.
    excused: Duration,
    /// Time that some stack stands for.
    attributed: Duration,
    /// Whether the newest stack is such a one.
    last_excused: bool,
    /// How many samples there were.
    samples: u32,
    /// Whether one of them found it asleep.
    asleep: bool,
    /// Who seems to hold the lock that it waits for, and what that thread does.
    pub(super) holder: Option<(String, Vec<Frame>)>,
    /// The finding it was counted in, once it was.
    pub(super) finding: Option<u64>,
    /// That finding is one that the grace at start allows.
    pub(super) excused_at_start: bool,
    /// Whether its begin was shown in the log.
    pub(super) announced: bool,
    /// The finding about a task that never yields, once it was counted in one.
    pub(super) never_yielded: Option<u64>,
}

/// One distinct stack of a poll.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) stack: Stack,
    pub(super) syscall: Option<String>,
}

impl Seen {
    fn absorb(&mut self, other: Seen) {
        self.stack.weight += other.stack.weight;
        self.stack.seen.extend(other.stack.seen);
    }

    /// Whether both went the same way through the user's code.
    fn is_like(&self, other: &Seen) -> bool {
        let lines = |seen: &Seen| -> Vec<(String, Option<u32>)> {
            let users = seen.stack.frames.iter().filter(|frame| frame.user);
            users
                .map(|frame| (frame.function.clone(), frame.line))
                .collect()
        };
        self.syscall == other.syscall && lines(self) == lines(other)
    }
}

/// All open episodes.
#[derive(Default)]
pub(super) struct Episodes(HashMap<Key, Episode>);

impl Episodes {
    /// Takes the episode of `report` out, with the report's samples added.
    ///
    /// Put it back with [`keep`](Episodes::keep) unless the poll has ended.
    pub(super) fn take(&mut self, report: &PollReport, symbols: &mut Symbols) -> Episode {
        let mut episode = self.0.remove(&key(report)).unwrap_or_default();
        for sample in &report.samples {
            episode.add(symbols.resolve(&sample.stack), sample);
        }
        if let (None, Some(held)) = (&episode.holder, &report.held_by) {
            let mut frames = symbols.resolve(&held.stack);
            asyncwatch_findings::trim(&mut frames);
            episode.holder = Some((held.thread.clone(), frames));
        }
        episode.sort();
        episode
    }

    pub(super) fn keep(&mut self, report: &PollReport, episode: Episode) {
        if report.stage != Stage::End && self.0.len() < OPEN_MAX {
            self.0.insert(key(report), episode);
        }
    }
}

fn key(report: &PollReport) -> Key {
    Key {
        slot: report.slot,
        origin: report.origin,
    }
}

impl Episode {
    /// All that was seen of it.
    pub(super) fn seen(&self) -> Vec<SeenStack<'_>> {
        let stacks = self.stacks.iter();
        stacks
            .map(|seen| (&seen.stack, seen.syscall.as_deref()))
            .collect()
    }

    /// What can be said before anything is symbolised.
    pub(super) fn located(report: &PollReport, symbols: &mut Symbols) -> Episode {
        let mut episode = Episode::default();
        for sample in &report.samples {
            let frames = symbols.locate(&sample.stack);
            episode.push(frames, sample);
        }
        episode.sort();
        episode
    }

    /// Time spent where blocking is meant, or nobody's fault. What passed since the newest stack was
    /// taken was spent as that stack says.
    pub(super) fn excused(&self, wall: Duration) -> Duration {
        let rest = wall.saturating_sub(self.attributed);
        let rest = if self.last_excused {
            rest
        } else {
            Duration::ZERO
        };
        (self.excused + rest).min(wall)
    }

    /// Whether there were samples, and all of them found it at work. A thread that is
    /// asleep for long is found so: that needs no answer from it.
    pub(super) fn never_asleep(&self) -> bool {
        self.samples > 0 && !self.asleep
    }

    fn add(&mut self, mut frames: Vec<Frame>, sample: &Sample) {
        self.attributed += sample.weight;
        self.last_excused = in_block_in_place(&frames)
            || in_blocking_closure(&frames)
            || waits_for_allocator(&frames)
            || waits_for_child_to_begin(&frames)
            || sample.syscall.as_deref().is_some_and(waits_for_memory_map);
        if self.last_excused {
            self.excused += sample.weight;
            return;
        }
        asyncwatch_findings::trim_outer(&mut frames, sample.nested);
        self.push(frames, sample);
    }

    fn push(&mut self, frames: Vec<Frame>, sample: &Sample) {
        let number = self.samples;
        self.samples += 1;
        self.asleep |= sample.stack.how != How::Signal;
        let new = Seen {
            stack: Stack {
                weight: sample.own,
                frames,
                seen: vec![number],
            },
            syscall: sample.syscall.clone(),
        };
        let known = self
            .stacks
            .iter()
            .position(|seen| seen.stack.frames == new.stack.frames && seen.syscall == new.syscall);
        match known {
            Some(known) => self.stacks[known].absorb(new),
            None => {
                self.stacks.push(new);
                self.make_room();
            }
        }
    }

    /// Joins two stacks where there is one too many. Which lines of the user's code
    /// were on the way is what blame goes by: the lightest that can be spared by that
    /// measure goes.
    fn make_room(&mut self) {
        if self.stacks.len() <= STACKS_MAX {
            return;
        }
        let alike = |at: usize| {
            (0..self.stacks.len())
                .filter(|&other| other != at && self.stacks[other].is_like(&self.stacks[at]))
                .max_by_key(|&other| self.stacks[other].stack.weight)
                .map(|into| (at, into))
        };
        let mut lightest: Vec<usize> = (0..self.stacks.len()).collect();
        lightest.sort_by_key(|&at| self.stacks[at].stack.weight);
        let heaviest = lightest[lightest.len() - 1];
        let (from, mut into) = lightest
            .iter()
            .find_map(|&at| alike(at))
            .unwrap_or((lightest[0], heaviest));
        let spared = self.stacks.remove(from);
        into -= usize::from(into > from);
        self.stacks[into].absorb(spared);
    }

    fn sort(&mut self) {
        self.stacks
            .sort_by_key(|seen| std::cmp::Reverse(seen.stack.weight));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use asyncwatch_stack::RawStack;

    fn sample(ms: u64) -> Sample {
        Sample {
            weight: Duration::from_millis(ms),
            own: Duration::from_millis(ms),
            stack: RawStack {
                addresses: Vec::new(),
                how: How::Signal,
                complete: true,
            },
            syscall: None,
            nested: 0,
        }
    }

    fn frames(leaf: usize, line: u32) -> Vec<Frame> {
        let user = Frame {
            function: "app::work".to_owned(),
            line: Some(line),
            user: true,
            ..Frame::default()
        };
        let leaf = Frame {
            function: format!("leaf{leaf}"),
            ..Frame::default()
        };
        vec![leaf, user]
    }

    #[test]
    fn equal_stacks_are_one_and_remember_when_they_were_seen() {
        let mut episode = Episode::default();
        for line in [5, 6, 5] {
            episode.push(frames(0, line), &sample(2));
        }
        let seen: Vec<&[u32]> = episode
            .stacks
            .iter()
            .map(|seen| &*seen.stack.seen)
            .collect();
        assert_eq!(seen, [&[0, 2][..], &[1][..]]);
    }

    #[test]
    fn too_many_stacks_are_joined_by_the_users_lines() {
        let mut episode = Episode::default();
        for leaf in 0..60 {
            episode.push(frames(leaf, 20), &sample(2));
        }
        episode.push(frames(60, 26), &sample(1));
        assert_eq!(episode.stacks.len(), STACKS_MAX);
        let of_line = |line| -> Duration {
            let stacks = episode.stacks.iter().map(|seen| &seen.stack);
            stacks
                .filter(|stack| stack.frames[1].line == Some(line))
                .map(|stack| stack.weight)
                .sum()
        };
        assert_eq!(of_line(20), Duration::from_millis(120));
        assert_eq!(of_line(26), Duration::from_millis(1));
        let samples: usize = episode
            .stacks
            .iter()
            .map(|seen| seen.stack.seen.len())
            .sum();
        assert_eq!(samples, 61);
    }
}
