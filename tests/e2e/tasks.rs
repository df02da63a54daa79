//! How tasks end, or do not.

use asyncwatch_tests::{Check, lines};

#[test]
fn tasks_left_waiting_at_the_end_are_leaked() {
    let checked = Check::of("leaked").run();
    checked.exits(1).blames_the_marked_lines();
    let finding = checked.only();
    assert_eq!(finding["code"], "task-leaked");
    assert_eq!(finding["label"], "spawned here, 25 of 25 still alive");
}

#[test]
fn a_pool_a_flusher_and_open_connections_are_not_leaked() {
    let checked = Check::of("not_leaked").run();
    checked.exits(0);
    assert!(checked.findings().is_empty(), "{checked}");
}

#[test]
fn tasks_dropped_before_their_end_are_told_with_the_reason_if_asked_for() {
    let checked = Check::of("dropped_pending")
        .with(&["--warn", "task-dropped-pending"])
        .run();
    checked.exits(0);
    let told = checked.findings();
    let marked = lines("dropped_pending", "CULPRIT");
    assert_eq!(told.len(), marked.len(), "{checked}");
    for (line, why) in marked {
        let mut here = told
            .iter()
            .filter(|finding| finding["culprit"]["line"] == line);
        let finding = here.next().expect("each line is blamed");
        let message = finding["message"].as_str().expect("a sentence");
        assert!(message.contains(&why), "{checked}");
        let count = if why == "aborted" { 1 } else { 100 };
        assert_eq!(finding["count"], count, "{checked}");
    }
}

#[test]
fn tasks_dropped_before_their_end_are_nobodys_business_by_default() {
    let checked = Check::of("dropped_pending").run();
    checked.exits(0);
    assert!(checked.findings().is_empty(), "{checked}");
}
