//! A specimen's source: the keys in its head and the marks at its lines.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, ensure};

use crate::expectation::Expectation;

/// One program of the zoo.
#[derive(Debug)]
pub(crate) struct Specimen {
    /// Name of the program and of its source file.
    pub(crate) id: String,
    /// What has to be said of it; `None` if nothing must be.
    pub(crate) expected: Option<Expectation>,
}

/// Specimens in `directory` whose names begin with one of `only`, by name; all of them
/// if `only` is empty.
pub(crate) fn read_all(directory: &Path, only: &[String]) -> anyhow::Result<Vec<Specimen>> {
    let sources = directory.join("src/bin");
    let entries =
        fs::read_dir(&sources).with_context(|| format!("no specimens in {}", sources.display()))?;
    let mut specimens = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let Some(id) = path.file_stem().and_then(|stem| stem.to_str()) else {
            continue;
        };
        if only.is_empty() || only.iter().any(|prefix| id.starts_with(prefix)) {
            let source = fs::read_to_string(&path)?;
            specimens.push(Specimen::parse(id, &source).with_context(|| id.to_owned())?);
        }
    }
    specimens.sort_by(|one, other| one.id.cmp(&other.id));
    ensure!(!specimens.is_empty(), "no specimen is called so");
    Ok(specimens)
}

impl Specimen {
    /// Whether somebody who sees nothing but slow polls can be right about it.
    pub(crate) fn is_for_outside(&self) -> bool {
        let mut expected = self.expected.iter();
        expected.all(|expected| expected.code == "slow-poll")
    }

    fn parse(id: &str, source: &str) -> anyhow::Result<Specimen> {
        let head = head(source);
        let expected = match head.get("expect").map(String::as_str) {
            Some("report") => Some(Expectation::new(&head, &marks(source))?),
            Some("clean") => None,
            other => anyhow::bail!("`expect` is {other:?}, not report or clean"),
        };
        Ok(Specimen {
            id: id.to_owned(),
            expected,
        })
    }
}

/// The `//! key: value` lines; a line that is indented goes on with the one before.
pub(crate) fn head(source: &str) -> BTreeMap<String, String> {
    let mut head = BTreeMap::new();
    let mut last: Option<String> = None;
    for line in source.lines().map_while(|line| line.strip_prefix("//!")) {
        let goes_on = line.starts_with("   ");
        match (line.split_once(':'), &last) {
            (_, Some(key)) if goes_on => {
                let value: &mut String = head.entry(key.clone()).or_default();
                value.push(' ');
                value.push_str(line.trim());
            }
            (Some((key, value)), _) => {
                let key = key.trim().to_owned();
                head.insert(key.clone(), value.trim().to_owned());
                last = Some(key);
            }
            (None, _) => {}
        }
    }
    head
}

/// The lines, from 1, that a comment `// MARK:name` stands on, by name.
pub(crate) fn marks(source: &str) -> BTreeMap<String, Vec<u64>> {
    let mut marks: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (line, number) in source.lines().zip(1..) {
        let Some((_, mark)) = line.split_once("// MARK:") else {
            continue;
        };
        let name = mark
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .next();
        let name = name.unwrap_or_default().to_owned();
        marks.entry(name).or_default().push(number);
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_keys_and_longer_values() {
        let head =
            head("//! id: b1\n//! class: lock (a,\n//!   b: c)\n//! culprit: x\nuse y: z;\n");
        assert_eq!(head["id"], "b1");
        assert_eq!(head["class"], "lock (a, b: c)");
        assert_eq!(head["culprit"], "x");
        assert_eq!(head.len(), 3);
    }

    #[test]
    fn marks_are_the_lines_they_stand_on() {
        let marks = marks(
            "//! culprit: at MARK:culprit\nf(); // MARK:culprit (so)\n\ng(); // MARK:culprit\nh() // MARK:spawn\n",
        );
        assert_eq!(marks["culprit"], [2, 4]);
        assert_eq!(marks["spawn"], [5]);
    }

    #[test]
    fn what_is_neither_reported_nor_clean_is_refused() {
        assert!(Specimen::parse("x", "//! id: x\n").is_err());
        assert!(
            Specimen::parse("x", "//! expect: clean\n")
                .unwrap()
                .expected
                .is_none()
        );
    }
}
