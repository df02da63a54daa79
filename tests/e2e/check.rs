//! `asyncwatch check`: who is blamed, for what, and with which exit code.

use asyncwatch_tests::{Check, lines};

#[test]
fn a_sleeping_task_is_caught_in_its_system_call() {
    let checked = Check::of("thread_sleep").run();
    checked.exits(1).blames_the_marked_lines();
    let finding = checked.only();
    assert_eq!(finding["code"], "slow-poll");
    assert_eq!(finding["class"], "blocked");
    assert!(
        finding["syscall"]
            .as_str()
            .unwrap()
            .starts_with("clock_nanosleep")
    );
    assert_eq!(finding["task"]["kind"], "task");
    let (spawned, _) = lines("thread_sleep", "SPAWN")[0];
    assert_eq!(finding["task"]["spawned_at"]["line"], spawned);
    assert!(finding["wall_ms"].as_f64().unwrap() >= 300.0);
    assert_eq!(finding["ongoing"], false);
    assert!(
        finding["help"]
            .as_str()
            .unwrap()
            .contains("tokio::time::sleep")
    );
}

#[test]
fn a_computing_task_is_caught_by_a_signal() {
    let checked = Check::of("cpu_loop").run();
    checked.exits(1).blames_the_marked_lines();
    let finding = checked.only();
    assert_eq!(finding["class"], "cpu");
    assert!(finding["cpu_ms"].as_f64().unwrap() >= 100.0);
}

#[test]
fn a_limit_can_follow_from_the_polls_themselves() {
    let checked = Check::of("many_polls").with(&["--max-poll", "auto"]).run();
    checked.exits(1).blames_the_marked_lines();
    let auto = &checked.json["auto_limit"];
    assert!(auto["polls"].as_u64().unwrap() >= 20_000, "{checked}");
    assert!(auto["p99_ms"].is_number(), "{checked}");
    let finding = checked.only();
    assert_eq!(finding["limit_ms"], auto["limit_ms"]);
    assert!(checked.text().contains("of 20"), "{checked}");
    let occurrence = &finding["occurrences"][0];
    assert!(
        occurrence["own_ms"].as_f64().unwrap() >= 1_000.0,
        "{checked}"
    );
}

fn coverage<'r>(checked: &'r asyncwatch_tests::Checked, aspect: &str) -> &'r serde_json::Value {
    let all = checked.json["coverage"].as_array().unwrap();
    let named = all.iter().find(|entry| entry["aspect"] == aspect);
    named.unwrap_or_else(|| panic!("no aspect {aspect} in {all:#?}"))
}

#[test]
fn watching_is_tried_out_when_it_starts() {
    let checked = Check::of("thread_sleep").run();
    let tried = coverage(&checked, "self-test");
    assert_eq!(tried["covered"], true, "{tried}");
    checked.only();
}

#[test]
fn what_a_sandbox_forbids_is_said() {
    let checked = Check::of("seccomp").run();
    checked.exits(0);
    let tried = coverage(&checked, "self-test");
    assert_eq!(tried["covered"], false, "{tried}");
    let detail = tried["detail"].as_str().unwrap();
    assert!(detail.contains("rt_tgsigqueueinfo"), "{detail}");
    assert!(
        checked.text().contains("a known poll that computes"),
        "{checked}"
    );
}

#[test]
fn a_task_that_waits_for_a_lock_is_blamed_not_the_holder() {
    let checked = Check::of("std_mutex").run();
    checked.exits(1).blames_the_marked_lines();
    let finding = checked.only();
    assert_eq!(finding["class"], "blocked");
    assert!(finding["syscall"].as_str().unwrap().starts_with("futex"));
    let holder = "the lock seems to be held by thread `holder`, in ";
    let notes = finding["notes"].as_array().unwrap();
    let told = |note: &&serde_json::Value| note.as_str().unwrap().starts_with(holder);
    assert!(notes.iter().any(|note| told(&note)), "{checked}");
}

#[test]
fn a_task_that_waits_for_the_disk_is_caught() {
    // Its time is the disk's and the kernel's; under load much of it is neither.
    let checked = Check::of("fs_sync").with(&["--max-poll", "10ms"]).run();
    checked.exits(1).blames_the_marked_lines();
}

#[test]
fn a_dropped_future_is_told_from_a_lost_select_and_an_aborted_task() {
    let checked = Check::of("never_awaited").run();
    checked.exits(1).blames_the_marked_lines();
    for finding in checked.findings() {
        assert_eq!(finding["code"], "never-awaited", "{checked}");
    }
    let all_of = |count: u64| checked.findings().iter().any(|f| f["count"] == count);
    assert!(all_of(3_000), "{checked}");
    assert!(
        checked.json["dropped"]["never-awaited-events"].is_null(),
        "{checked}"
    );
}

