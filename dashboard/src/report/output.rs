//! Where reports go: `json=report.json`.
//!
//! A file is prepared before the command runs, so that a path that cannot be
//! written to is told at once and not after an hour of tests; it appears under its
//! name when it is whole.

use std::{
    env,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context, bail};
use tempfile::NamedTempFile;

use super::{Report, format::Format, github, say};

/// The variable by which GitHub Actions names the file for a step's summary.
const STEP_SUMMARY: &str = "GITHUB_STEP_SUMMARY";

/// A format, and where to write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    format: Format,
    /// `None` where only a format was named.
    to: Option<Destination>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Destination {
    Stdout,
    Stderr,
    File(PathBuf),
}

/// Where a report goes of which only the format was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defaults {
    /// To a file in the current directory, as standard output is the command's.
    Files,
    Stdout,
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Output, String> {
        let (format, to) = match text.split_once('=') {
            None if text.contains(['.', '/']) => {
                return Err(format!(
                    "write it as FORMAT=PATH, for example json=report.json; formats are {}",
                    Format::names()
                ));
            }
            None => (text, None),
            Some((_, "")) => return Err("the path is missing".to_owned()),
            Some((format, "-")) => (format, Some(Destination::Stdout)),
            Some((format, path)) => (format, Some(Destination::File(PathBuf::from(path)))),
        };
        Ok(Output {
            format: format.parse()?,
            to,
        })
    }
}

/// Prepares all of them; under GitHub Actions also what that shows by itself.
pub(crate) fn prepare(outputs: Vec<Output>, defaults: Defaults) -> anyhow::Result<Vec<Prepared>> {
    let on_github = env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true");
    let asked = outputs.iter().any(|output| output.format == Format::Github);
    // Its runner reads annotations from both; standard output is the command's.
    let by_itself = (on_github && !asked && defaults == Defaults::Files).then_some(Output {
        format: Format::Github,
        to: Some(Destination::Stderr),
    });
    let mut prepared: Vec<Prepared> = Vec::new();
    for output in outputs.into_iter().chain(by_itself) {
        let output = Prepared::new(output, defaults)?;
        if let Destination::File(path) = &output.to
            && prepared.iter().any(|other| other.to == output.to)
        {
            bail!("two reports would be written to {}", path.display());
        }
        prepared.push(output);
    }
    Ok(prepared)
}

/// An output that can be written to.
#[derive(Debug)]
pub(crate) struct Prepared {
    format: Format,
    to: Destination,
    sink: Sink,
    /// Of GitHub's, to which a summary is appended.
    step_summary: Option<PathBuf>,
}

#[derive(Debug)]
enum Sink {
    Stdout,
    Stderr,
    /// Takes the path's place when it is whole.
    Replacement(NamedTempFile),
    /// A pipe or a device cannot be replaced.
    Special(File),
}

impl Prepared {
    fn new(output: Output, defaults: Defaults) -> anyhow::Result<Prepared> {
        let Output { format, to } = output;
        let to = to.unwrap_or_else(|| match (defaults, format.file_name()) {
            (Defaults::Files, Some(name)) => Destination::File(PathBuf::from(name)),
            _ => Destination::Stdout,
        });
        let sink = match &to {
            Destination::Stdout => Sink::Stdout,
            Destination::Stderr => Sink::Stderr,
            Destination::File(path) => Sink::open(path)
                .with_context(|| format!("cannot write a report to {}", path.display()))?,
        };
        let step_summary = env::var_os(STEP_SUMMARY).filter(|path| !path.is_empty());
        Ok(Prepared {
            format,
            to,
            sink,
            step_summary: step_summary
                .filter(|_| format == Format::Github && defaults == Defaults::Files)
                .map(PathBuf::from),
        })
    }

    pub(crate) fn write(self, report: &Report) -> anyhow::Result<()> {
        if let Some(path) = &self.step_summary {
            append(path, &github::step_summary(report))
                .with_context(|| format!("cannot append to {STEP_SUMMARY} {}", path.display()))?;
        }
        let shown = match &self.to {
            Destination::File(path) => path.display().to_string(),
            Destination::Stdout | Destination::Stderr => "standard output".to_owned(),
        };
        let text = self.format.write(report);
        text.and_then(|text| self.sink.deliver(&self.to, &text))
            .with_context(|| format!("cannot write the report to {shown}"))
    }
}

impl Sink {
    fn open(path: &Path) -> anyhow::Result<Sink> {
        match fs::metadata(path) {
            Ok(existing) if existing.is_dir() => {
                bail!("it is a directory; name a file in it")
            }
            Ok(existing) if !existing.is_file() => {
                Ok(Sink::Special(OpenOptions::new().write(true).open(path)?))
            }
            Ok(_) => {
                // A file that may not be written to is not replaced either.
                OpenOptions::new().append(true).open(path)?;
                replacement(path).map(Sink::Replacement)
            }
            Err(_) => replacement(path).map(Sink::Replacement),
        }
    }

    fn deliver(self, to: &Destination, text: &str) -> anyhow::Result<()> {
        match (self, to) {
            (Sink::Stdout, _) => match io::stdout().write_all(text.as_bytes()) {
                // Whoever reads it has seen enough.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                written => written?,
            },
            (Sink::Stderr, _) => say(text),
            (Sink::Special(mut file), _) => file.write_all(text.as_bytes())?,
            (Sink::Replacement(mut file), Destination::File(path)) => {
                file.write_all(text.as_bytes())?;
                file.persist(path)?;
            }
            (Sink::Replacement(_), _) => {}
        }
        Ok(())
    }
}

/// A new file beside `path`, to take its place.
pub(crate) fn replacement(path: &Path) -> anyhow::Result<NamedTempFile> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    if !parent.is_dir() {
        bail!(
            "there is no directory {}; create it first",
            parent.display()
        );
    }
    let file = tempfile::Builder::new()
        .prefix(".asyncwatch-")
        // As any other new file: the umask takes away what it should.
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(parent)?;
    Ok(file)
}

fn append(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told() {
        let output = |text: &str| text.parse::<Output>().expect("valid");
        let file = |path: &str| Some(Destination::File(PathBuf::from(path)));
        assert_eq!(
            output("json=target/a=b.json"),
            Output {
                format: Format::Json,
                to: file("target/a=b.json")
            }
        );
        assert_eq!(output("markdown=-").to, Some(Destination::Stdout));
        assert_eq!(output("sarif").to, None);
        for (text, part) in [
            (
                "pdf=x.pdf",
                "unknown format `pdf`; formats are text, json, junit, sarif, github",
            ),
            ("report.json", "FORMAT=PATH"),
            ("jsonn", "unknown format"),
            ("json=", "path is missing"),
        ] {
            let error = text.parse::<Output>().expect_err("invalid");
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    fn prepare(path: &Path) -> anyhow::Result<Prepared> {
        let output = Output {
            format: Format::Text,
            to: Some(Destination::File(path.to_owned())),
        };
        Prepared::new(output, Defaults::Files)
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
