//! `--report` in all its forms, and `asyncwatch report`.

use std::{fs, process::Stdio};

use asyncwatch_findings::Level;
use serde_json::Value;

use crate::fake::*;

fn failing(scene: &Scene) -> String {
    scene.reports(
        "failing",
        &[process(), found(slow_poll(Level::Deny)), totals(), end()],
    )
}

fn read(scene: &Scene, name: &str) -> String {
    fs::read_to_string(scene.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn several_reports_are_written_at_once() {
    let scene = Scene::new();
    let script = failing(&scene) + "echo from the command";
    let mut args = vec!["check"];
    for report in [
        "json=r.json",
        "text=r.txt",
        "junit=r.xml",
        "sarif=r.sarif",
        "gitlab=gl.json",
        "markdown=r.md",
        "github=r.github",
    ] {
        args.extend(["--report", report]);
    }
    let done = scene.asyncwatch(&args, &script).exits(1);
    assert_eq!(done.stdout, "from the command\n");
    for (name, part) in [
        ("r.json", "\"verdict\": \"fail\""),
        ("r.txt", "error[slow-poll]"),
        ("r.xml", "<failure "),
        ("r.sarif", "\"version\": \"2.1.0\""),
        ("gl.json", "\"severity\": \"major\""),
        ("r.md", "## asyncwatch: 1 error"),
        ("r.github", "::error title=slow-poll::"),
    ] {
        assert!(
            read(&scene, name).contains(part),
            "{name}: {}",
            read(&scene, name)
        );
    }
}

#[test]
fn formats_have_places_of_their_own() {
    let scene = Scene::new();
    let args = [
        "check",
        "--report",
        "sarif",
        "--report",
        "github",
        "--report",
        "markdown=-",
    ];
    let done = scene.asyncwatch(&args, &failing(&scene)).exits(1);
    assert!(read(&scene, "asyncwatch.sarif").contains("slow-poll"));
    assert!(
        done.stdout.starts_with("::error title=slow-poll::"),
        "{}",
        done.stdout
    );
    assert!(
        done.stdout.contains("\n## asyncwatch: 1 error"),
        "{}",
        done.stdout
    );
}

#[test]
fn two_reports_to_one_file_are_a_mistake() {
    let scene = Scene::new();
    let args = ["check", "--report", "json=r", "--report", "text=r"];
    let done = scene.asyncwatch(&args, "echo ran").exits(2);
    assert_eq!(done.stdout, "");
    done.says("two reports would be written to r");
}

#[test]
fn github_gets_annotations_and_a_summary_by_itself() {
    let scene = Scene::new();
    fs::write(scene.path("summary.md"), "before\n").expect("written");
    let script = failing(&scene) + "echo from the command";
    let done = scene.run(
        scene
            .command(&["check", "--", "sh", "-c", &script])
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_STEP_SUMMARY", scene.path("summary.md")),
    );
    let done = done.exits(1).says("\n::error title=slow-poll::");
    assert_eq!(
        done.stdout, "from the command\n",
        "standard output is the command's"
    );
    let summary = read(&scene, "summary.md");
    assert!(
        summary.starts_with("before\n## asyncwatch: 1 error (slow-poll)\n"),
        "{summary}"
    );
}

#[test]
fn a_json_report_is_written_in_other_formats_later() {
    let scene = Scene::new();
    let text = ["check", "--report", "json=r.json", "--report", "text=r.txt"];
    scene.asyncwatch(&text, &failing(&scene)).exits(1);
    let done = scene.run(&mut scene.command(&["report", "r.json", "--stacks"]));
    assert_eq!(done.exits(0).stdout, read(&scene, "r.txt"));
    let done = scene.run(&mut scene.command(&[
        "report",
        "r.json",
        "--report",
        "sarif=r.sarif",
        "--report",
        "json",
    ]));
    assert_eq!(done.exits(0).stdout, read(&scene, "r.json"));
    assert!(read(&scene, "r.sarif").contains("slow-poll"));
    let piped = scene
        .command(&["report", "-", "--report", "junit"])
        .stdin(Stdio::from(
            fs::File::open(scene.path("r.json")).expect("there"),
        ))
        .output()
        .expect("started");
    assert!(String::from_utf8_lossy(&piped.stdout).contains("<testsuites"));
}

#[test]
fn what_is_no_report_is_told() {
    let scene = Scene::new();
    fs::write(scene.path("r.json"), "{}").expect("written");
    for (file, part) in [
        ("r.json", "no JSON report"),
        ("gone.json", "cannot read gone.json"),
    ] {
        scene
            .run(&mut scene.command(&["report", file]))
            .exits(2)
            .says(part);
    }
}

#[test]
fn a_report_keeps_what_the_project_allowed() {
    let scene = Scene::new();
    fs::write(
        scene.path("asyncwatch.toml"),
        "[[allow]]\nfingerprint = \"0000000000000000\"\nreason = \"y\"\n",
    )
    .expect("written");
    scene
        .asyncwatch(&["check", "--report", "json=r.json"], &failing(&scene))
        .exits(1);
    let json: Value = serde_json::from_str(&read(&scene, "r.json")).expect("JSON");
    assert_eq!(json["unused_allows"][0]["why"], "unmatched");
    let done = scene
        .run(&mut scene.command(&["report", "r.json"]))
        .exits(0);
    assert!(
        done.stdout.contains("nothing was found that it allows"),
        "{}",
        done.stdout
    );
}
