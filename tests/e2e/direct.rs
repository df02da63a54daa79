//! Programs run by themselves: what they say, and where.

use std::{
    process::{Command, Output},
    time::Instant,
};

use asyncwatch_tests::program;

fn run(specimen: &str, environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program(specimen));
    for name in [
        "ASYNCWATCH",
        "ASYNCWATCH_MAX_POLL",
        "ASYNCWATCH_REPORT",
        "ASYNCWATCH_LEVELS",
        "ASYNCWATCH_LIMITS",
        "ASYNCWATCH_GRACE",
        "ASYNCWATCH_CHECK",
    ] {
        command.env_remove(name);
    }
    command
        .env("ASYNCWATCH_ADDR", "off")
        .env("NO_COLOR", "1")
        .envs(environment.iter().copied())
        .output()
        .expect("the specimen runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn without_a_subscriber_findings_go_to_stderr_while_the_poll_blocks() {
    let output = run("thread_sleep", &[]);
    assert!(output.status.success());
    let said = stderr(&output);
    assert!(said.contains("warning[slow-poll]"), "{said}");
    assert!(said.contains("and still does"), "{said}");
    assert!(said.contains("let go of"), "{said}");
    assert!(
        said.contains("thread::sleep(Duration::from_millis(300)); // CULPRIT"),
        "{said}"
    );
    assert!(stdout(&output).is_empty());
}

#[test]
fn the_program_is_told_of_findings_and_a_broken_sink_does_no_harm() {
    let output = run("sink", &[]);
    assert!(output.status.success(), "{output:?}");
    let told = stdout(&output);
    assert_eq!(
        told.matches("told of slow-poll seen 1").count(),
        1,
        "{told}"
    );
    assert!(told.ends_with("served\n"), "{told}");
    let said = stderr(&output);
    assert!(said.contains("is not called any more"), "{said}");
}

#[test]
fn with_a_subscriber_they_are_events_of_its_log() {
    let output = run("traced", &[]);
    assert!(output.status.success());
    let log = stdout(&output);
    assert!(log.contains("WARN asyncwatch"), "{log}");
    assert!(log.contains("specimens/traced.rs"), "{log}");
    assert!(
        !stderr(&output).contains("slow-poll"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn off_means_off() {
    let output = run("thread_sleep", &[("ASYNCWATCH", "0")]);
    assert!(output.status.success());
    assert_eq!(stderr(&output), "");
}

#[test]
fn a_wrong_value_is_warned_of_and_does_no_harm() {
    let output = run("thread_sleep", &[("ASYNCWATCH_MAX_POLL", "soon")]);
    assert!(output.status.success());
    let said = stderr(&output);
    assert!(said.contains("ASYNCWATCH_MAX_POLL is ignored"), "{said}");
    assert!(said.contains("warning[slow-poll]"), "{said}");
}

#[test]
fn an_allowed_level_is_silent() {
    let output = run("thread_sleep", &[("ASYNCWATCH_LEVELS", "slow-poll=allow")]);
    assert!(output.status.success());
    assert!(!stderr(&output).contains("worker"), "{}", stderr(&output));
}

#[test]
fn a_flood_is_a_readable_log_that_says_what_it_left_out() {
    let started = Instant::now();
    let output = run("flood", &[("ASYNCWATCH_MAX_POLL", "2ms")]);
    assert!(output.status.success());
    let said = stderr(&output);
    let minutes = started.elapsed().as_secs() as usize / 60 + 1;
    let shown = said.matches("warning[slow-poll]").count();
    assert!((1..=30 * minutes).contains(&shown), "{shown} in {said}");
    let goes_on = said.matches("let go of").count() + said.matches("still holds").count();
    assert!(goes_on <= 30 * minutes, "{goes_on} in {said}");
    assert!(said.contains("were not shown"), "{said}");
}
