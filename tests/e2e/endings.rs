//! Panics that nobody sees, tasks that nobody joins, and runtimes in the wrong place.

use asyncwatch_tests::{Check, Checked, lines};

fn of(specimen: &'static str, mode: &str) -> Checked {
    Check::of(specimen).args(&[mode]).run()
}

#[track_caller]
fn is_silent(checked: &Checked) {
    checked.exits(0);
    assert!(checked.findings().is_empty(), "{checked}");
}

#[test]
fn a_panic_nobody_awaits_is_reported() {
    let checked = of("panics", "dropped");
    checked.exits(1).blames_the_marked_lines();
    let finding = checked.only();
    assert_eq!(finding["code"], "panic-unobserved");
    let message = finding["message"].as_str().unwrap();
    assert!(message.contains("index out of bounds"), "{checked}");
    let (spawned, _) = lines("panics", "SPAWN")[0];
    assert_eq!(finding["task"]["spawned_at"]["line"], spawned);
}

#[test]
fn a_panic_whose_handle_outlives_the_program_is_reported() {
    let checked = of("panics", "kept");
    checked.exits(1).blames_the_marked_lines();
    let text = checked.text();
    assert!(text.contains("kept to the end and never awaited"), "{text}");
}

#[test]
fn an_awaited_panic_is_not_reported() {
    for mode in ["awaited", "awaited-later", "join-set"] {
        is_silent(&of("panics", mode));
    }
}

#[test]
fn tasks_that_are_detached_on_purpose_are_left_alone() {
    is_silent(
        &Check::of("detached")
            .with(&["--warn", "task-dropped-pending"])
            .args(&["quiet"])
            .run(),
    );
}

#[test]
fn a_panic_of_a_detached_task_is_reported_all_the_same() {
    let checked = of("detached", "panics");
    checked.exits(1).blames_the_marked_lines();
    assert_eq!(checked.only()["code"], "panic-unobserved");
}

#[test]
fn a_caught_panic_is_not_reported() {
    for mode in ["caught", "caught-around-the-poll"] {
        is_silent(&of("panics", mode));
    }
}

#[test]
fn runtimes_in_the_wrong_place_are_reported_with_their_line() {
    let checked = Check::of("misplaced_runtime").run();
    checked.exits(1).blames_the_marked_lines();
    for finding in checked.findings() {
        assert_eq!(finding["code"], "nested-block-on", "{checked}");
        assert!(finding["help"].is_string(), "{checked}");
    }
    let nested = checked.findings()[0];
    assert_eq!(nested["task"]["kind"], "task", "{checked}");
}

#[test]
fn outputs_that_nobody_takes_are_reported() {
    let checked = of("unjoined", "left");
    checked.exits(0);
    let (line, _) = lines("unjoined", "CULPRIT")[0];
    assert_eq!(checked.only()["culprit"]["line"], line, "{checked}");
    assert_eq!(checked.only()["code"], "unjoined");
    assert_eq!(checked.only()["level"], "warn");
}

#[test]
fn outputs_that_are_taken_late_are_not_reported() {
    for mode in ["joined-late", "drained-late", "let-go"] {
        is_silent(&of("unjoined", mode));
    }
}
