//! Programs that know nothing of asyncwatch, watched from outside.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use asyncwatch_tests::{Check, Checked, asyncwatch, lines};
use serde_json::Value;

fn plain(what: &str) -> Checked {
    Check::of("plain")
        .args(&[what])
        .env("ASYNCWATCH_MAX_POLL", "40ms")
        .run()
}

/// Requires one culprit, on a line with this mark.
#[track_caller]
fn blames(checked: &Checked, mark: &str) {
    checked.exits(1);
    let marked: Vec<u64> = lines("plain", mark).iter().map(|(n, _)| *n).collect();
    for finding in checked.findings() {
        let culprit = &finding["culprit"];
        let file = culprit["file"].as_str().unwrap_or_default();
        assert!(file.ends_with("specimens/plain.rs"), "{checked}");
        let line = culprit["line"].as_u64().unwrap_or_default();
        assert!(marked.contains(&line), "{checked}");
    }
}

#[test]
fn a_task_that_sleeps_is_seen() {
    let checked = plain("task");
    blames(&checked, "SLEEPS");
    let finding = checked.only();
    assert_eq!(finding["class"], "blocked");
    assert_eq!(finding["task"]["kind"], "task");
    let syscall = finding["syscall"].as_str().unwrap();
    assert!(syscall.starts_with("clock_nanosleep"), "{checked}");
    assert_eq!(checked.json["processes"][0]["timing"], "outside");
}

#[test]
fn so_are_roots_local_tasks_and_runtimes_made_by_hand() {
    for what in ["root", "local", "own-runtimes"] {
        let checked = plain(what);
        blames(&checked, "SLEEPS");
        let kind = if what == "local" { "task" } else { "block_on" };
        assert_eq!(checked.only()["task"]["kind"], kind, "{checked}");
    }
}

#[test]
fn a_poll_that_computes_is_seen_as_one() {
    let checked = plain("computes");
    blames(&checked, "COMPUTES");
    assert_eq!(checked.only()["class"], "cpu", "{checked}");
}

#[test]
fn many_short_calls_in_one_poll_are_one_slow_poll() {
    blames(&plain("writes"), "WRITES");
}

#[test]
fn a_lock_that_is_held_elsewhere_is_seen() {
    let checked = plain("waits");
    blames(&checked, "WAITS");
    assert_eq!(checked.only()["syscall"], "futex");
}

#[test]
fn where_blocking_is_fine_nothing_is_said() {
    let checked = plain("clean");
    checked.exits(0);
    assert!(checked.findings().is_empty(), "{checked}");
    assert!(checked.text().contains("watched from outside"), "{checked}");
}

#[test]
fn an_instrumented_program_is_not_watched_twice() {
    let checked = Check::of("thread_sleep").run();
    assert_eq!(checked.only()["count"], 1, "{checked}");
    let processes = checked.json["processes"].as_array().unwrap();
    assert_eq!(processes.len(), 1, "{checked}");
}

#[test]
fn who_wants_may_leave_it() {
    let checked = Check::of("plain")
        .with(&["--no-outside"])
        .args(&["task"])
        .run();
    checked.exits(2);
}

/// A project with tests, and where it is built.
struct Project {
    manifest: PathBuf,
    target: PathBuf,
}

impl Project {
    fn new() -> Project {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        Project {
            manifest: tests.join("plain/Cargo.toml"),
            target: tests.join("../target/plain"),
        }
    }

    fn cargo(&self, words: &[&str]) -> Vec<String> {
        let mut command: Vec<String> = [env!("CARGO")]
            .iter()
            .chain(words)
            .map(|&word| word.to_owned())
            .collect();
        for (flag, path) in [
            ("--manifest-path", &self.manifest),
            ("--target-dir", &self.target),
        ] {
            command.extend([flag.to_owned(), path.display().to_string()]);
        }
        command
    }

    fn check(&self, words: &[&str]) -> (Output, Value) {
        let report = self.target.join(format!("report-{}.json", words.join("-")));
        fs::create_dir_all(&self.target).unwrap();
        let _ = fs::remove_file(&report);
        let output = asyncwatch()
            .args(["check", "--max-poll", "50ms", "--report"])
            .arg(format!("json={}", report.display()))
            .arg("--")
            .args(self.cargo(words))
            // As users have it, whatever this repository is built with.
            .env("RUSTFLAGS", "")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .output()
            .unwrap();
        let text = fs::read_to_string(&report).unwrap_or_default();
        (output, serde_json::from_str(&text).unwrap_or_default())
    }

    /// With the mistake the check fails and names its line; without, it passes.
    fn is_judged(&self, words: &[&str]) {
        let (output, report) = self.check(&[words, &["--features", "planted"]].concat());
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}");
        let findings = report["findings"].as_array().unwrap();
        let [finding] = &findings[..] else {
            panic!("one finding: {text}");
        };
        let file = "pricing/src/lib.rs";
        let source = fs::read_to_string(self.manifest.with_file_name(file)).unwrap();
        let line = 1 + source
            .lines()
            .position(|line| line.contains("// CULPRIT"))
            .unwrap();
        assert_eq!(finding["culprit"]["line"], line, "{text}");
        let culprit = finding["culprit"]["file"].as_str().unwrap();
        assert!(culprit.ends_with(file), "{text}");

        let (output, report) = self.check(words);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert_eq!(report["verdict"], "pass", "{text}");
    }
}

/// One after the other: both build in the same place.
#[test]
fn the_tests_of_an_unmodified_project_are_judged() {
    Project::new().is_judged(&["test"]);
    let nextest = Command::new(env!("CARGO"))
        .args(["nextest", "--version"])
        .output();
    if nextest.is_ok_and(|output| output.status.success()) {
        Project::new().is_judged(&["nextest", "run"]);
    } else {
        eprintln!("not run with nextest: cargo-nextest is not installed");
    }
}
