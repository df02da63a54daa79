//! Slow polls that have not ended yet, with all that was seen of each.

use std::{collections::HashMap, time::Duration};

use asyncwatch_findings::{Frame, Stack, in_block_in_place};

use super::symbols::Symbols;
use crate::watchdog::{PollReport, Sample, Stage};

/// Stacks kept of one poll; lighter ones beyond are added to the heaviest.
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
    /// Time seen where blocking is meant, of `attributed`.
    excused: Duration,
    /// Time that some stack stands for.
    attributed: Duration,
    /// Whether the newest stack is one where blocking is meant.
    last_excused: bool,
    /// The finding it was counted in, once it was.
    pub(super) finding: Option<u64>,
    /// Whether its begin was shown in the log.
    pub(super) announced: bool,
}

/// One distinct stack of a poll.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) stack: Stack,
    pub(super) syscall: Option<String>,
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

    /// Time spent where blocking is meant. What passed since the newest stack was
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

    fn add(&mut self, mut frames: Vec<Frame>, sample: &Sample) {
        self.attributed += sample.weight;
        self.last_excused = in_block_in_place(&frames);
        if self.last_excused {
            self.excused += sample.weight;
            return;
        }
        asyncwatch_findings::trim(&mut frames);
        self.push(frames, sample);
    }

    fn push(&mut self, frames: Vec<Frame>, sample: &Sample) {
        let full = self.stacks.len() == STACKS_MAX;
        let known = self
            .stacks
            .iter_mut()
            .find(|seen| seen.stack.frames == frames && seen.syscall == sample.syscall);
        if let Some(seen) = known {
            seen.stack.weight += sample.weight;
            return;
        }
        match self.stacks.first_mut() {
            Some(heaviest) if full => heaviest.stack.weight += sample.weight,
            _ => self.stacks.push(Seen {
                stack: Stack {
                    weight: sample.weight,
                    frames,
                },
                syscall: sample.syscall.clone(),
            }),
        }
    }

    fn sort(&mut self) {
        self.stacks
            .sort_by_key(|seen| std::cmp::Reverse(seen.stack.weight));
    }
}
