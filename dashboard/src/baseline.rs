//! Findings that a project knew of when it took its baseline: a check fails on others
//! only, so that it can be adopted before everything is fixed.
//!
//! The file is TOML, a line for each finding, in an order that depends on nothing but
//! the findings. They are told apart by fingerprint, which stays the same while lines
//! move and on other machines; place and function are there for whoever reads it.

use std::{
    collections::BTreeSet,
    fmt, fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};
use asyncwatch_findings::{Code, Finding, message::frame_label};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::report::{Group, Report, Roots, Standing, replacement};

/// Version of the file's format.
const VERSION: u32 = 1;

const HEADER: &str = "\
# What `asyncwatch check --baseline` knows of: other findings fail it.
# Written by `--update-baseline`. Remove the lines of what must not come back.
";

/// A finding that is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Known {
    /// Relative to the repository; absent where it lies elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) function: Option<String>,
    pub(crate) code: Code,
    pub(crate) fingerprint: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    #[serde(default)]
    findings: Vec<Known>,
}

/// A baseline file, as it was before the command ran.
#[derive(Debug)]
pub(crate) struct Baseline {
    path: PathBuf,
    entries: BTreeSet<Known>,
    /// Takes the file's place, where it is to be updated.
    update: Option<NamedTempFile>,
}

/// What a report has to say of its baseline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Compared {
    /// The file, as it was named.
    pub(crate) path: String,
    /// Entries of which nothing was seen, in a run that should have shown them.
    pub(crate) gone: Vec<Known>,
}

/// How a file was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Updated {
    path: String,
    added: usize,
    dropped: usize,
    kept: usize,
}

impl fmt::Display for Updated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Updated {
            path,
            added,
            dropped,
            kept,
        } = self;
        write!(
            f,
            "{path} is written: {added} added, {dropped} dropped, {kept} kept"
        )
    }
}

impl Known {
    pub(crate) fn new(finding: &Finding, roots: &Roots) -> Known {
        let culprit = finding.culprit.as_ref();
        let file = culprit.and_then(|frame| frame.file.as_deref());
        Known {
            file: file.and_then(|file| roots.relative(file)),
            function: culprit.map(frame_label),
            code: finding.code,
            fingerprint: finding.fingerprint.clone(),
        }
    }

    fn is(&self, finding: &Finding) -> bool {
        self.code == finding.code && self.fingerprint == finding.fingerprint
    }

    /// `slow-poll in app::load (src/session.rs)`.
    pub(crate) fn line(&self) -> String {
        let function = self.function.as_deref().unwrap_or("an unknown function");
        let file = self.file.as_ref().map(|file| format!(" ({file})"));
        format!("{} in {function}{}", self.code, file.unwrap_or_default())
    }
}

impl Baseline {
    /// Reads the file; if it is to be updated, it need not exist, and has to be in a
    /// directory that can be written to.
    pub(crate) fn load(path: &Path, update: bool) -> anyhow::Result<Baseline> {
        let shown = path.display();
        let entries = match fs::read_to_string(path) {
            Ok(text) => read(&text).map_err(|why| {
                anyhow!(
                    "{shown}{why}; restore the file, or delete it and run with --update-baseline"
                )
            })?,
            Err(error) if error.kind() == ErrorKind::NotFound && update => BTreeSet::new(),
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "there is no baseline {shown}; run once with --update-baseline to write what is found now to it"
            ),
            Err(error) => {
                Err(error).with_context(|| format!("cannot read the baseline {shown}"))?
            }
        };
        let update = update
            .then(|| replacement(path))
            .transpose()
            .with_context(|| format!("cannot write the baseline {shown}"))?;
        Ok(Baseline {
            path: path.to_owned(),
            entries,
            update,
        })
    }

    pub(crate) fn knows(&self, finding: &Finding) -> bool {
        self.entries.iter().any(|known| known.is(finding))
    }

    /// Marks what is known in the report, and tells it what is gone.
    pub(crate) fn compare(&self, report: &mut Report) {
        for group in &mut report.groups {
            group.known = self.knows(&group.finding);
        }
        let seen = |known: &&Known| report.groups.iter().any(|group| known.is(&group.finding));
        // A command that failed may not have come to what is known.
        let gone = match report.is_complete() {
            true => self
                .entries
                .iter()
                .filter(|known| !seen(known))
                .cloned()
                .collect(),
            false => Vec::new(),
        };
        report.baseline = Some(Compared {
            path: self.path.display().to_string(),
            gone,
        });
    }

    /// Replaces the file by what the report found, if that was asked for; everything in
    /// the report is known from then on. `None` if it was not asked for, and an error
    /// where the report does not show enough.
    pub(crate) fn update(self, report: &mut Report) -> anyhow::Result<Option<Updated>> {
        let Some(mut file) = self.update else {
            return Ok(None);
        };
        let shown = self.path.display();
        if let Some(how) = report.ending.failure() {
            bail!("the baseline {shown} is left as it was, because the command {how}");
        }
        if !report.is_complete() {
            bail!("the baseline {shown} is left as it was, because nothing was watched");
        }
        let now: BTreeSet<Known> = report
            .groups
            .iter()
            .filter(|group| belongs(group, &self.entries))
            .map(|group| Known::new(&group.finding, &report.roots))
            .collect();
        let now = unique(now);
        let is_in = |known: &Known, all: &BTreeSet<Known>| {
            all.iter()
                .any(|other| (other.code, &other.fingerprint) == (known.code, &known.fingerprint))
        };
        let kept = now
            .iter()
            .filter(|known| is_in(known, &self.entries))
            .count();
        let dropped = self
            .entries
            .iter()
            .filter(|known| !is_in(known, &now))
            .count();
        file.write_all(write(&now).as_bytes())
            .map_err(anyhow::Error::from)
            .and_then(|()| Ok(file.persist(&self.path)?))
            .with_context(|| format!("cannot write the baseline {shown}"))?;
        for group in &mut report.groups {
            group.known = now.iter().any(|known| known.is(&group.finding));
        }
        report.baseline = Some(Compared {
            path: shown.to_string(),
            gone: Vec::new(),
        });
        Ok(Some(Updated {
            path: shown.to_string(),
            added: now.len() - kept,
            dropped,
            kept,
        }))
    }
}