#[test]
fn healthy_work_is_left_alone() {
    let checked = Check::of("clean").run();
    checked.exits(0);
    assert!(checked.findings().is_empty(), "{checked}");
    assert_eq!(checked.json["verdict"], "pass");
}

#[test]
fn a_busy_machine_is_not_the_programs_fault() {
    let checked = Check::of("descheduled").run();
    checked.exits(0);
    assert!(checked.findings().is_empty(), "{checked}");
}

#[test]
fn a_poll_that_never_ends_is_reported_while_it_lasts() {
    let checked = Check::of("endless").args(&["2"]).run();
    checked.exits(1).blames_the_marked_lines();
    for finding in checked.findings() {
        assert_eq!(finding["ongoing"], true, "{checked}");
    }
}

#[test]
fn what_a_killed_process_had_is_delivered() {
    for way in ["kill", "abort"] {
        let checked = Check::of("killed").args(&[way]).run();
        let signal = if way == "kill" { 9 } else { 6 };
        checked.exits(128 + signal).blames_the_marked_lines();
    }
}

#[test]
fn block_in_place_is_not_a_finding() {
    let checked = Check::of("block_in_place").run();
    checked.exits(1).blames_the_marked_lines();
    checked.only();
}

#[test]
fn an_allowed_section_is_not_a_finding() {
    let checked = Check::of("allowed").run();
    checked.exits(1).blames_the_marked_lines();
    assert_eq!(checked.findings().len(), 2, "{checked}");
}

#[test]
fn the_innermost_watched_future_is_blamed() {
    let checked = Check::of("nested").run();
    checked.exits(1).blames_the_marked_lines();
    let finding = checked.only();
    assert_eq!(finding["task"]["name"], "reload");
    assert_eq!(finding["task"]["kind"], "future");
}

#[test]
fn functions_under_the_attribute_are_seen_wherever_they_run() {
    let checked = Check::of("async_fns").run();
    checked.exits(1).blames_the_marked_lines();
    let findings = checked.findings();
    assert_eq!(findings.len(), 3, "{checked}");
    let (spawned, _) = lines("async_fns", "SPAWN")[0];
    let session = findings
        .iter()
        .find(|finding| finding["task"]["spawned_at"]["line"] == spawned)
        .expect("the task is known by the line that spawned it");
    assert_eq!(session["task"]["kind"], "task", "{checked}");
    assert_eq!(session["task"]["name"], "async_fns::session", "{checked}");
    let stack = session["stacks"][0]["frames"].to_string();
    for function in ["back_off", "request", "session"] {
        assert!(stack.contains(function), "{function} in {checked}");
    }
}

#[test]
fn a_large_future_is_told_by_the_variable_that_makes_it_so() {
    let checked = Check::of("large_future").run();
    checked.exits(1).blames_the_marked_lines();
    let finding = checked.only();
    assert_eq!(finding["code"], "large-future", "{checked}");
    assert_eq!(finding["count"], 10, "{checked}");
    let (spawned, _) = lines("large_future", "SPAWN")[0];
    assert_eq!(finding["task"]["spawned_at"]["line"], spawned, "{checked}");
    let message = finding["message"].as_str().unwrap();
    assert!(message.contains("256 KiB"), "{checked}");
}

#[test]
fn short_nested_polls_are_part_of_the_poll_around_them() {
    let checked = Check::of("nested_short").run();
    checked.exits(1).blames_the_marked_lines();
    let finding = checked.only();
    assert_eq!(finding["task"]["name"], "page");
    assert!(finding["wall_ms"].as_f64().unwrap() >= 400.0, "{checked}");
}

#[test]
fn a_task_of_a_local_set_is_seen_through_its_wrapper() {
    let checked = Check::of("local_set").run();
    checked.exits(1).blames_the_marked_lines();
    assert_eq!(checked.only()["task"]["kind"], "local");
}

#[test]
fn a_task_of_a_local_runtime_is_seen() {
    let checked = Check::of("local_runtime").run();
    checked.exits(1).blames_the_marked_lines();
}

#[test]
fn the_root_future_is_watched() {
    let checked = Check::of("root_future").run();
    checked.exits(1).blames_the_marked_lines();
    assert_eq!(checked.only()["task"]["kind"], "block_on");
}

#[test]
fn a_current_thread_runtime_is_watched() {
    Check::of("current_thread")
        .run()
        .exits(1)
        .blames_the_marked_lines();
}

#[test]
fn a_panic_loses_nothing_and_confuses_nothing() {
    Check::of("panicking_poll")
        .run()
        .exits(1)
        .blames_the_marked_lines();
}

#[test]
fn hooks_of_the_programs_own_still_run() {
    Check::of("own_runtime")
        .run()
        .exits(1)
        .blames_the_marked_lines();
}

