//! `asyncwatch check` over fake instrumented programs: every exit code, and every
//! kind of trouble that a report stream can be in.

use std::{fs, io::Write, process::Stdio};

use crate::fake::*;
use asyncwatch_findings::{Class, Code, Finding, Level};
use expect_test::expect;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn clean(scene: &Scene) -> String {
    scene.reports("clean", &[process(), totals(), end()])
}

fn failing(scene: &Scene) -> String {
    scene.reports(
        "failing",
        &[process(), found(slow_poll(Level::Deny)), totals(), end()],
    )
}

#[test]
fn clean_programs_pass() {
    let scene = Scene::new();
    let script = clean(&scene);
    scene
        .asyncwatch(&["check"], &script)
        .exits(0)
        .says("1 process watched: 10 polls of 2 tasks")
        .says("no findings");
}

#[test]
fn findings_at_deny_level_fail() {
    let scene = Scene::new();
    let done = scene.asyncwatch(&["check"], &failing(&scene)).exits(1);
    expect![[r#"

        error[slow-poll]: task `session` held worker 1 for 512 ms (limit 100 ms)
          --> /build/app/src/session.rs:42 in app::session::load
           |
           | blocked in clock_nanosleep for 511 ms
           = note: `asyncwatch explain slow-poll` says more

        asyncwatch: 1 process watched: 10 polls of 2 tasks
        asyncwatch: 1 error (slow-poll)
    "#]]
    .assert_eq(&done.stderr);
}

#[test]
fn findings_at_other_levels_pass() {
    let scene = Scene::new();
    let script = scene.reports(
        "warned",
        &[process(), found(slow_poll(Level::Warn)), totals(), end()],
    );
    scene
        .asyncwatch(&["check"], &script)
        .exits(0)
        .says("warning[slow-poll]")
        .says("1 warning");
    scene
        .asyncwatch(&["check", "--warn", "slow-poll"], &failing(&scene))
        .exits(0)
        .says("warning[slow-poll]");
    let allowed = scene
        .asyncwatch(&["check", "--allow", "slow-poll"], &failing(&scene))
        .exits(0);
    allowed
        .does_not_say("session.rs")
        .says("not shown, because the level is allow: slow-poll");
}

#[test]
fn descheduled_polls_pass() {
    let scene = Scene::new();
    let descheduled = Finding {
        class: Some(Class::Descheduled),
        ..slow_poll(Level::Deny)
    };
    let script = scene.reports("busy", &[process(), found(descheduled), totals(), end()]);
    scene
        .asyncwatch(&["check"], &script)
        .exits(0)
        .says("only because the machine had no CPU free");
}

#[test]
fn nothing_watched_is_no_pass() {
    let scene = Scene::new();
    scene
        .asyncwatch(&["check"], "true")
        .exits(2)
        .says("no watched process reported")
        .says("features = [\"enabled\"]");
    let idle = scene.reports("idle", &[process(), end()]);
    scene
        .asyncwatch(&["check"], &idle)
        .exits(2)
        .says("no watched task was polled");
}

#[test]
fn commands_that_fail_keep_their_code() {
    let scene = Scene::new();
    let script = failing(&scene) + "exit 101";
    scene
        .asyncwatch(&["check"], &script)
        .exits(101)
        .says("error[slow-poll]")
        .says("the command exited with code 101");
    scene
        .asyncwatch(&["check"], "exit 3")
        .exits(3)
        .says("no watched process reported");
}

#[test]
fn commands_that_a_signal_ends_are_128_and_the_signal() {
    let scene = Scene::new();
    let script = failing(&scene) + "kill -KILL $$";
    scene
        .asyncwatch(&["check"], &script)
        .exits(137)
        .says("error[slow-poll]")
        .says("was ended by signal 9");
}

#[test]
fn commands_that_cannot_start_are_told() {
    let scene = Scene::new();
    let start = |program: &str| {
        scene
            .run(scene.command(&["check", "--"]).arg(program))
            .exits(2)
    };
    start("no-such-command")
        .says("command `no-such-command` was not found; check its name, or give its path");
    fs::write(scene.path("data"), "no program").expect("written");
    start("./data").says("permission denied");
}

#[test]
fn the_command_has_our_input_and_output() {
    let scene = Scene::new();
    let script = clean(&scene) + "read line; echo \"got $line\"; echo trouble >&2";
    let mut child = scene
        .command(&["check", "--", "sh", "-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(b"word\n")
        .expect("written");
    let output = child.wait_with_output().expect("ended");
    assert_eq!(output.stdout, b"got word\n");
    assert!(
        output.stderr.starts_with(b"trouble\n"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn programs_are_told_what_to_do() {
    let scene = Scene::new();
    fs::write(
        scene.path("asyncwatch.toml"),
        "grace = \"2s\"\n[levels]\nself-wake = \"warn\"\n[limits]\nself-wake = 9",
    )
    .expect("written");
    let print = "echo $ASYNCWATCH $ASYNCWATCH_CHECK $ASYNCWATCH_ADDR $ASYNCWATCH_MAX_POLL $ASYNCWATCH_GRACE; echo $ASYNCWATCH_LEVELS; echo $ASYNCWATCH_LIMITS; ls -ld \"$ASYNCWATCH_REPORT\" | cut -c1-10";
    let script = clean(&scene) + print;
    let done = scene.run(
        scene
            .command(&[
                "check",
                "--max-poll",
                "1.5s",
                "--allow",
                "slow-poll",
                "--limit",
                "large-future=64KiB",
                "--",
                "sh",
                "-c",
                &script,
            ])
            .env("ASYNCWATCH", "0")
            .env("ASYNCWATCH_LEVELS", "never-awaited=warn"),
    );
    expect![[r#"
        1 1 off 1500000000ns 2000000000ns
        self-wake=warn,never-awaited=warn,slow-poll=allow
        self-wake=9,large-future=65536
        drwx------
    "#]]
    .assert_eq(&done.exits(0).stdout);
}

#[test]
fn equal_findings_of_several_processes_are_one() {
    let scene = Scene::new();
    let script = format!(
        "({}) & ({}) & wait",
        failing(&scene),
        failing(&scene).replace("-failing.jsonl", "-other.jsonl")
    );
    let done = scene
        .asyncwatch(&["check"], &script)
        .exits(1)
        .says("2 processes watched")
        .says("seen twice");
    assert_eq!(
        done.stderr.matches("error[slow-poll]").count(),
        1,
        "{}",
        done.stderr
    );
}

#[test]
fn killed_programs_have_said_what_they_said() {
    let scene = Scene::new();
    let ongoing = Finding {
        ongoing: true,
        message: "task `session` has held worker 1 for 512 ms and still does (limit 100 ms)"
            .to_owned(),
        ..slow_poll(Level::Deny)
    };
    let script = scene.reports("killed", &[process(), found(ongoing)]);
    scene
        .asyncwatch(&["check"], &script)
        .exits(1)
        .says("and still does")
        .says("app (process 7000001) ended abruptly");
}

#[test]
fn broken_reports_are_read_as_far_as_they_go() {
    let scene = Scene::new();
    let mut bytes = b"\xff garbage\n".to_vec();
    for event in [process(), found(slow_poll(Level::Deny))] {
        serde_json::to_writer(&mut bytes, &event).expect("serialisable");
        bytes.push(b'\n');
    }
    bytes.extend(b"{\"event\":\"finding\",\"id\":2,\"co");
    let script = scene.reports_bytes("broken", &bytes);
    scene
        .asyncwatch(&["check"], &script)
        .exits(1)
        .says("error[slow-poll]")
        .says("2 lines of the processes' reports could not be read");
    let rubbish = scene.reports_bytes("rubbish", b"nothing but rubbish\n");
    scene
        .asyncwatch(&["check"], &rubbish)
        .exits(2)
        .says("library and command differ in version");
}

#[test]
fn a_report_directory_that_is_gone_is_no_crash() {
    let scene = Scene::new();
    let script = clean(&scene) + "rm -r \"$ASYNCWATCH_REPORT\"";
    scene
        .asyncwatch(&["check"], &script)
        .exits(2)
        .says("no watched process reported");
}

#[test]
fn reports_are_written_whatever_happens() {
    let scene = Scene::new();
    let script = failing(&scene) + "exit 7";
    scene
        .asyncwatch(
            &["check", "--report", "json=r.json", "--report", "text=r.txt"],
            &script,
        )
        .exits(7);
    let json: Value =
        serde_json::from_str(&fs::read_to_string(scene.path("r.json")).expect("written"))
            .expect("JSON");
    assert_eq!(json["verdict"], "fail");
    assert_eq!(json["command"]["exit_code"], 7);
    assert_eq!(json["findings"][0]["code"], "slow-poll");
    let text = fs::read_to_string(scene.path("r.txt")).expect("written");
    assert!(text.starts_with("error[slow-poll]"), "{text}");
    let left: Vec<_> = fs::read_dir(scene.path("."))
        .expect("readable")
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert!(
        !left
            .iter()
            .any(|name| name.to_string_lossy().starts_with(".asyncwatch")),
        "{left:?}"
    );
}

#[test]
fn reports_that_cannot_be_written_are_told_before_the_command_runs() {
    let scene = Scene::new();
    for (report, part) in [
        ("json=no/such/r.json", "create it first"),
        ("json=.", "it is a directory"),
        ("pdf=r.pdf", "formats are text, json"),
    ] {
        let done = scene
            .asyncwatch(&["check", "--report", report], "echo ran")
            .exits(2)
            .says(part);
        assert_eq!(done.stdout, "", "the command did not run");
    }
}

#[test]
fn a_report_that_cannot_be_written_after_all_fails_the_check() {
    let scene = Scene::new();
    fs::create_dir(scene.path("out")).expect("created");
    let args = ["check", "--report", "json=out/r.json"];
    let script = clean(&scene) + "rm -r out";
    scene
        .asyncwatch(&args, &script)
        .exits(2)
        .says("cannot write the report to out/r.json");
    fs::create_dir(scene.path("out")).expect("created");
    scene.asyncwatch(&args, "rm -r out; exit 9").exits(9);
}

#[test]
fn nobody_has_to_read_the_report() {
    let scene = Scene::new();
    let script = failing(&scene) + "exec 2>&-";
    let mut child = scene
        .command(&["check", "--", "sh", "-c", &script])
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    drop(child.stderr.take());
    assert_eq!(child.wait().expect("ended").code(), Some(1));
}

#[test]
fn mistakes_in_the_environment_are_told() {
    let scene = Scene::new();
    let script = clean(&scene);
    let mut command = scene.command(&["check", "--", "sh", "-c", &script]);
    let done = scene.run(command.env("ASYNCWATCH_LEVELS", "slow-pole=warn"));
    done.exits(0)
        .says("asyncwatch: `slow-pole=warn` in ASYNCWATCH_LEVELS is ignored: unknown finding code `slow-pole`; did you mean `slow-poll`?");
}

fn configure(scene: &Scene, text: &str) {
    fs::write(scene.path("asyncwatch.toml"), text).expect("written");
}

#[test]
fn what_the_project_allows_passes_and_is_told_with_its_reason() {
    let scene = Scene::new();
    configure(
        &scene,
        "[[allow]]\nsite = \"**/src/session.rs:load\"\nreason = \"rewritten in Q3\"\n",
    );
    let script = failing(&scene);
    let done = scene
        .asyncwatch(&["check", "--report", "json=r.json"], &script)
        .exits(0);
    done.does_not_say("error[slow-poll]")
        .says("asyncwatch: allowed: slow-poll: rewritten in Q3 (asyncwatch.toml:1)\n")
        .says("no findings");
    let json: Value =
        serde_json::from_str(&fs::read_to_string(scene.path("r.json")).expect("written"))
            .expect("JSON");
    assert_eq!(json["verdict"], "pass");
    let finding = &json["findings"][0];
    assert_eq!(finding["level"], "allow");
    assert_eq!(
        finding["allowed"],
        serde_json::json!({"reason": "rewritten in Q3", "source": "asyncwatch.toml:1"})
    );
    assert_eq!(json["unused_allows"], serde_json::json!([]));
}

#[test]
fn entries_that_allow_nothing_are_told() {
    let scene = Scene::new();
    configure(
        &scene,
        r#"
[[allow]]
site = "src/gone.rs"
code = "self-wake"
reason = "x"

[[allow]]
fingerprint = "0123456789abcdef"
reason = "y"
expires = "2020-01-31"

[[allow]]
site = "**/session.rs"
reason = "z"
expires = 2020-01-31
"#,
    );
    let script = failing(&scene);
    scene
        .asyncwatch(&["check", "--report", "json=r.json"], &script)
        .exits(1)
        .says("warning: asyncwatch.toml:2: nothing was found that it allows: self-wake `src/gone.rs`; remove it if it is not needed any more")
        .says("warning: asyncwatch.toml:7: it expired on 2020-01-31 and is not needed: `0123456789abcdef`; remove it")
        .says("warning: asyncwatch.toml:12: it expired on 2020-01-31, so this is not allowed any more: `**/session.rs`");
    let json: Value =
        serde_json::from_str(&fs::read_to_string(scene.path("r.json")).expect("written"))
            .expect("JSON");
    let why: Vec<&str> = json["unused_allows"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|entry| entry["why"].as_str())
        .collect();
    assert_eq!(why, ["unmatched", "expired", "expired"]);
}

#[test]
fn mistakes_in_the_configuration_are_told_before_the_command_runs() {
    let scene = Scene::new();
    configure(
        &scene,
        "max-poll = \"50ms\"\n[levels]\nslow-poll = \"loud\"\n",
    );
    for command in [&["check"][..], &["run", "--headless"]] {
        let done = scene.asyncwatch(command, "echo ran").exits(2);
        assert_eq!(done.stdout, "", "the command did not run");
        done.says(
            "asyncwatch: asyncwatch.toml:1:1: unknown key `max-poll`; did you mean `max_poll`?\n",
        )
        .says(
            "asyncwatch: asyncwatch.toml:3:13: unknown level `loud`; known are allow, warn, deny\n",
        );
    }
    scene
        .asyncwatch(&["check", "--config", "other.toml"], "echo ran")
        .exits(2)
        .says("cannot read other.toml");
}

#[test]
fn levels_of_the_project_count_for_its_programs() {
    let scene = Scene::new();
    configure(&scene, "[levels]\nslow-poll = \"warn\"\n");
    scene
        .asyncwatch(&["check"], &failing(&scene))
        .exits(0)
        .says("1 warning (slow-poll)");
    scene
        .asyncwatch(&["check", "--deny", "slow-poll"], &failing(&scene))
        .exits(1);
}

#[test]
fn several_kinds_read_well() {
    let scene = Scene::new();
    let of = |id: u64, code: Code, level, fingerprint: &str| {
        found(Finding {
            id,
            code,
            fingerprint: fingerprint.to_owned(),
            class: None,
            wall: None,
            blocked: None,
            syscall: None,
            message: format!("something is wrong, and it is {code}"),
            ..slow_poll(level)
        })
    };
    let script = scene.reports(
        "many",
        &[
            process(),
            found(slow_poll(Level::Deny)),
            of(2, Code::LostWaker, Level::Deny, "2"),
            of(3, Code::Unjoined, Level::Warn, "3"),
            of(4, Code::Unjoined, Level::Warn, "4"),
            of(5, Code::TaskDroppedPending, Level::Allow, "5"),
            totals(),
            end(),
        ],
    );
    let done = scene.asyncwatch(&["check"], &script).exits(1);
    let summary = done
        .stderr
        .find("asyncwatch: 1 process")
        .expect("a summary");
    expect![[r#"
        asyncwatch: 1 process watched: 10 polls of 2 tasks
        asyncwatch: not shown, because the level is allow: task-dropped-pending
        asyncwatch: 2 errors (slow-poll, lost-waker), 2 warnings (2 × unjoined)
    "#]]
    .assert_eq(&done.stderr[summary..]);
}

#[test]
fn signals_reach_the_command_and_the_report_is_printed() {
    let scene = Scene::new();
    let ready = scene.path("ready");
    let script = failing(&scene)
        + &format!(
            "trap 'exit 5' TERM; echo up > '{}'; while :; do sleep 0.05; done",
            ready.display()
        );
    let child = scene
        .command(&["check", "--", "sh", "-c", &script])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    wait_for(&ready);
    kill_process(Pid::from_child(&child), Signal::TERM).expect("sent");
    let output = child.wait_with_output().expect("ended");
    assert_eq!(output.status.code(), Some(5));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("error[slow-poll]"), "{stderr}");
}

#[test]
fn colours_are_for_terminals_unless_asked_for() {
    let scene = Scene::new();
    scene
        .asyncwatch(&["check"], &failing(&scene))
        .does_not_say("\u{1b}");
    scene
        .asyncwatch(&["check", "--color", "always"], &failing(&scene))
        .says("\u{1b}[1;31merror");
}

#[test]
fn on_a_terminal_findings_are_told_as_they_come() {
    let scene = Scene::new();
    // The command goes on until it has been told.
    let told = scene.path("terminal");
    let script = failing(&scene)
        + &format!(
            "for i in $(seq 1200); do grep -q 'asyncwatch: slow-poll at' '{}' && break; sleep 0.05; done; echo went on",
            told.display()
        );
    fs::write(scene.path("command.sh"), script).expect("written");
    let inner = format!(
        "'{}' check -- sh command.sh",
        env!("CARGO_BIN_EXE_asyncwatch")
    );
    let mut command = std::process::Command::new("script");
    command
        .args(["--quiet", "--return", "--flush", "--command", &inner])
        .arg(&told)
        .current_dir(scene.path("."))
        .env_remove("GITHUB_ACTIONS")
        .stdin(Stdio::null());
    let Ok(output) = command.output() else {
        eprintln!("NOT RUN: `script`, which makes a terminal, is not here");
        return;
    };
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = fs::read_to_string(&told).expect("written");
    let at = |part: &str| {
        text.find(part)
            .unwrap_or_else(|| panic!("no {part:?} in {text}"))
    };
    assert!(at("asyncwatch: slow-poll at") < at("went on"), "{text}");
    assert!(at("went on") < at("error[slow-poll]"), "{text}");
}
