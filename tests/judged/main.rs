//! Tests with rules of their own, run for real: what `#[asyncwatch::test(..)]` lets pass
//! and what it fails, and with which words.
//!
//! The specimens are tests of this very program, ignored unless the tests below run them
//! in a process of their own.

#![allow(missing_docs, reason = "a test program")]

mod specimens;

use std::{
    env,
    process::Command,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

/// One run of some specimens.
struct Run {
    text: String,
    code: Option<i32>,
}

/// Runs these specimens, so many at a time.
fn run_with(threads: usize, names: &[&str]) -> Run {
    let mut command = Command::new(env::current_exe().expect("the test has a path"));
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("ASYNCWATCH") {
            command.env_remove(name);
        }
    }
    let output = command
        .args(["--ignored", "--exact"])
        .args(names.iter().map(|name| format!("specimens::{name}")))
        .arg(format!("--test-threads={threads}"))
        .env("ASYNCWATCH_ADDR", "off")
        .env("NO_COLOR", "1")
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("the specimens run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Run {
        text: text(&output.stdout) + &text(&output.stderr),
        code: output.status.code(),
    }
}

fn run(name: &str) -> Run {
    run_with(1, &[name])
}

impl Run {
    #[track_caller]
    fn passes(&self) {
        assert_eq!(self.code, Some(0), "{}", self.text);
        assert!(!self.text.contains(" 0 passed"), "{}", self.text);
    }

    #[track_caller]
    fn fails(&self) -> &Run {
        assert_eq!(self.code, Some(101), "{}", self.text);
        self
    }

    #[track_caller]
    fn says(&self, words: &str) -> &Run {
        assert!(self.text.contains(words), "no `{words}` in:\n{}", self.text);
        self
    }

    #[track_caller]
    fn does_not_say(&self, words: &str) -> &Run {
        assert!(!self.text.contains(words), "`{words}` in:\n{}", self.text);
        self
    }

    /// That the specimen passed or failed.
    #[track_caller]
    fn tells(&self, name: &str, outcome: &str) -> &Run {
        self.says(&format!("test specimens::{name} ... {outcome}"))
    }
}

/// The line of `specimens.rs` that ends in `// MARK`, as findings name it.
fn place(mark: &str) -> String {
    let source = include_str!("specimens.rs");
    let line = source
        .lines()
        .position(|line| line.ends_with(&format!("// {mark}")));
    format!(
        "tests/judged/specimens.rs:{}",
        line.expect("the mark is there") + 1
    )
}

#[test]
fn a_poll_that_blocks_for_the_limit_fails_its_test() {
    run("blocks")
        .fails()
        .says("test `judged::specimens::blocks` denies slow-poll, and this was found:")
        .says("error[slow-poll]:")
        .says("(limit 20 ms)")
        .says(&place("BLOCKS"));
}

#[test]
fn of_tests_side_by_side_the_one_that_blocks_fails() {
    let both = ["blocks_beside", "clean_beside"];
    run_with(2, &both)
        .fails()
        .tells("blocks_beside", "FAILED")
        .tells("clean_beside", "ok")
        .does_not_say("`judged::specimens::clean_beside` denies");
}

#[test]
fn on_one_thread_the_next_test_is_not_blamed() {
    run_with(1, &["a_blocks", "b_is_clean"])
        .fails()
        .tells("a_blocks", "FAILED")
        .tells("b_is_clean", "ok");
}

#[test]
fn a_limit_of_its_own_may_be_longer() {
    run("blocks_within_its_limit").passes();
}

#[test]
fn a_busy_machine_fails_no_test() {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let run = run("computes_little_at_a_time");
        over.store(true, Relaxed);
        run.passes();
    });
}

#[test]
fn what_was_not_asked_for_is_told_and_passes() {
    run("blocks_without_rules").passes();
    run("blocks_and_is_allowed_to").passes();
}

#[test]
fn errors_that_a_test_swallows_hide_nothing() {
    run("swallows_what_its_worker_did")
        .fails()
        .says("error[slow-poll]:")
        .says(&place("SWALLOWED"));
}

#[test]
fn a_test_keeps_its_own_failure_and_the_finding_is_told() {
    run("panics_by_itself")
        .fails()
        .says("its own panic")
        .says("error[slow-poll]:");
    run("returns_an_error")
        .fails()
        .says("its own error")
        .says("error[slow-poll]:");
}

#[test]
fn other_kinds_are_denied_by_name() {
    run("forgets_to_await")
        .fails()
        .says("denies never-awaited")
        .says("error[never-awaited]:")
        .says(&place("FORGOTTEN"));
    run("leaves_a_task")
        .fails()
        .says("error[task-leaked]:")
        .says("1 task");
    #[cfg(tokio_unstable)]
    run("leaves_a_task").says(&place("LEFT"));
}

#[test]
fn forgetting_everywhere_else_does_not_hide_it_here() {
    run_with(1, &["a_forgets_often", "forgets_to_await"])
        .fails()
        .tells("a_forgets_often", "ok")
        .tells("forgets_to_await", "FAILED");
}

#[test]
fn each_test_answers_for_what_others_did_at_the_same_place() {
    for threads in [1, 2] {
        run_with(threads, &["a_is_careless", "b_is_careless"])
            .fails()
            .says("test `judged::specimens::a_is_careless` denies large-future, unjoined")
            .says("test `judged::specimens::b_is_careless` denies large-future, unjoined");
    }
}

#[test]
fn tasks_that_end_soon_or_are_meant_to_go_on_are_no_leaks() {
    run("leaves_a_task_that_ends").passes();
    run("leaves_a_detached_task").passes();
}

#[test]
fn a_test_whose_time_is_up_tells_what_goes_on() {
    let run = run("hangs");
    run.fails()
        .says("test `judged::specimens::hangs` did not end within 300 ms")
        .says("specimens::hangs")
        .says("waits;")
        .says(&place("STAYS"));
}

#[test]
fn a_worker_that_is_stuck_is_told_with_its_stack() {
    run("hangs_on_its_worker")
        .fails()
        .says("did not end within 300 ms")
        .says("worker 0 has polled")
        .says(&place("STUCK_WORKER"));
}

#[test]
fn a_test_that_cannot_be_ended_ends_its_process() {
    run("is_stuck")
        .fails()
        .says("did not end within 300 ms")
        .says(&place("STUCK"))
        .says("is stuck and cannot be ended, so the process exits");
}

#[test]
fn a_test_in_time_has_a_timeout_for_nothing() {
    run("ends_in_time").passes();
}

#[test]
fn every_kind_of_finding_has_a_name_in_rules() {
    run("allows_everything").passes();
}

/// An ignored test that nobody runs would prove nothing.
#[test]
fn every_specimen_is_run() {
    let names: Vec<&str> = include_str!("specimens.rs")
        .split("#[ignore = ")
        .skip(1)
        .filter_map(|rest| rest.split_once("fn ")?.1.split('(').next())
        .collect();
    assert!(!names.is_empty());
    for name in names {
        let run = format!("\"{name}\"");
        assert!(include_str!("main.rs").contains(&run), "nobody runs {name}");
    }
}
