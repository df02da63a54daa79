//! The report stream: one file per process, one JSON document a line.
//!
//! See [`asyncwatch_findings::Event`] for the format. Each line is one `write` to a
//! file opened for appending: a process that is killed has delivered what it had.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
};

use asyncwatch_findings::{Event, ProcessInfo};

use crate::drops;

/// The file of this process, if one was asked for and could be made.
pub(super) struct ReportFile(Option<File>);

impl ReportFile {
    /// No report was asked for.
    pub(super) fn none() -> ReportFile {
        ReportFile(None)
    }

    /// Creates the file in `directory`.
    pub(super) fn create(directory: &Path, process: &ProcessInfo) -> io::Result<ReportFile> {
        let name = format!("{}-{}.jsonl", process.pid, process.started_unix_ns);
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(directory.join(name))?;
        Ok(ReportFile(Some(file)))
    }

    pub(super) fn exists(&self) -> bool {
        self.0.is_some()
    }

    /// Appends one event; one that cannot be written is counted as dropped.
    pub(super) fn write(&mut self, event: &Event) {
        let Some(file) = &mut self.0 else { return };
        let written = serde_json::to_vec(event)
            .map_err(io::Error::other)
            .and_then(|mut line| {
                line.push(b'\n');
                file.write_all(&line)
            });
        if written.is_err() {
            drops::count(drops::What::Writes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_a_line() {
        let directory =
            std::env::temp_dir().join(format!("asyncwatch-file-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("directory");
        let process = ProcessInfo {
            pid: 7,
            started_unix_ns: 9,
            ..ProcessInfo::default()
        };
        let mut file = ReportFile::create(&directory, &process).expect("file");
        file.write(&Event::Process(process.clone()));
        file.write(&Event::End { unix_ns: 1 });
        let text = std::fs::read_to_string(directory.join("7-9.jsonl")).expect("written");
        let events: Vec<Event> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("one document"))
            .collect();
        assert_eq!(events, [Event::Process(process), Event::End { unix_ns: 1 }]);
        std::fs::remove_dir_all(&directory).expect("clean up");
    }
}