#[test]
#[cfg_attr(
    not(tokio_unstable),
    ignore = "tokio has no task hooks without tokio_unstable"
)]
fn plain_tokio_spawns_are_seen() {
    Check::of("tokio_spawn")
        .run()
        .exits(1)
        .blames_the_marked_lines();
}

#[test]
#[cfg_attr(tokio_unstable, ignore = "with tokio_unstable they are seen")]
fn a_known_blind_spot_is_said_aloud() {
    let checked = Check::of("tokio_spawn").run();
    assert!(checked.findings().is_empty(), "{checked}");
    assert!(checked.text().contains("tokio_unstable"), "{checked}");
}

#[test]
fn light_timing_finds_the_same_line() {
    for specimen in ["thread_sleep", "cpu_loop", "std_mutex"] {
        Check::of(specimen)
            .env("ASYNCWATCH_TIMING", "light")
            .run()
            .exits(1)
            .blames_the_marked_lines();
    }
}

#[test]
#[cfg_attr(not(tokio_unstable), ignore = "its tasks are tokio's own spawns")]
fn ten_thousand_slow_polls_are_few_findings() {
    let checked = Check::of("repeats").run();
    checked.exits(1);
    let findings = checked.findings();
    assert!(findings.len() <= 4, "{checked}");
    // On a busy machine many end before anybody has looked: they count as descheduled.
    let all = checked.json["findings"].as_array().unwrap();
    let count: u64 = all.iter().filter_map(|f| f["count"].as_u64()).sum();
    assert!(count >= 1_000, "{checked}");
}

#[test]
#[cfg_attr(not(tokio_unstable), ignore = "mini-redis spawns its tasks itself")]
fn mini_redis_is_clean() {
    Check::of("mini_redis").args(&["clean"]).run().exits(0);
}

#[test]
#[cfg_attr(not(tokio_unstable), ignore = "mini-redis spawns its tasks itself")]
fn one_slow_command_in_front_of_mini_redis_is_named() {
    Check::of("mini_redis")
        .args(&["slow"])
        .run()
        .exits(1)
        .blames_the_marked_lines();
}

#[test]
fn levels_decide_what_fails() {
    let allowed = Check::of("thread_sleep")
        .with(&["--allow", "slow-poll"])
        .run();
    allowed.exits(0);
    let warned = Check::of("thread_sleep")
        .with(&["--warn", "slow-poll"])
        .run();
    warned.exits(0);
    assert!(warned.text().contains("warning[slow-poll]"), "{warned}");
}

#[test]
fn a_higher_limit_passes() {
    Check::of("thread_sleep")
        .with(&["--max-poll", "60s"])
        .run()
        .exits(0);
}

#[test]
fn a_program_that_is_not_watched_is_never_a_silent_pass() {
    let output = asyncwatch_tests::asyncwatch()
        .args(["check", "--", "true"])
        .output()
        .expect("asyncwatch runs");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no watched process"), "{said}");
}

#[test]
fn of_a_flood_every_poll_is_counted_or_told_as_dropped() {
    let checked = Check::of("flood").with(&["--max-poll", "2ms"]).run();
    checked.exits(1);
    let findings = checked.json["findings"].as_array().expect("a list");
    let counted: u64 = findings.iter().filter_map(|f| f["count"].as_u64()).sum();
    let dropped = &checked.json["dropped"]["slow-poll-events"];
    let dropped = dropped.as_u64().unwrap_or(0);
    assert!(
        counted + dropped >= 6_000,
        "{counted}, {dropped}: {checked}"
    );
}

#[test]
fn within_the_grace_findings_are_only_counted() {
    let checked = Check::of("start_up").env("ASYNCWATCH_GRACE", "1s").run();
    checked.exits(1);
    let at = |mark| lines("start_up", mark)[0].0;
    let level = |line: u64| {
        let mut findings = checked.findings().into_iter();
        let finding = findings.find(|finding| finding["culprit"]["line"] == line);
        finding.map(|finding| (&finding["level"], &finding["allowed"]["source"]))
    };
    let (allowed, source) = level(at("ALLOWED")).expect("it is counted");
    assert_eq!(
        (allowed.as_str(), source.as_str()),
        (Some("allow"), Some("grace"))
    );
    let (denied, source) = level(at("CULPRIT")).expect("it is found");
    assert_eq!((denied.as_str(), source.as_str()), (Some("deny"), None));
}

#[test]
fn what_the_program_says_in_code_stands_above_the_defaults_of_a_check() {
    let checked = Check::of("own_levels").run();
    checked.exits(0);
    assert_eq!(checked.only()["level"], "warn");
    let denied = Check::of("own_levels").with(&["--deny", "slow-poll"]).run();
    denied.exits(1);
}
