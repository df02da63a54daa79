//! Runs real programs under `asyncwatch`, and reads what it says of them.
//!
//! The specimens are programs of this package, each with a known mistake or none;
//! comments `// CULPRIT` in them mark the lines that must be named. `asyncwatch` is
//! built here too, from the same code as the command that users install.

mod schema;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use serde_json::Value;

/// A program of this package, by its name.
pub fn program(name: &str) -> PathBuf {
    let test = env::current_exe().expect("the test has a path");
    let directory = test
        .parent()
        .and_then(Path::parent)
        .expect("tests lie in target/PROFILE/deps");
    let program = directory.join(name);
    assert!(
        program.exists(),
        "{} is not built: run `cargo test` at the root, or with `-p asyncwatch-tests`",
        program.display()
    );
    program
}

/// The command `asyncwatch`.
pub fn asyncwatch() -> Command {
    let mut command = Command::new(program("asyncwatch-under-test"));
    // What whoever runs the tests has set must not reach the programs.
    for name in [
        "ASYNCWATCH",
        "ASYNCWATCH_MAX_POLL",
        "ASYNCWATCH_TIMING",
        "ASYNCWATCH_ADDR",
        "ASYNCWATCH_REPORT",
        "ASYNCWATCH_LEVELS",
        "ASYNCWATCH_LIMITS",
        "ASYNCWATCH_GRACE",
        "ASYNCWATCH_CHECK",
        "GITHUB_ACTIONS",
    ] {
        command.env_remove(name);
    }
    command.env("NO_COLOR", "1");
    // A backtrace is printed inside the poll that panics: a slow poll of its own.
    command.env("RUST_BACKTRACE", "0");
    command
}

/// Lines of a specimen that end in `// MARK`, from 1, with what stands after the mark.
pub fn lines(specimen: &str, mark: &str) -> Vec<(u64, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("specimens")
        .join(format!("{specimen}.rs"));
    let source = fs::read_to_string(&path).expect("the specimen's source is here");
    let mark = format!("// {mark}");
    let marked = source.lines().zip(1..).filter_map(|(line, number)| {
        let (_, after) = line.split_once(&mark)?;
        Some((number, after.trim().to_owned()))
    });
    marked.collect()
}

/// One run of `asyncwatch check` over a specimen.
pub struct Check {
    specimen: &'static str,
    options: Vec<String>,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
}

impl Check {
    /// Checks the specimen with the defaults.
    pub fn of(specimen: &'static str) -> Check {
        Check {
            specimen,
            options: Vec::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Adds options of `asyncwatch check`.
    pub fn with(mut self, options: &[&str]) -> Check {
        self.options.extend(options.iter().map(|&o| o.to_owned()));
        self
    }

    /// Adds arguments of the specimen.
    pub fn args(mut self, arguments: &[&str]) -> Check {
        self.arguments
            .extend(arguments.iter().map(|&a| a.to_owned()));
        self
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: &'static str, value: &str) -> Check {
        self.environment.push((name, value.to_owned()));
        self
    }

    /// Runs it.
    pub fn run(self) -> Checked {
        static RUN: AtomicU32 = AtomicU32::new(0);
        let report = env::temp_dir().join(format!(
            "asyncwatch-e2e-{}-{}.json",
            std::process::id(),
            RUN.fetch_add(1, Relaxed)
        ));
        let output = asyncwatch()
            .arg("check")
            .arg("--report")
            .arg(format!("json={}", report.display()))
            .args(&self.options)
            .arg("--")
            .arg(program(self.specimen))
            .args(&self.arguments)
            .envs(self.environment)
            .output()
            .expect("asyncwatch runs");
        let text = fs::read_to_string(&report).ok();
        let json = text.map(|text| serde_json::from_str(&text).expect("the report is JSON"));
        json.iter().for_each(schema::check);
        // It may never have been written.
        let _ = fs::remove_file(&report);
        Checked {
            specimen: self.specimen,
            output,
            json: json.unwrap_or(Value::Null),
        }
    }
}

/// What a run came to.
#[derive(Debug)]
pub struct Checked {
    specimen: &'static str,
    output: Output,
    /// The JSON report; null if none was written.
    pub json: Value,
}

impl Checked {
    /// Everything that was printed.
    pub fn text(&self) -> String {
        format!(
            "{}{}",
            String::from_utf8_lossy(&self.output.stdout),
            String::from_utf8_lossy(&self.output.stderr)
        )
    }

    /// Requires this exit code.
    #[track_caller]
    pub fn exits(&self, code: i32) -> &Checked {
        assert_eq!(self.output.status.code(), Some(code), "{self}");
        self
    }

    /// All findings but those of class descheduled, which are the machine's affair.
    pub fn findings(&self) -> Vec<&Value> {
        let all = self.json["findings"].as_array();
        all.into_iter()
            .flatten()
            .filter(|finding| finding["class"] != "descheduled")
            .collect()
    }

    /// Requires the marked lines to be the culprits, each in at least one finding, and
    /// no other line of the program to be one.
    #[track_caller]
    pub fn blames_the_marked_lines(&self) -> &Checked {
        let marked: Vec<u64> = lines(self.specimen, "CULPRIT")
            .iter()
            .map(|(n, _)| *n)
            .collect();
        let mut blamed: Vec<u64> = self
            .findings()
            .iter()
            .filter_map(|finding| finding["culprit"]["line"].as_u64())
            .collect();
        blamed.sort_unstable();
        blamed.dedup();
        assert_eq!(blamed, marked, "{self}");
        for finding in self.findings() {
            let file = finding["culprit"]["file"].as_str().unwrap_or_default();
            assert!(
                file.ends_with(&format!("specimens/{}.rs", self.specimen)),
                "{self}"
            );
            // Without a stack the function is known by its bare name only.
            let stacks = finding["stacks"].as_array().map_or(0, Vec::len);
            let function = finding["culprit"]["function"].as_str().unwrap_or_default();
            assert!(
                function.contains(self.specimen) || stacks == 0,
                "{function} in {self}"
            );
        }
        self
    }

    /// The only finding.
    #[track_caller]
    pub fn only(&self) -> &Value {
        let findings = self.findings();
        assert_eq!(findings.len(), 1, "{self}");
        findings[0]
    }
}

impl std::fmt::Display for Checked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let report = serde_json::to_string_pretty(&self.json).map_err(|_| std::fmt::Error)?;
        write!(
            f,
            "{} ended with {}\n{}\n{report}",
            self.specimen,
            self.output.status,
            self.text()
        )
    }
}