/// What fails the check, and what was known and this time only lacked a CPU: that does
/// not tell whether it was fixed.
fn belongs(group: &Group, before: &BTreeSet<Known>) -> bool {
    match group.standing() {
        Standing::Failure | Standing::Known => true,
        Standing::Warning => false,
        Standing::Hidden => {
            group.is_descheduled() && before.iter().any(|known| known.is(&group.finding))
        }
    }
}

/// One entry for each fingerprint, also where a function has several places.
fn unique(all: BTreeSet<Known>) -> BTreeSet<Known> {
    let mut seen = BTreeSet::new();
    let all = all.into_iter();
    all.filter(|known| seen.insert((known.code, known.fingerprint.clone())))
        .collect()
}

/// The entries, or what is wrong with the text: `:3:1: …`.
fn read(text: &str) -> Result<BTreeSet<Known>, String> {
    let document: Document = toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(1, |before| before.matches('\n').count() + 1);
        format!(":{line}: this is no baseline: {}", error.message())
    })?;
    if document.version != VERSION {
        return Err(format!(
            ": it has version {}, and this asyncwatch knows version {VERSION}",
            document.version
        ));
    }
    Ok(document.findings.into_iter().collect())
}

fn write(entries: &BTreeSet<Known>) -> String {
    let mut text = format!("{HEADER}version = {VERSION}\n\nfindings = [\n");
    for known in entries {
        let fields = [
            ("code", Some(known.code.as_str())),
            ("file", known.file.as_deref()),
            ("function", known.function.as_deref()),
            ("fingerprint", Some(&*known.fingerprint)),
        ];
        let fields = fields.into_iter().filter_map(|(name, value)| {
            let value = toml::Value::String(value?.to_owned());
            Some(format!("{name} = {value}"))
        });
        let fields: Vec<String> = fields.collect();
        text.push_str(&format!("  {{ {} }},\n", fields.join(", ")));
    }
    text.push_str("]\n");
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn known(code: Code, file: &str, function: &str, fingerprint: &str) -> Known {
        Known {
            file: Some(file.to_owned()),
            function: Some(function.to_owned()),
            code,
            fingerprint: fingerprint.to_owned(),
        }
    }

    #[test]
    fn files_are_sorted_and_read_back() {
        let entries = BTreeSet::from([
            known(Code::SlowPoll, "src/b.rs", "app::b", "2222222222222222"),
            known(
                Code::LostWaker,
                "src/a.rs",
                "<F as \"odd\\\">::f\u{7f}",
                "1111111111111111",
            ),
            Known {
                file: None,
                function: None,
                code: Code::NestedBlockOn,
                fingerprint: "3333333333333333".to_owned(),
            },
        ]);
        let text = write(&entries);
        expect![[r##"
            # What `asyncwatch check --baseline` knows of: other findings fail it.
            # Written by `--update-baseline`. Remove the lines of what must not come back.
            version = 1

            findings = [
              { code = "nested-block-on", fingerprint = "3333333333333333" },
              { code = "lost-waker", file = "src/a.rs", function = "<F as \"odd\\\">::f\u007F", fingerprint = "1111111111111111" },
              { code = "slow-poll", file = "src/b.rs", function = "app::b", fingerprint = "2222222222222222" },
            ]
        "##]].assert_eq(&text);
        assert_eq!(read(&text), Ok(entries));
        assert_eq!(read(&write(&BTreeSet::new())), Ok(BTreeSet::new()));
    }

    #[test]
    fn damaged_files_are_told_with_their_line() {
        for (text, part) in [
            ("<<<<<<< HEAD\nversion = 1\n", ":1: this is no baseline"),
            (
                "version = 1\nfindings = [\n  { code = \"slow-pole\", fingerprint = \"1\" },\n]",
                ":3:",
            ),
            (
                "version = 1\nfindings = [ { code = \"slow-poll\" } ]",
                "fingerprint",
            ),
            ("version = 2\n", "it has version 2"),
            ("", "version"),
        ] {
            let why = read(text).expect_err("damaged");
            assert!(why.contains(part), "{text:?}: {why}");
        }
    }
}
