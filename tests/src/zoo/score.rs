//! Judges reports by what the specimens' heads ask for.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

use crate::{expectation::Expectation, run::Ran, specimen::Specimen};

/// What can be right or wrong about a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Aspect {
    /// The right code was reported; of a clean specimen: nothing was.
    Found,
    /// The culprit is on a marked line.
    Line,
    /// The class, and the system call where the head names one.
    Class,
    /// The help says what the head asks for.
    Help,
    /// The async function is shown.
    Function,
}

impl Aspect {
    pub(crate) const ALL: [Aspect; 5] = [
        Aspect::Found,
        Aspect::Line,
        Aspect::Class,
        Aspect::Help,
        Aspect::Function,
    ];

    /// As the table and the list of gaps call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Aspect::Found => "found",
            Aspect::Line => "line",
            Aspect::Class => "class",
            Aspect::Help => "help",
            Aspect::Function => "fn",
        }
    }
}

/// One run, judged.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Aspects that apply, and whether each is right.
    pub(crate) aspects: BTreeMap<Aspect, bool>,
    /// What is wrong, or was reported beyond what was asked for, for people.
    pub(crate) remarks: Vec<String>,
}

impl Outcome {
    /// Nothing is wrong.
    pub(crate) fn is_right(&self) -> bool {
        self.aspects.values().all(|right| *right)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wrong: Vec<&str> = self
            .aspects
            .iter()
            .filter(|(_, right)| !**right)
            .map(|(aspect, _)| aspect.name())
            .collect();
        if wrong.is_empty() {
            write!(f, "right")?;
        } else {
            write!(f, "WRONG in {}", wrong.join(", "))?;
        }
        for remark in &self.remarks {
            write!(f, "\n    {remark}")?;
        }
        Ok(())
    }
}

/// All runs of a specimen.
#[derive(Debug)]
pub(crate) struct Score {
    /// Its name.
    pub(crate) id: String,
    /// Whether something has to be reported of it.
    pub(crate) reported: bool,
    /// How many runs.
    pub(crate) runs: u32,
    /// In how many each aspect was right.
    pub(crate) right: BTreeMap<Aspect, u32>,
    /// Remarks, with how many runs made them.
    pub(crate) remarks: BTreeMap<String, u32>,
}

impl Score {
    pub(crate) fn new(specimen: &Specimen) -> Score {
        Score {
            id: specimen.id.clone(),
            reported: specimen.expected.is_some(),
            runs: 0,
            right: BTreeMap::new(),
            remarks: BTreeMap::new(),
        }
    }

    pub(crate) fn add(&mut self, outcome: Outcome) {
        self.runs += 1;
        for (aspect, right) in outcome.aspects {
            *self.right.entry(aspect).or_default() += u32::from(right);
        }
        for remark in outcome.remarks {
            *self.remarks.entry(remark).or_default() += 1;
        }
    }
}

/// Judges one run; `void` if the specimen failed to do what it is for.
pub(crate) fn judge(specimen: &Specimen, ran: &Ran, void: bool) -> Outcome {
    let findings = reported(&ran.report);
    let mut outcome = match &specimen.expected {
        Some(expected) => judge_bug(specimen, expected, &findings),
        None => judge_clean(&findings),
    };
    let mut fail = |remark: String| {
        outcome.aspects.insert(Aspect::Found, false);
        outcome.remarks.push(remark);
    };
    if ran.timed_out {
        fail("killed: it did not end".to_owned());
    } else if ran.report.is_null() {
        fail(format!("no report; {}", ran.status));
    } else if !ran.output.contains("ZOO-OK") && !void {
        fail("the specimen did not say that it did its work".to_owned());
    }
    if void {
        outcome
            .remarks
            .push("the specimen did not do what it is for".to_owned());
    }
    outcome
}

/// Findings that people are shown, but for those that are the machine's affair.
fn reported(report: &Value) -> Vec<&Value> {
    let findings = report["findings"].as_array();
    findings
        .into_iter()
        .flatten()
        .filter(|finding| finding["level"] != "allow" && finding["class"] != "descheduled")
        .collect()
}

fn judge_clean(findings: &[&Value]) -> Outcome {
    Outcome {
        aspects: [(Aspect::Found, findings.is_empty())].into(),
        remarks: findings
            .iter()
            .map(|finding| format!("false: {}", brief(finding)))
            .collect(),
    }
}

fn judge_bug(specimen: &Specimen, expected: &Expectation, findings: &[&Value]) -> Outcome {
    let judged = |finding: &Value| aspects(specimen, expected, finding);
    let right = |finding: &Value| judged(finding).values().filter(|right| **right).count();
    let of_code = findings
        .iter()
        .filter(|finding| finding["code"] == expected.code);
    let best = of_code.max_by_key(|finding| {
        // Ties go to the finding that weighs more.
        (right(finding), finding["count"].as_u64())
    });
    let mut outcome = Outcome {
        aspects: match best {
            Some(best) => judged(best),
            None => none_right(expected),
        },
        remarks: Vec::new(),
    };
    let wrong = outcome.aspects.values().any(|right| !right);
    for finding in findings {
        let is_best = best.is_some_and(|best| std::ptr::eq(*best, *finding));
        if is_best && wrong {
            outcome.remarks.push(format!("got: {}", brief(finding)));
        } else if !(is_best
            || judged(finding).get(&Aspect::Line) == Some(&true)
                && finding["code"] == expected.code)
        {
            outcome.remarks.push(format!("also: {}", brief(finding)));
        }
    }
    outcome
}

