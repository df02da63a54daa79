//! `asyncwatch doctor`: what it looks at, and its exit codes.

use std::fs;

use crate::fake::*;
use asyncwatch_findings::{Coverage, Event, ProcessInfo, Setting};

#[test]
fn outside_of_a_project_the_system_is_looked_at() {
    let scene = Scene::new();
    let done = scene.run(&mut scene.command(&["doctor"])).exits(0);
    for part in [
        "System\n",
        "reports can be written to",
        "there is no Cargo.toml here or above",
        "there is no asyncwatch.toml here or above",
        "max_poll",
        "levels.slow-poll",
        "nothing essential is missing",
    ] {
        assert!(
            done.stdout.contains(part),
            "no {part:?} in:\n{}",
            done.stdout
        );
    }
}

fn package(scene: &Scene, manifest: &str) {
    fs::create_dir_all(scene.path("src")).expect("created");
    fs::write(scene.path("src/main.rs"), "fn main() {}").expect("written");
    let package = "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    fs::write(scene.path("Cargo.toml"), format!("{package}{manifest}")).expect("written");
}

fn doctor(scene: &Scene, args: &[&str]) -> Done {
    let mut command = scene.command(&["doctor"]);
    command.args(args);
    for variable in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_RUSTFLAGS",
    ] {
        command.env_remove(variable);
    }
    command.env("CARGO_HOME", scene.path("no-cargo-home"));
    scene.run(&mut command)
}

#[track_caller]
fn tells(done: &Done, part: &str) {
    assert!(
        done.stdout.contains(part),
        "no {part:?} in:\n{}",
        done.stdout
    );
}

#[test]
fn a_project_without_the_crate_lacks_something_essential() {
    let scene = Scene::new();
    package(&scene, "");
    let done = doctor(&scene, &[]).exits(1);
    tells(&done, "✗ no package here depends on asyncwatch");
    tells(&done, "1 essential thing is missing");
}

#[test]
fn a_project_is_looked_at_in_its_files() {
    let scene = Scene::new();
    package(
        &scene,
        "[features]\nwatching = [\"asyncwatch/enabled\"]\n[dependencies]\nasyncwatch = \"0.1\"\n",
    );
    fs::write(
        scene.path("Cargo.lock"),
        "version = 4\n[[package]]\nname = \"tokio\"\nversion = \"1.54.1\"\n",
    )
    .expect("written");
    fs::write(
        scene.path("asyncwatch.toml"),
        "max_poll = \"50ms\"\n[levels]\nslow-poll = \"warn\"\n",
    )
    .expect("written");
    let done = doctor(&scene, &[]).exits(0);
    for part in [
        "✓ `app` depends on asyncwatch, enabled by `--features watching`",
        "✓ tokio is 1.54.1",
        "! tokio's hooks are off",
        "! profile `release` has no line tables",
        "asyncwatch.toml is valid",
    ] {
        tells(&done, part);
    }
    let line = |name: &str| {
        let line = done
            .stdout
            .lines()
            .find(|line| line.trim().starts_with(name));
        line.expect("listed")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(line("max_poll"), "max_poll 50 ms asyncwatch.toml:1");
    assert_eq!(
        line("levels.slow-poll"),
        "levels.slow-poll warn asyncwatch.toml:3"
    );
}

#[test]
fn a_wrong_configuration_is_told_with_everything_else() {
    let scene = Scene::new();
    fs::write(scene.path("asyncwatch.toml"), "max-poll = 5").expect("written");
    let done = doctor(&scene, &[]).exits(1);
    tells(&done, "✗ asyncwatch.toml:1:1: unknown key `max-poll`");
    tells(&done, "System\n");
    doctor(&scene, &["--config", "no.toml"]).exits(2);
}

#[test]
fn a_program_tells_its_coverage_and_its_settings() {
    let scene = Scene::new();
    fs::write(scene.path("asyncwatch.toml"), "max_poll = \"50ms\"").expect("written");
    let Event::Process(process) = process() else {
        unreachable!("it is one");
    };
    let process = Event::Process(ProcessInfo {
        coverage: vec![
            Coverage {
                aspect: "stacks".to_owned(),
                covered: true,
                detail: "stacks are taken".to_owned(),
            },
            Coverage {
                aspect: "spawned-tasks".to_owned(),
                covered: false,
                detail: "they are not seen".to_owned(),
            },
        ],
        settings: vec![
            Setting {
                name: "max_poll".to_owned(),
                value: "50 ms".to_owned(),
                source: "ASYNCWATCH_MAX_POLL".to_owned(),
            },
            Setting {
                name: "grace".to_owned(),
                value: "3 s".to_owned(),
                source: "builder".to_owned(),
            },
        ],
        ..process
    });
    let script = scene.reports("app", &[process, totals(), end()]);
    let done = doctor(&scene, &["--", "sh", "-c", &script]).exits(0);
    for part in [
        "✓ app (pid 7000001) reported: 10 polls of 2 tasks",
        "✓ stacks: stacks are taken",
        "! spawned-tasks: they are not seen",
        "Settings of app (pid 7000001)",
        "max_poll  50 ms  asyncwatch.toml:1",
        "grace     3 s    builder",
    ] {
        tells(&done, part);
    }
    let nothing = doctor(&scene, &["--", "true"]).exits(1);
    tells(&nothing, "✗ no watched process reported");
}

#[test]
fn wrong_usage_is_told() {
    let scene = Scene::new();
    doctor(&scene, &["127.0.0.1:1", "--", "true"]).exits(2);
    doctor(&scene, &["--for", "5s"]).exits(2);
    doctor(&scene, &["127.0.0.1:1"]).exits(2);
}
