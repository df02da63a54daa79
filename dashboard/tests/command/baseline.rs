//! `--baseline` and `--update-baseline`.

use std::fs;

use asyncwatch_findings::{Class, Code, Event, Finding, Level};
use expect_test::expect;
use serde_json::Value;

use crate::fake::*;

const BASELINE: &str = "asyncwatch-baseline.toml";

fn other() -> Finding {
    Finding {
        id: 2,
        code: Code::NeverAwaited,
        fingerprint: "00000000000000aa".to_owned(),
        class: None,
        ..slow_poll(Level::Deny)
    }
}

fn with(scene: &Scene, findings: Vec<Finding>) -> String {
    let mut events: Vec<Event> = vec![process()];
    events.extend(findings.into_iter().map(found));
    events.extend([totals(), end()]);
    scene.reports("app", &events)
}

/// `asyncwatch check --baseline …` on a program with these findings.
fn check(scene: &Scene, more: &[&str], findings: Vec<Finding>) -> Done {
    let args = [&["check", "--baseline", BASELINE], more].concat();
    scene.asyncwatch(&args, &with(scene, findings))
}

fn update(scene: &Scene, findings: Vec<Finding>) -> Done {
    check(scene, &["--update-baseline"], findings)
}

fn baseline(scene: &Scene) -> String {
    fs::read_to_string(scene.path(BASELINE)).expect("it is there")
}

