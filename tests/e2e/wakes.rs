//! Wakers that nobody keeps, and wakers that are called all the time.

use asyncwatch_tests::{Check, Checked};

fn of(specimen: &'static str, mode: &str) -> Checked {
    Check::of(specimen).args(&[mode]).run()
}

#[track_caller]
fn is_silent(checked: &Checked) {
    checked.exits(0);
    assert!(checked.findings().is_empty(), "{checked}");
}

#[test]
fn a_task_that_nobody_can_wake_is_reported() {
    let checked = of("lost_waker", "lost");
    checked.exits(1).blames_the_marked_lines();
    let finding = checked.only();
    assert_eq!(finding["code"], "lost-waker");
    assert!(finding["wall_ms"].as_f64().unwrap() >= 200.0, "{checked}");
}

#[test]
fn a_task_that_somebody_can_wake_is_not_reported() {
    is_silent(&of("lost_waker", "healthy"));
}

#[test]
fn who_throws_the_last_waker_of_a_task_away_is_reported() {
    let checked = of("replaced_waker", "displaced");
    checked.exits(1).blames_the_marked_lines();
    assert_eq!(checked.only()["code"], "lost-waker");
}

#[test]
fn who_wakes_the_task_that_it_displaces_is_not() {
    is_silent(&of("replaced_waker", "woken"));
}

#[test]
fn a_storm_of_self_wakes_is_reported_with_its_line() {
    let checked = of("self_wake", "storm");
    checked.exits(1).blames_the_marked_lines();
    assert_eq!(checked.only()["code"], "self-wake");
}

#[test]
fn tasks_that_yield_or_feed_themselves_are_not_reported() {
    is_silent(&of("self_wake", "healthy"));
}
