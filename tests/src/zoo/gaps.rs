//! What is known to fall short, each with its reason: `known-gaps.txt` beside the
//! specimens. Everything else that falls short is a regression.

use std::{fmt::Write, fs, path::Path};

use anyhow::{Context, ensure};

use crate::score::{Aspect, Score};

/// The list.
pub(crate) struct Gaps(Vec<Gap>);

/// One line: `SPECIMEN CONFIGURATION ASPECT[,ASPECT] REASON`; a `*` in the first two
/// stands for anything.
#[derive(Debug)]
struct Gap {
    specimen: String,
    configuration: String,
    aspects: Vec<String>,
    reason: String,
}

/// Reads the list; it is empty if there is no file.
pub(crate) fn read(directory: &Path) -> anyhow::Result<Gaps> {
    let path = directory.join("known-gaps.txt");
    let text = fs::read_to_string(&path).unwrap_or_default();
    parse(&text).with_context(|| path.display().to_string())
}

fn parse(text: &str) -> anyhow::Result<Gaps> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(Gap::parse)
        .collect::<anyhow::Result<_>>()
        .map(Gaps)
}

impl Gap {
    fn parse(line: &str) -> anyhow::Result<Gap> {
        let mut words = line.split_whitespace();
        let mut next = || words.next().map(str::to_owned).unwrap_or_default();
        let (specimen, configuration, aspects) = (next(), next(), next());
        let aspects: Vec<String> = aspects.split(',').map(str::to_owned).collect();
        for aspect in &aspects {
            let known = Aspect::ALL.iter().any(|known| known.name() == aspect);
            ensure!(known, "`{aspect}` in `{line}` is no aspect");
        }
        let reason = words.collect::<Vec<_>>().join(" ");
        ensure!(!reason.is_empty(), "`{line}` has no reason");
        Ok(Gap {
            specimen,
            configuration,
            aspects,
            reason,
        })
    }

    fn covers(&self, id: &str, configuration: &str, aspect: Aspect) -> bool {
        matches(&self.specimen, id)
            && matches(&self.configuration, configuration)
            && self.aspects.iter().any(|name| name == aspect.name())
    }
}

/// Does `text` look like `pattern`, in which each `*` stands for anything?
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.map(|at| &text[at..]).any(|end| matches(rest, end))
        }),
        None => pattern == text,
    }
}

impl Gaps {
    fn covers(&self, id: &str, configuration: &str, aspect: Aspect) -> bool {
        self.0
            .iter()
            .any(|gap| gap.covers(id, configuration, aspect))
    }

    /// What falls short and is not on the list, a sentence each.
    pub(crate) fn failures(&self, scores: &[Score], configuration: &str) -> Vec<String> {
        let mut failures = Vec::new();
        for score in scores {
            for (aspect, right) in &score.right {
                if *right < score.runs && !self.covers(&score.id, configuration, *aspect) {
                    failures.push(format!(
                        "{}, {configuration}: {} right in {right} of {} runs",
                        score.id,
                        aspect.name(),
                        score.runs
                    ));
                }
            }
        }
        failures
    }

    /// Which gaps did not show in any run: perhaps they can be struck off.
    pub(crate) fn closed(&self, scores: &[Score], configuration: &str) -> String {
        let mut text = String::new();
        for gap in &self.0 {
            let mut concerned = scores
                .iter()
                .flat_map(|score| score.right.iter().map(move |right| (score, right)))
                .filter(|(score, (aspect, _))| gap.covers(&score.id, configuration, **aspect))
                .peekable();
            let shows = concerned.peek().is_none()
                || concerned.any(|(score, (_, right))| *right < score.runs);
            if !shows {
                let _ = writeln!(
                    text,
                    "gap did not show: {} {}: {}",
                    gap.specimen, configuration, gap.reason
                );
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(id: &str, right: u32) -> Score {
        Score {
            id: id.to_owned(),
            reported: true,
            runs: 3,
            right: [(Aspect::Found, 3), (Aspect::Line, right)].into(),
            remarks: Default::default(),
        }
    }

    #[test]
    fn what_falls_short_is_a_regression_unless_it_is_known() {
        let gaps = parse("# comment\n\nb1 *-stable line,class no hooks there\n").unwrap();
        let scores = [score("b1", 2), score("b2", 3)];
        assert!(gaps.failures(&scores, "debug-stable").is_empty());
        assert_eq!(
            gaps.failures(&scores, "debug-unstable"),
            ["b1, debug-unstable: line right in 2 of 3 runs"]
        );
    }

    #[test]
    fn patterns_may_have_several_stars() {
        assert!(matches("*-stable*", "debug-stable-busy"));
        assert!(matches("*-stable*", "release-stable"));
        assert!(!matches("*-stable*", "debug-unstable"));
        assert!(matches("*", "anything") && !matches("b1", "b10"));
    }

    #[test]
    fn gaps_that_closed_are_told() {
        let gaps = parse("b1 * line reason\nb9 * line not run\n").unwrap();
        assert!(gaps.closed(&[score("b1", 2)], "debug-stable").is_empty());
        assert_eq!(
            gaps.closed(&[score("b1", 3)], "debug-stable"),
            "gap did not show: b1 debug-stable: reason\n"
        );
    }

    #[test]
    fn a_gap_needs_a_reason_and_a_known_aspect() {
        assert!(parse("b1 * line").is_err());
        assert!(parse("b1 * lime reason").is_err());
    }
}
