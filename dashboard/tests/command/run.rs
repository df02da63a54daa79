//! `asyncwatch run --headless`, `asyncwatch explain` and `cargo asyncwatch`.

use std::process::{Command, Stdio};

use crate::fake::*;
use asyncwatch_findings::Level;
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn headless_runs_print_what_was_found() {
    let scene = Scene::new();
    let script = scene.reports(
        "app",
        &[process(), found(slow_poll(Level::Warn)), totals(), end()],
    ) + "echo served; exit 4";
    let done = scene.asyncwatch(&["run", "--headless"], &script).exits(0);
    assert_eq!(done.stdout, "served\n");
    done.says("warning[slow-poll]")
        .says("the command exited with code 4")
        .says("1 warning");
}

#[test]
fn programs_get_any_free_port() {
    let scene = Scene::new();
    let done = scene.asyncwatch(&["run", "--headless"], "echo $ASYNCWATCH $ASYNCWATCH_ADDR");
    assert_eq!(done.exits(0).stdout, "1 127.0.0.1:0\n");
}

#[test]
fn time_over_stops_the_program_and_what_it_started() {
    let scene = Scene::new();
    let pid = scene.path("pid");
    let script = scene.reports("app", &[process(), totals()])
        + &format!(
            "(while :; do sleep 0.05; done) & echo $! > '{}'; wait",
            pid.display()
        );
    let done = scene
        .asyncwatch(&["run", "--headless", "--for", "500ms"], &script)
        .exits(0);
    done.says("1 process watched")
        .does_not_say("the command was");
    wait_gone(wait_for(&pid).trim().parse().expect("a process id"));
}

#[test]
fn programs_that_will_not_end_are_killed() {
    let scene = Scene::new();
    let script = "trap '' TERM; while :; do sleep 0.05; done";
    scene
        .asyncwatch(&["run", "--headless", "--for", "200ms"], script)
        .exits(0);
}

#[test]
fn interrupts_stop_the_program_and_print_the_report() {
    let scene = Scene::new();
    let pid = scene.path("pid");
    let script = scene.reports("app", &[process(), found(slow_poll(Level::Warn)), totals()])
        + &format!(
            "echo $$ > '{}'; while :; do sleep 0.05; done",
            pid.display()
        );
    let child = scene
        .command(&["run", "--headless", "--", "sh", "-c", &script])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let program = wait_for(&pid);
    kill_process(Pid::from_child(&child), Signal::INT).expect("sent");
    let output = child.wait_with_output().expect("ended");
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("warning[slow-poll]"));
    wait_gone(program.trim().parse().expect("a process id"));
}

#[test]
fn without_a_terminal_there_is_no_dashboard() {
    let scene = Scene::new();
    let done = scene
        .asyncwatch(&["run"], "echo ran")
        .exits(2)
        .says("add `--headless --for 10s`");
    assert_eq!(done.stdout, "", "the program did not run");
    scene
        .run(&mut scene.command(&["run", "--headless", "no-such-command"]))
        .exits(2)
        .says("was not found");
}

#[test]
fn codes_are_explained() {
    let scene = Scene::new();
    let page = scene
        .run(&mut scene.command(&["explain", "slow-poll"]))
        .exits(0)
        .stdout;
    assert!(page.starts_with("# slow-poll\n"), "{page}");
    let list = scene.run(&mut scene.command(&["explain"])).exits(0).stdout;
    assert!(list.contains("never-awaited"), "{list}");
    scene
        .run(&mut scene.command(&["explain", "x"]))
        .exits(2)
        .says("known are slow-poll, starved-worker");
}

#[test]
fn help_shows_how_to_begin() {
    let scene = Scene::new();
    let help = scene.run(&mut scene.command(&["--help"])).exits(0).stdout;
    for part in [
        "asyncwatch check -- cargo test",
        "run",
        "explain",
        "#[asyncwatch::main]",
    ] {
        assert!(help.contains(part), "no {part:?} in:\n{help}");
    }
    scene
        .run(&mut scene.command(&["chekc"]))
        .exits(2)
        .says("neither a command nor an address");
}

#[test]
fn cargo_finds_it_as_its_own_command() {
    let output = Command::new(env!("CARGO_BIN_EXE_cargo-asyncwatch"))
        .args(["asyncwatch", "explain", "slow-poll"])
        .output()
        .expect("started");
    assert!(output.stdout.starts_with(b"# slow-poll"));
}
