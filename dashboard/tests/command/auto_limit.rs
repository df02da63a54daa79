//! `--max-poll auto`.

use std::{fs, time::Duration};

use asyncwatch_findings::{Event, Finding, Level};
use serde_json::Value;

use crate::fake::*;

/// Polls that took up to 1 ms, and a few that took a quarter of a second.
fn poll_times() -> Event {
    let mut counts = vec![0; 21];
    counts[20 - 8] = 5_000;
    counts[28 - 8] = 100;
    Event::PollTimes { counts }
}

/// One that blocked for so long, and waited long for a CPU beside.
fn blocked(id: u64, ms: u64) -> Finding {
    Finding {
        id,
        wall: Some(Duration::from_millis(ms + 3_000)),
        blocked: Some(Duration::from_millis(ms)),
        run_delay: Some(Duration::from_secs(3)),
        limit: Some(Duration::from_millis(20)),
        fingerprint: format!("{id:016x}"),
        message: format!("task `t{id}` held worker 1 for {ms} ms (limit 20 ms)"),
        ..slow_poll(Level::Deny)
    }
}

fn check(scene: &Scene, findings: Vec<Finding>) -> Done {
    let mut events: Vec<Event> = vec![process(), poll_times()];
    events.extend(findings.into_iter().map(found));
    events.extend([totals(), end()]);
    let script = scene.reports("app", &events) + "echo $ASYNCWATCH_MAX_POLL";
    let args = ["check", "--max-poll", "auto", "--report", "json=r.json"];
    scene.asyncwatch(&args, &script)
}

#[test]
fn the_limit_follows_from_the_suite_and_waiting_for_a_cpu_does_not_count() {
    let scene = Scene::new();
    let done = check(&scene, vec![blocked(1, 60), blocked(2, 150)]).exits(1);
    assert_eq!(
        done.stdout, "20000000ns\n",
        "programs report from the shortest limit on"
    );
    done.says("task `t2` held worker 1 for 150 ms (limit 104 ms)")
        .does_not_say("`t1`")
        .says("limit 104 ms, 100 times as long as ordinary polls: of 5000 polls 99 % took 1.04 ms or less")
        .says("1 error (slow-poll)");
    let json = fs::read_to_string(scene.path("r.json")).expect("written");
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["auto_limit"]["polls"], 5_000);
    assert_eq!(
        json["findings"][0]["limit_ms"],
        json["auto_limit"]["limit_ms"]
    );
    check(&scene, vec![blocked(1, 60)])
        .exits(0)
        .says("no findings");
}

#[test]
fn a_project_can_ask_for_it_and_flags_win() {
    let scene = Scene::new();
    fs::write(scene.path("asyncwatch.toml"), "max_poll = \"auto\"\n").expect("written");
    let script = "echo $ASYNCWATCH_MAX_POLL";
    let told = |args: &[&str]| scene.asyncwatch(args, script).stdout;
    assert_eq!(told(&["check"]), "20000000ns\n");
    assert_eq!(told(&["check", "--max-poll", "50ms"]), "50000000ns\n");
    assert_eq!(
        told(&["run", "--headless"]),
        "\n",
        "nothing follows before the end"
    );
    scene
        .asyncwatch(&["run", "--headless", "--max-poll", "auto"], script)
        .exits(2)
        .says("`--max-poll auto` is for `asyncwatch check`");
}
