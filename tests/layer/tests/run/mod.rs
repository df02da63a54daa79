//! Runs a specimen, and reads its report stream.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

/// What a specimen said, and what was said of it.
#[derive(Debug)]
pub struct Run {
    findings: Vec<Value>,
    coverage: Vec<Value>,
    pub stdout: String,
    stderr: String,
}

/// Runs a case of a specimen.
#[track_caller]
pub fn run(specimen: &str, case: &str) -> Run {
    let directory = tempfile::tempdir().expect("a directory for the report");
    let output = Command::new(program(specimen))
        .arg(case)
        .env("ASYNCWATCH_REPORT", directory.path())
        .env("ASYNCWATCH_ADDR", "off")
        .env_remove("ASYNCWATCH_LEVELS")
        .env_remove("ASYNCWATCH_LIMITS")
        .env_remove("ASYNCWATCH_MAX_POLL")
        .env_remove("RUST_LOG")
        .output()
        .expect("the specimen runs");
    assert!(output.status.success(), "{output:?}");
    read(directory.path(), &output)
}

/// Lines of a specimen that end in `// MARK`, with the word after it.
pub fn marked(specimen: &str, mark: &str) -> Vec<(u64, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("specimens/{specimen}.rs"));
    let source = fs::read_to_string(path).expect("the specimen's source is here");
    let lines = source.lines().zip(1..).filter_map(|(line, number)| {
        let (_, comment) = line.split_once("; // ")?;
        let after = comment.strip_prefix(mark)?;
        (after.is_empty() || after.starts_with(' ')).then(|| (number, after.trim().to_owned()))
    });
    lines.collect()
}

fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test has a path");
    let profile = test.parent().and_then(Path::parent);
    profile
        .expect("tests lie in target/PROFILE/deps")
        .join(name)
}

fn read(directory: &Path, output: &Output) -> Run {
    let mut findings = BTreeMap::new();
    let mut coverage = Vec::new();
    for file in fs::read_dir(directory).expect("the report's directory") {
        let text = fs::read_to_string(file.expect("an entry").path()).expect("the report");
        for line in text.lines() {
            let event: Value = serde_json::from_str(line).expect("a line is JSON");
            match event["event"].as_str() {
                Some("finding") => {
                    findings.insert(event["id"].as_u64(), event);
                }
                Some("withdrawn") => {
                    findings.remove(&event["id"].as_u64());
                }
                Some("process") => {
                    coverage = event["coverage"].as_array().cloned().unwrap_or_default();
                }
                _ => {}
            }
        }
    }
    Run {
        findings: findings
            .into_values()
            .filter(|finding| finding["class"] != "descheduled")
            .collect(),
        coverage,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Run {
    /// All findings but those of class descheduled, which are the machine's affair.
    pub fn findings(&self) -> &[Value] {
        &self.findings
    }

    /// The findings with this code.
    pub fn of(&self, code: &str) -> Vec<&Value> {
        let of = |finding: &&Value| finding["code"] == code;
        self.findings.iter().filter(of).collect()
    }

    /// All notes of a finding.
    pub fn notes(&self, finding: &Value) -> String {
        finding["notes"].to_string()
    }

    /// Whether an aspect is covered, if it is spoken of.
    pub fn covers(&self, aspect: &str) -> Option<bool> {
        let spoken_of = self.coverage.iter().find(|it| it["aspect"] == aspect);
        spoken_of.and_then(|it| it["covered"].as_bool())
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding:#}")?;
        }
        writeln!(f, "{:?}", self.coverage)?;
        write!(f, "{}{}", self.stdout, self.stderr)
    }
}
