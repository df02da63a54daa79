//! Where reports go: `json=report.json`.
//!
//! A file is prepared before the command runs, so that a path that cannot be
//! written to is told at once and not after an hour of tests; it appears under its
//! name when it is whole.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::Context;
use tempfile::NamedTempFile;

use super::{Report, json, options, text};

/// A format and the file to write it to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    format: Format,
    path: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

impl Format {
    const ALL: &[Format] = &[Format::Text, Format::Json];

    const fn as_str(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Json => "json",
        }
    }
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Output, String> {
        let names: Vec<&str> = Format::ALL.iter().map(|format| format.as_str()).collect();
        let names = names.join(", ");
        let (format, path) = text.split_once('=').ok_or_else(|| {
            format!("write it as FORMAT=PATH, for example json=report.json; formats are {names}")
        })?;
        let format = Format::ALL
            .iter()
            .find(|known| known.as_str() == format)
            .ok_or_else(|| format!("unknown format `{format}`; formats are {names}"))?;
        if path.is_empty() {
            return Err("the path is missing".to_owned());
        }
        Ok(Output {
            format: *format,
            path: PathBuf::from(path),
        })
    }
}

/// An output that can be written to.
#[derive(Debug)]
pub(crate) struct Prepared {
    output: Output,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    /// Takes the path's place when it is whole.
    Replacement(NamedTempFile),
    /// A pipe or a device cannot be replaced.
    Special(File),
}

impl Output {
    pub(crate) fn prepare(self) -> anyhow::Result<Prepared> {
        let sink = self
            .open()
            .with_context(|| format!("cannot write a report to {}", self.path.display()))?;
        Ok(Prepared { output: self, sink })
    }

    fn open(&self) -> anyhow::Result<Sink> {
        match fs::metadata(&self.path) {
            Ok(existing) if existing.is_dir() => {
                anyhow::bail!("it is a directory; name a file in it")
            }
            Ok(existing) if !existing.is_file() => Ok(Sink::Special(
                OpenOptions::new().write(true).open(&self.path)?,
            )),
            Ok(_) => {
                // A file that may not be written to is not replaced either.
                OpenOptions::new().append(true).open(&self.path)?;
                self.replacement()
            }
            Err(_) => self.replacement(),
        }
    }

    fn replacement(&self) -> anyhow::Result<Sink> {
        let parent = self
            .path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        if !parent.is_dir() {
            anyhow::bail!(
                "there is no directory {}; create it first",
                parent.display()
            );
        }
        let file = tempfile::Builder::new()
            .prefix(".asyncwatch-")
            // As any other new file: the umask takes away what it should.
            .permissions(fs::Permissions::from_mode(0o666))
            .tempfile_in(parent)?;
        Ok(Sink::Replacement(file))
    }
}

impl Prepared {
    pub(crate) fn write(self, report: &Report, base: Option<&Path>) -> anyhow::Result<()> {
        let path = self.output.path;
        let text = match self.output.format {
            Format::Json => json(report)?,
            Format::Text => text(report, &options(base, false, true)),
        };
        self.sink
            .deliver(&path, &text)
            .with_context(|| format!("cannot write the report to {}", path.display()))
    }
}

impl Sink {
    fn deliver(self, path: &Path, text: &str) -> anyhow::Result<()> {
        match self {
            Sink::Special(mut file) => file.write_all(text.as_bytes())?,
            Sink::Replacement(mut file) => {
                file.write_all(text.as_bytes())?;
                file.persist(path)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told() {
        let output: Output = "json=target/a=b.json".parse().expect("valid");
        assert_eq!(
            output,
            Output {
                format: Format::Json,
                path: PathBuf::from("target/a=b.json")
            }
        );
        for (text, part) in [
            (
                "junit=x.xml",
                "unknown format `junit`; formats are text, json",
            ),
            ("report.json", "FORMAT=PATH"),
            ("json=", "path is missing"),
        ] {
            let error = text.parse::<Output>().expect_err("invalid");
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    fn prepare(path: &Path) -> anyhow::Result<Prepared> {
        Output {
            format: Format::Text,
            path: path.to_owned(),
        }
        .prepare()
    }

    #[test]
    fn paths_that_cannot_be_written_to_are_told_before() {
        let directory = tempfile::tempdir().expect("a directory");
        for (path, part) in [
            (directory.path().to_owned(), "it is a directory"),
            (
                directory.path().join("no/such/report.txt"),
                "create it first",
            ),
        ] {
            let error = format!("{:#}", prepare(&path).expect_err("cannot be written to"));
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn preparing_leaves_an_old_report_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("report.txt");
        fs::write(&path, "old").expect("written");
        drop(prepare(&path).expect("can be written to"));
        assert_eq!(fs::read_to_string(&path).expect("still there"), "old");
        assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 1);
    }
}
