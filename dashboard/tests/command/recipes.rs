//! The recipes of `docs/ci.md`, run as they stand there, with a stand-in for Cargo.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use asyncwatch_findings::Level;

use crate::fake::*;

/// The fenced block below a heading.
fn recipe(heading: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ci.md");
    let text = fs::read_to_string(path).expect("it is in the repository");
    let (_, below) = text
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("no heading {heading:?}"));
    let (_, block) = below.split_once("```").expect("it has a block");
    let (_, block) = block.split_once('\n').expect("of several lines");
    let (block, _) = block.split_once("```").expect("with an end");
    block.to_owned()
}

/// The lines in it that run `asyncwatch check`.
fn commands(recipe: &str) -> Vec<String> {
    let lines = recipe.lines().map(|line| {
        let line = line.trim_start().trim_start_matches("- ");
        line.trim_start_matches("run: ").to_owned()
    });
    lines
        .filter(|line| line.starts_with("asyncwatch check"))
        .collect()
}

/// A directory of programs: `asyncwatch`, and a `cargo` that tests a program with a
/// finding of this level.
fn programs(scene: &Scene, level: Level) -> PathBuf {
    let events = [process(), found(slow_poll(level)), totals(), end()];
    let report = scene.reports("tested", &events);
    let programs = scene.path("programs");
    fs::create_dir_all(&programs).expect("created");
    let cargo = format!(
        "#!/bin/sh\ncase \"$*\" in\n  test*--features\\ asyncwatch|nextest\\ run*--features\\ asyncwatch) {report} ;;\n  *) echo \"what is $*?\" >&2; exit 99 ;;\nesac\n"
    );
    let file = programs.join("cargo");
    fs::write(&file, cargo).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("set");
    let link = programs.join("asyncwatch");
    if !link.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_asyncwatch"), link).expect("linked");
    }
    programs
}

fn with_programs<'c>(command: &'c mut Command, programs: &Path) -> &'c mut Command {
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .env("PATH", format!("{}:{path}", programs.display()))
        .env_remove("GITHUB_ACTIONS")
        .env_remove("GITHUB_STEP_SUMMARY")
}

/// Runs a line of a recipe in a shell, on a program with a finding of this level.
fn run(scene: &Scene, level: Level, line: &str) -> Done {
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).current_dir(scene.path("."));
    scene.run(with_programs(&mut shell, &programs(scene, level)))
}

#[test]
fn recipes_fail_on_findings_and_leave_their_reports() {
    for (heading, files) in [
        (
            "GitHub Actions",
            &["asyncwatch.sarif", "asyncwatch.html"][..],
        ),
        (
            "GitLab",
            &[
                "asyncwatch.junit.xml",
                "gl-code-quality-report.json",
                "asyncwatch.html",
            ],
        ),
        ("nextest", &[]),
    ] {
        let recipe = recipe(heading);
        let [line] = &commands(&recipe)[..] else {
            panic!("one line of {recipe} runs the check");
        };
        let scene = Scene::new();
        run(&scene, Level::Deny, line)
            .exits(1)
            .says("error[slow-poll]");
        for file in files {
            assert!(scene.path(file).is_file(), "{heading}: {file}");
            assert!(recipe.contains(file), "{heading} takes {file}");
        }
        run(&scene, Level::Allow, line).exits(0);
    }
}

#[test]
fn a_baseline_is_taken_and_then_kept_to() {
    let recipe = recipe("Adopting it");
    let [take, keep] = &commands(&recipe)[..] else {
        panic!("two lines of {recipe} run the check");
    };
    let scene = Scene::new();
    run(&scene, Level::Deny, keep).exits(2);
    run(&scene, Level::Deny, take).exits(0);
    run(&scene, Level::Deny, keep)
        .exits(0)
        .says("known, and so no failure");
}

fn git(directory: &Path, arguments: &[&str]) -> Command {
    let mut git = Command::new("git");
    git.current_dir(directory)
        .args(["-c", "user.name=n", "-c", "user.email=e@example.com"])
        .args(arguments)
        // Whatever repository the tests themselves are run in.
        .env_remove("GIT_DIR")
        .env_remove("GIT_INDEX_FILE")
        .env_remove("GIT_WORK_TREE");
    git
}

#[test]
fn a_hook_keeps_findings_from_being_pushed() {
    let scene = Scene::new();
    let (work, remote) = (scene.path("work"), scene.path("remote.git"));
    fs::create_dir(&work).expect("created");
    let remote_name = remote.display().to_string();
    let succeeds = |arguments: &[&str]| {
        let output = git(&work, arguments).output().expect("git is here");
        assert!(output.status.success(), "git {arguments:?}: {output:?}");
    };
    succeeds(&["init", "--quiet", "--bare", &remote_name]);
    succeeds(&["init", "--quiet"]);
    succeeds(&["commit", "--quiet", "--allow-empty", "--message", "one"]);
    let hook = work.join(".git/hooks/pre-push");
    fs::create_dir_all(hook.parent().expect("it has one")).expect("created");
    fs::write(&hook, recipe("Before a push")).expect("written");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("set");
    let push = |level| {
        let mut push = git(&work, &["push", &remote_name, "HEAD:refs/heads/main"]);
        scene.run(with_programs(&mut push, &programs(&scene, level)))
    };
    let pushed = || git(&remote, &["rev-parse", "--verify", "refs/heads/main"]).output();
    push(Level::Deny).exits(1).says("error[slow-poll]");
    assert!(!pushed().expect("git is here").status.success());
    push(Level::Warn).exits(0);
    assert!(pushed().expect("git is here").status.success());
}