/// What is right about a finding, of what the head asks for.
fn aspects(specimen: &Specimen, expected: &Expectation, finding: &Value) -> BTreeMap<Aspect, bool> {
    let mut aspects = none_right(expected);
    for (aspect, right) in &mut aspects {
        *right = match aspect {
            Aspect::Found => finding["code"] == expected.code,
            Aspect::Line => on_a_marked_line(specimen, expected, &finding["culprit"]),
            Aspect::Class => {
                let class = finding["class"].as_str().unwrap_or_default();
                let syscall = finding["syscall"].as_str().unwrap_or_default();
                let called = expected
                    .syscalls
                    .iter()
                    .any(|call| syscall.starts_with(call));
                expected.classes.contains(&class)
                    && (class == "cpu" || expected.syscalls.is_empty() || called)
            }
            Aspect::Help => {
                let help = finding["help"].as_str().unwrap_or_default();
                expected
                    .help
                    .as_deref()
                    .is_some_and(|words| help.contains(words))
            }
            Aspect::Function => expected
                .async_fn
                .as_deref()
                .is_some_and(|name| shows(finding, name)),
        };
    }
    aspects
}

/// The aspects that apply, none of them right.
fn none_right(expected: &Expectation) -> BTreeMap<Aspect, bool> {
    let applies = |aspect: &Aspect| match aspect {
        Aspect::Found => true,
        Aspect::Line => !expected.lines.is_empty(),
        Aspect::Class => !expected.classes.is_empty(),
        Aspect::Help => expected.help.is_some(),
        Aspect::Function => expected.async_fn.is_some(),
    };
    Aspect::ALL
        .into_iter()
        .filter(applies)
        .map(|aspect| (aspect, false))
        .collect()
}

fn on_a_marked_line(specimen: &Specimen, expected: &Expectation, frame: &Value) -> bool {
    let file = frame["file"].as_str().unwrap_or_default();
    let line = frame["line"].as_u64().unwrap_or_default();
    file.ends_with(&format!("src/bin/{}.rs", specimen.id)) && expected.lines.contains(&line)
}

/// Is the function named anywhere people look?
fn shows(finding: &Value, function: &str) -> bool {
    let texts = [
        &finding["message"],
        &finding["label"],
        &finding["culprit"]["function"],
        &finding["task"]["name"],
    ];
    let notes = finding["notes"].as_array().into_iter().flatten();
    let stacks = finding["stacks"].as_array().into_iter().flatten();
    let frames = stacks
        .filter_map(|stack| stack["frames"].as_array())
        .flatten()
        .map(|frame| &frame["function"]);
    texts
        .into_iter()
        .chain(notes)
        .chain(frames)
        .filter_map(Value::as_str)
        .any(|text| has_word(text, function))
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|part| part == word)
}

/// A finding in one line.
fn brief(finding: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let file = text(&finding["culprit"]["file"]);
    let file = file.rsplit('/').next().unwrap_or_default().to_owned();
    let mut brief = format!("{} at {file}", text(&finding["code"]));
    if let Some(line) = finding["culprit"]["line"].as_u64() {
        brief.push_str(&format!(":{line}"));
    }
    for key in ["class", "syscall"] {
        if let Some(value) = finding[key].as_str() {
            let call = value.split('(').next().unwrap_or_default();
            brief.push_str(&format!(", {call}"));
        }
    }
    brief
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn specimen(classes: &'static [&'static str], syscalls: &[&str]) -> Specimen {
        Specimen {
            id: "b1".to_owned(),
            expected: Some(Expectation {
                code: "slow-poll",
                classes,
                syscalls: syscalls.iter().map(|&call| call.to_owned()).collect(),
                lines: vec![7],
                async_fn: Some("save".to_owned()),
                help: None,
            }),
        }
    }

    fn finding(line: u64, class: &str, syscall: Option<&str>) -> Value {
        json!({"code": "slow-poll", "level": "deny", "class": class, "syscall": syscall,
            "culprit": {"function": "b1::save::{closure}", "file": "/z/src/bin/b1.rs", "line": line}})
    }

    fn outcome(specimen: &Specimen, findings: &[Value]) -> Outcome {
        let report = json!({"findings": findings});
        judge_bug(
            specimen,
            specimen.expected.as_ref().unwrap(),
            &reported(&report),
        )
    }

    #[test]
    fn the_best_finding_counts_and_others_are_told() {
        let specimen = specimen(&["blocked"], &["futex"]);
        let judged = outcome(
            &specimen,
            &[
                finding(9, "blocked", Some("futex(0x1)")),
                finding(7, "blocked", Some("futex(0x1)")),
            ],
        );
        assert!(judged.aspects.values().all(|right| *right));
        assert_eq!(
            judged.remarks,
            ["also: slow-poll at b1.rs:9, blocked, futex"]
        );
    }

    #[test]
    fn class_and_line_are_judged_apart() {
        let specimen = specimen(&["blocked"], &["futex"]);
        let judged = outcome(&specimen, &[finding(8, "blocked", Some("read"))]);
        assert!(judged.aspects[&Aspect::Found]);
        assert!(!judged.aspects[&Aspect::Line]);
        assert!(!judged.aspects[&Aspect::Class]);
        assert!(judged.aspects[&Aspect::Function]);
        assert_eq!(judged.remarks, ["got: slow-poll at b1.rs:8, blocked, read"]);
    }

    #[test]
    fn what_is_allowed_or_the_machines_affair_is_not_reported() {
        let mut allowed = finding(7, "cpu", None);
        allowed["level"] = json!("allow");
        let report = json!({"findings": [allowed, finding(7, "descheduled", None)]});
        assert!(reported(&report).is_empty());
        assert!(judge_clean(&reported(&report)).aspects[&Aspect::Found]);
    }

    #[test]
    fn names_are_whole_words() {
        assert!(has_word("b1::save::{async_fn#0}", "save"));
        assert!(!has_word("b1::save_all", "save"));
    }
}