#[test]
fn what_is_known_passes_and_what_is_new_fails() {
    let scene = Scene::new();
    update(&scene, vec![slow_poll(Level::Deny)])
        .exits(0)
        .says("asyncwatch-baseline.toml is written: 1 added, 0 dropped, 0 kept")
        .says("known, and so no failure: slow-poll (asyncwatch-baseline.toml)");
    expect![[r##"
        # What `asyncwatch check --baseline` knows of: other findings fail it.
        # Written by `--update-baseline`. Remove the lines of what must not come back.
        version = 1

        findings = [
          { code = "slow-poll", function = "app::session::load", fingerprint = "a5dfbe849db9c4d2" },
        ]
    "##]]
    .assert_eq(&baseline(&scene));
    check(&scene, &[], vec![slow_poll(Level::Deny)])
        .exits(0)
        .does_not_say("error[")
        .says("known, and so no failure: slow-poll (asyncwatch-baseline.toml)")
        .says("no findings");
    check(&scene, &[], vec![slow_poll(Level::Deny), other()])
        .exits(1)
        .says("error[never-awaited]")
        .does_not_say("error[slow-poll]")
        .says("1 error (never-awaited)");
}

#[test]
fn what_is_fixed_is_told_and_dropped() {
    let scene = Scene::new();
    update(&scene, vec![slow_poll(Level::Deny), other()]).exits(0);
    let args = ["--report", "json=r.json"];
    check(&scene, &args, vec![other()])
        .exits(0)
        .says("1 known finding is no longer seen; run with --update-baseline to drop it from asyncwatch-baseline.toml")
        .says("  slow-poll in app::session::load\n");
    let json = fs::read_to_string(scene.path("r.json")).expect("written");
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["verdict"], "pass");
    assert_eq!(json["findings"][0]["known"], true);
    assert_eq!(json["baseline"]["gone"][0]["code"], "slow-poll");
    update(&scene, vec![other()])
        .exits(0)
        .says("0 added, 1 dropped, 1 kept");
    assert!(!baseline(&scene).contains("slow-poll"));
    check(&scene, &[], vec![other(), slow_poll(Level::Deny)]).exits(1);
}

#[test]
fn a_command_that_failed_does_not_show_what_is_fixed() {
    let scene = Scene::new();
    update(&scene, vec![slow_poll(Level::Deny)]).exits(0);
    let before = baseline(&scene);
    let script = with(&scene, Vec::new()) + "exit 101";
    for more in [&[][..], &["--update-baseline"]] {
        let args = [&["check", "--baseline", BASELINE], more].concat();
        scene
            .asyncwatch(&args, &script)
            .exits(101)
            .does_not_say("no longer seen");
    }
    let args = ["check", "--baseline", BASELINE, "--update-baseline"];
    scene
        .asyncwatch(&args, &script)
        .says("is left as it was, because the command exited with code 101");
    scene
        .asyncwatch(&args, "true")
        .exits(2)
        .says("is left as it was, because nothing was watched");
    assert_eq!(baseline(&scene), before);
}

#[test]
fn lines_and_machines_may_change() {
    let scene = Scene::new();
    update(&scene, vec![slow_poll(Level::Deny)]).exits(0);
    let before = baseline(&scene);
    let mut moved = slow_poll(Level::Deny);
    let culprit = moved.culprit.as_mut().expect("it has one");
    culprit.line = Some(977);
    culprit.file = Some("/home/ci/77/app/src/session.rs".to_owned());
    culprit.function = "app::session::load::{{closure}}::{{closure}}".to_owned();
    moved.fingerprint =
        asyncwatch_findings::fingerprint(Code::SlowPoll, moved.culprit.as_ref(), None, None);
    check(&scene, &[], vec![moved.clone()]).exits(0);
    update(&scene, vec![moved])
        .exits(0)
        .says("0 added, 0 dropped, 1 kept");
    assert_eq!(baseline(&scene), before);
}

#[test]
fn warnings_allowed_and_descheduled_findings_are_not_taken() {
    let scene = Scene::new();
    let descheduled = Finding {
        class: Some(Class::Descheduled),
        ..slow_poll(Level::Deny)
    };
    update(&scene, vec![slow_poll(Level::Warn)])
        .exits(0)
        .says("0 added");
    update(&scene, vec![descheduled.clone()])
        .exits(0)
        .says("0 added");
    update(&scene, vec![slow_poll(Level::Deny)])
        .exits(0)
        .says("1 added");
    // Lacking a CPU this time does not tell that it was fixed.
    check(&scene, &[], vec![descheduled.clone()])
        .exits(0)
        .does_not_say("no longer seen");
    update(&scene, vec![descheduled]).exits(0).says("1 kept");
}

#[test]
fn baselines_that_cannot_be_used_are_told_before_the_command_runs() {
    let scene = Scene::new();
    let run = |args: &[&str]| {
        let args = [&["check"], args].concat();
        let done = scene.asyncwatch(&args, "echo ran").exits(2);
        assert_eq!(done.stdout, "", "the command did not run");
        done
    };
    run(&["--baseline", "gone.toml"])
        .says("there is no baseline gone.toml; run once with --update-baseline");
    run(&["--update-baseline"]).says("which baseline? add `--baseline FILE`");
    run(&["--baseline", "no/such/b.toml", "--update-baseline"]).says("create it first");
    fs::write(scene.path(BASELINE), "<<<<<<< HEAD\nversion = 1\n").expect("written");
    for more in [&[][..], &["--update-baseline"]] {
        run(&[&["--baseline", BASELINE], more].concat())
            .says("asyncwatch-baseline.toml:1: this is no baseline")
            .says("restore the file, or delete it");
    }
    assert_eq!(baseline(&scene), "<<<<<<< HEAD\nversion = 1\n");
}

#[test]
fn the_project_names_its_baseline() {
    let scene = Scene::new();
    fs::write(
        scene.path("asyncwatch.toml"),
        format!("baseline = \"{BASELINE}\"\n"),
    )
    .expect("written");
    let script = with(&scene, vec![slow_poll(Level::Deny)]);
    scene
        .asyncwatch(&["check"], &script)
        .exits(2)
        .says("there is no baseline");
    scene
        .asyncwatch(&["check", "--update-baseline"], &script)
        .exits(0);
    scene
        .asyncwatch(&["check"], &script)
        .exits(0)
        .says("known, and so no failure");
}
