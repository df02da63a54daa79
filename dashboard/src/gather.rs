//! Gathers what instrumented processes report while a command runs.
//!
//! They are told by environment where to put their report streams (see
//! [`asyncwatch_findings::Event`] for the format); here the streams are read, with
//! tolerance for whatever killed or hostile processes leave behind. What the
//! findings mean for the command's success is judged elsewhere.

mod budget;
pub(crate) mod names;
mod stream;

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use anyhow::Context;
use asyncwatch_findings::ProcessInfo;
use tempfile::TempDir;

pub(crate) use self::stream::{OUTSIDE, Watched};
use self::{budget::Budget, stream::Stream};
use crate::config::Settings;

/// Most report streams that are read; `cargo test` of a large workspace starts a
/// few hundred processes.
const STREAMS_MAX: usize = 4_096;

/// What instrumented processes are told to do.
#[derive(Clone, Debug)]
pub(crate) struct Orders<'a> {
    pub(crate) settings: &'a Settings,
    /// The levels of a check are their defaults.
    pub(crate) checked: bool,
    /// Value of `ASYNCWATCH_ADDR`: `off` or an address.
    pub(crate) addr: &'static str,
}

/// A private directory for report streams, and what was read from it so far.
pub(crate) struct Gathering {
    directory: TempDir,
    streams: BTreeMap<OsString, Stream>,
    budget: Budget,
}

/// Everything that was read.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// In the order of their process ids.
    pub(crate) processes: Vec<Watched>,
    /// Findings and streams beyond the bounds, which were left out.
    pub(crate) left_out: u64,
    /// Programs that could not be watched from outside, with the reason, for people.
    pub(crate) unwatched: Vec<String>,
}

impl Gathering {
    pub(crate) fn new() -> anyhow::Result<Gathering> {
        let directory = tempfile::Builder::new()
            .prefix("asyncwatch-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .context(
                "cannot create a directory for reports; set TMPDIR to one that can be written to",
            )?;
        Ok(Gathering {
            directory,
            streams: BTreeMap::new(),
            budget: Budget::default(),
        })
    }

    /// Where the streams are.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The variables to set for the command.
    pub(crate) fn environment(&self, orders: &Orders<'_>) -> Vec<(&'static str, OsString)> {
        let checked = if orders.checked { "1" } else { "0" };
        let ours = [
            ("ASYNCWATCH", OsString::from("1")),
            ("ASYNCWATCH_REPORT", self.directory.path().into()),
            ("ASYNCWATCH_ADDR", orders.addr.into()),
            ("ASYNCWATCH_CHECK", checked.into()),
        ];
        let settings = orders.settings.environment();
        ours.into_iter().chain(settings).collect()
    }

    /// Reads what is new. Never fails: what cannot be read is not there.
    pub(crate) fn read(&mut self) {
        self.discover();
        for stream in self.streams.values_mut() {
            stream.read(&mut self.budget);
        }
    }

    /// The processes known so far.
    pub(crate) fn processes(&self) -> impl Iterator<Item = &Watched> {
        self.streams.values().map(Stream::process)
    }

    /// Whether the process with this id tells of itself.
    pub(crate) fn tells_itself(&self, pid: u32) -> bool {
        self.processes()
            .any(|process| process.reported && process.info.pid == pid)
    }

    /// Reads the rest; nothing more is expected.
    pub(crate) fn finish(mut self) -> Gathered {
        self.read();
        let mut processes: Vec<Watched> = self
            .streams
            .into_values()
            .filter_map(|stream| stream.finish(&mut self.budget))
            .collect();
        names::complete(&mut processes);
        processes.sort_by_key(|process| (process.info.pid, process.info.started_unix_ns));
        Gathered {
            processes,
            left_out: self.budget.left_out(),
            unwatched: Vec::new(),
        }
    }

    fn discover(&mut self) {
        let Ok(entries) = fs::read_dir(self.directory.path()) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let is_stream = Path::new(&name).extension() == Some(OsStr::new("jsonl"))
                && entry.file_type().is_ok_and(|kind| kind.is_file());
            if !is_stream || self.streams.contains_key(&name) {
                continue;
            }
            if self.streams.len() >= STREAMS_MAX {
                self.budget.leave_out_stream(name);
                continue;
            }
            self.streams.insert(name, Stream::new(entry.path()));
        }
    }
}

/// What the process with this id has told of itself so far, in `directory`.
pub(crate) fn process_info(directory: &Path, pid: u32) -> Option<ProcessInfo> {
    let entries = fs::read_dir(directory).ok()?;
    let path = entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| stream::pid_in_name(path) == Some(pid))?;
    let mut stream = Stream::new(path);
    stream.read(&mut Budget::default());
    let process = stream.process();
    process.reported.then(|| process.info.clone())
}

#[cfg(test)]
mod tests;
