//! One process's report stream, read as far as it has been written.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
};

use asyncwatch_findings::{Drop, Event, Finding, ProcessInfo, Totals};

use super::budget::Budget;
use crate::run::child;

/// Longest line that is taken for an event: a finding with all its stacks stays
/// well below 1 MiB.
const LINE_BYTES_MAX: usize = 4 << 20;

/// Read at once.
const CHUNK_BYTES: usize = 64 << 10;

/// `timing` of a process that was watched from outside.
pub(crate) const OUTSIDE: &str = "outside";

/// A process, as its report stream tells it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched {
    pub(crate) info: ProcessInfo,
    /// By the id they have in their process.
    pub(crate) findings: BTreeMap<u64, Finding>,
    pub(crate) drops: Vec<Drop>,
    pub(crate) totals: Totals,
    /// How long its polls took: see [`Event::PollTimes`].
    pub(crate) poll_times: Vec<u64>,
    /// It said that it was done.
    pub(crate) ended: bool,
    /// It did not, and a process with its id still ran when all was read.
    pub(crate) alive: bool,
    /// Lines that were no event.
    pub(crate) garbled: u64,
    /// At least one line was an event.
    pub(crate) reported: bool,
}

impl Watched {
    /// Whether it was watched from outside, and told nothing itself.
    pub(crate) fn is_outside(&self) -> bool {
        self.info.timing == OUTSIDE
    }

    fn apply(&mut self, event: Event, budget: &mut Budget) {
        self.reported = true;
        match event {
            Event::Process(info) => self.info = info,
            Event::Finding(finding) => self.keep(*finding, budget),
            Event::Withdrawn { id } => {
                if self.findings.remove(&id).is_some() {
                    budget.give_back_finding();
                }
            }
            Event::Drops { drops } => self.drops = drops,
            Event::Totals(totals) => self.totals = totals,
            Event::PollTimes { counts } => self.poll_times = counts,
            Event::End { .. } => self.ended = true,
        }
    }

    fn keep(&mut self, finding: Finding, budget: &mut Budget) {
        if self.findings.contains_key(&finding.id) || budget.take_finding() {
            self.findings.insert(finding.id, finding);
        }
    }
}

/// A file that grows while its process lives.
#[derive(Debug)]
pub(super) struct Stream {
    path: PathBuf,
    offset: u64,
    /// The beginning of a line whose end is not written yet.
    partial: Vec<u8>,
    /// The line is longer than any event; the rest of it is skipped.
    oversized: bool,
    process: Watched,
}

impl Stream {
    pub(super) fn new(path: PathBuf) -> Stream {
        let mut process = Watched::default();
        process.info.pid = pid_in_name(&path).unwrap_or_default();
        Stream {
            path,
            offset: 0,
            partial: Vec::new(),
            oversized: false,
            process,
        }
    }

    pub(super) fn process(&self) -> &Watched {
        &self.process
    }

    /// Reads what was appended since the last time. A file that is gone or cannot
    /// be read has nothing new.
    pub(super) fn read(&mut self, budget: &mut Budget) {
        let Ok(mut file) = File::open(&self.path) else {
            return;
        };
        if file.seek(SeekFrom::Start(self.offset)).is_err() {
            return;
        }
        let mut chunk = vec![0; CHUNK_BYTES];
        while let Ok(bytes @ 1..) = file.read(&mut chunk) {
            self.offset += bytes as u64;
            self.take(&chunk[..bytes], budget);
        }
    }

    /// The process, if it reported anything. A line without an end was cut short
    /// by a kill, unless it is whole all the same.
    pub(super) fn finish(mut self, budget: &mut Budget) -> Option<Watched> {
        if !self.partial.is_empty() || self.oversized {
            self.end_line(budget);
        }
        self.process.alive = !self.process.ended && child::is_alive(self.process.info.pid);
        (self.process.reported || self.process.garbled > 0).then_some(self.process)
    }

    fn take(&mut self, bytes: &[u8], budget: &mut Budget) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            if self.partial.len() + text.len() > LINE_BYTES_MAX {
                self.oversized = true;
                self.partial = Vec::new();
            }
            if !self.oversized {
                self.partial.extend_from_slice(text);
            }
            if ends {
                self.end_line(budget);
            }
        }
    }

    fn end_line(&mut self, budget: &mut Budget) {
        let line = std::mem::take(&mut self.partial);
        let oversized = std::mem::take(&mut self.oversized);
        if line.trim_ascii().is_empty() && !oversized {
            return;
        }
        match serde_json::from_slice(&line) {
            Ok(event) if !oversized => self.process.apply(event, budget),
            _ => self.process.garbled += 1,
        }
    }
}

/// Streams are named `<pid>-<start>.jsonl`.
pub(super) fn pid_in_name(path: &std::path::Path) -> Option<u32> {
    path.file_stem()?.to_str()?.split_once('-')?.0.parse().ok()
}
