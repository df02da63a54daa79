//! What runtimes, their workers and their blocking pools do.

use asyncwatch_tests::{Check, Checked, lines};

fn codes(checked: &Checked) -> Vec<&str> {
    let findings = checked.findings();
    let mut codes: Vec<&str> = findings
        .iter()
        .filter_map(|finding| finding["code"].as_str())
        .collect();
    codes.sort_unstable();
    codes
}

#[test]
fn a_first_poll_that_computes_for_long_never_yields() {
    let checked = Check::of("never_yielded").run();
    checked.exits(1).blames_the_marked_lines();
    assert_eq!(codes(&checked), ["never-yielded", "slow-poll"], "{checked}");
}

#[test]
#[cfg_attr(
    not(tokio_unstable),
    ignore = "tokio does not tell the length of a worker's own queue"
)]
fn a_worker_with_too_many_ready_tasks_is_starved() {
    let checked = Check::of("starved").run();
    checked.exits(0);
    if checked.findings().is_empty() && checked.text().contains("the machine was busy") {
        return;
    }
    checked.blames_the_marked_lines();
    assert_eq!(checked.only()["code"], "starved-worker", "{checked}");
}

#[test]
fn a_busy_worker_with_few_tasks_is_not_starved() {
    let checked = Check::of("starved").args(&["few"]).run();
    checked.exits(0);
    assert!(checked.findings().is_empty(), "{checked}");
}

#[test]
#[cfg_attr(
    not(tokio_unstable),
    ignore = "tokio does not tell how full its pool is"
)]
fn closures_that_wait_for_a_thread_show_who_holds_them() {
    let checked = Check::of("pool_full").run();
    checked.exits(0).blames_the_marked_lines();
    let finding = checked.only();
    assert_eq!(finding["code"], "blocking-pool-saturated");
    assert_eq!(finding["label"], "2 of 2 threads looked at are here");
}

#[test]
#[cfg_attr(not(tokio_unstable), ignore = "nothing in it is watched without hooks")]
fn a_full_pool_of_short_closures_is_not_saturated() {
    let checked = Check::of("pool_full").args(&["busy"]).run();
    checked.exits(0);
    assert!(checked.findings().is_empty(), "{checked}");
}

#[test]
fn a_closure_that_goes_on_after_main_is_told() {
    let checked = Check::of("outlives").run();
    checked.exits(0).blames_the_marked_lines();
    assert_eq!(checked.only()["code"], "blocking-outlives-runtime");
}

#[test]
fn a_closure_that_is_awaited_or_ends_soon_outlives_nobody() {
    let checked = Check::of("outlives").args(&["awaited"]).run();
    checked.exits(0);
    assert!(checked.findings().is_empty(), "{checked}");
}

#[test]
fn workers_of_several_runtimes_are_told_apart() {
    for (line, mark) in lines("runtimes", "CULPRIT") {
        let (runtime, worker) = mark.split_once(": ").expect("runtime and worker");
        let checked = Check::of("runtimes").args(&[runtime]).run();
        checked.exits(1);
        let finding = checked.only();
        assert_eq!(finding["culprit"]["line"], line, "{checked}");
        assert_eq!(finding["worker"], worker, "{checked}");
    }
}
