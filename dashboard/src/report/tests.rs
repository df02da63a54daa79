use std::time::Duration;

use asyncwatch_findings::{Drop, Finding, Frame};
use expect_test::{Expect, expect};
use serde_json::Value;

use super::{samples::*, *};

const EXIT_0: i32 = 0;
const EXIT_101: i32 = 101 << 8;
const SIGKILLED: i32 = 9;

fn report_of(processes: Vec<Watched>, caps: &[(Code, Level)], wait_status: i32) -> Report {
    let command = vec!["cargo".to_owned(), "test".to_owned()];
    let gathered = Gathered {
        unwatched: Vec::new(),
        processes,
        left_out: 0,
    };
    let ending = Ending::of_wait_status(wait_status);
    Report::new(command, ending, gathered, caps, &Allows::none())
}

fn report(processes: Vec<Watched>) -> Report {
    report_of(processes, &[], EXIT_0)
}

fn check_text(report: &Report, expected: Expect) {
    expected.assert_eq(&text(report, &options(None, false, false)));
}

#[test]
fn text_of_all_kinds() {
    let everything = vec![slow_poll(), descheduled(), never_awaited()];
    check_text(
        &report(vec![process(PID, everything)]),
        expect![[r#"
            error[slow-poll]: task `session` held worker 1 for 512 ms (limit 100 ms)
              --> /build/app/src/session.rs:42 in app::session::load
               |
               | blocked in clock_nanosleep for 511 ms; 37 tasks waited behind it
               = it called `std::thread::sleep`
               = spawned at src/main.rs:30:5
               = help: use `tokio::time::sleep(..).await`
               = note: seen twice; `asyncwatch explain slow-poll` says more

            warning[never-awaited]: the future of `app::mail::send` was dropped without ever being awaited: its code never ran
              --> /build/app/src/mail.rs:7 in app::mail::send
               |
               | made here, never awaited
               = in task `session`, spawned at src/main.rs:30:5
               = help: `.await` it, or give it to `tokio::spawn`
               = note: `asyncwatch explain never-awaited` says more

            asyncwatch: 1 process watched: 12041 polls of 318 tasks
            asyncwatch: not covered: tasks on a LocalSet are watched only if wrapped in `.watched()`
            asyncwatch: 3 polls were slow only because the machine had no CPU free; that is not a failure
            asyncwatch:   task `idle` took 180 ms for one poll on worker 0, mostly waiting for a CPU (limit 100 ms) in app::session::load
            asyncwatch: 1 error (slow-poll), 1 warning (never-awaited)
        "#]],
    );
}

#[test]
fn text_of_nothing_wrong() {
    check_text(
        &report(vec![process(PID, Vec::new()), process(PID + 1, Vec::new())]),
        expect![[r#"
            asyncwatch: 2 processes watched: 24082 polls of 636 tasks
            asyncwatch: not covered: tasks on a LocalSet are watched only if wrapped in `.watched()`
            asyncwatch: no findings
        "#]],
    );
}

#[test]
fn text_of_nothing_watched() {
    check_text(
        &report(Vec::new()),
        expect![[r#"
            asyncwatch: no watched process reported
            asyncwatch:   nothing is known about what `cargo` blocked; likely reasons:
            asyncwatch:   - none of its programs has tokio inside, or they ended within a few milliseconds
            asyncwatch:   - what was to be instrumented is built without asyncwatch's feature: asyncwatch = { version = "0.1", features = ["enabled"] }
            asyncwatch:   - or it never starts asyncwatch: put `#[asyncwatch::main]` on `main`, `#[asyncwatch::test]` on tests
            asyncwatch:   - it sets ASYNCWATCH=0, or clears or replaces its environment
            asyncwatch:   - it ended before its runtime started, or its tests were filtered out
        "#]],
    );
}

#[test]
fn text_of_nothing_polled() {
    let idle = Watched {
        totals: Totals::default(),
        ..process(PID, Vec::new())
    };
    let report = report(vec![idle]);
    assert_eq!(report.verdict(), Verdict::NothingPolled);
    check_text(
        &report,
        expect![[r#"
        asyncwatch: 1 process watched: 0 polls of 0 tasks
        asyncwatch: not covered: tasks on a LocalSet are watched only if wrapped in `.watched()`
        asyncwatch: nothing was watched: 1 process reported, and no watched task was polled
        asyncwatch:   put `#[asyncwatch::main]` or `#[asyncwatch::test]` where the runtime starts, or `.watched_as(..)` on what `block_on` is given
        asyncwatch:   spawned tasks are seen with RUSTFLAGS="--cfg tokio_unstable", or by `asyncwatch::spawn`
    "#]],
    );
}

#[test]
fn text_of_gaps_kills_and_drops() {
    let drops = vec![Drop {
        what: "captures".to_owned(),
        count: 3,
        detail: "stacks that changed while they were read".to_owned(),
    }];
    let mut killed = Watched {
        ended: false,
        garbled: 1,
        drops: drops.clone(),
        ..process(PID, vec![slow_poll()])
    };
    killed.info.coverage.clear();
    let still_there = Watched {
        ended: false,
        alive: true,
        drops,
        ..process(PID + 1, Vec::new())
    };
    let mut report = report_of(
        vec![killed, still_there],
        &[(Code::SlowPoll, Level::Allow)],
        EXIT_101,
    );
    report.left_out = 4;
    check_text(
        &report,
        expect![[r#"
            asyncwatch: 2 processes watched: 24082 polls of 636 tasks
            asyncwatch: not covered in 1 process: tasks on a LocalSet are watched only if wrapped in `.watched()`
            asyncwatch: app (process 7000001) ended abruptly; what it reported before is included
            asyncwatch: app (process 7000002) still runs; what it reported so far is included
            asyncwatch: left out: 6 captures: stacks that changed while they were read
            asyncwatch: 1 line of the processes' reports could not be read, most likely cut short by a kill
            asyncwatch: left out: 4 more findings or processes than are kept
            asyncwatch: not shown, because the level is allow: slow-poll
            asyncwatch: the command exited with code 101
            asyncwatch: no findings
        "#]],
    );
}

#[test]
fn many_lines_of_one_kind_are_bounded() {
    let killed = (0..9).map(|at| Watched {
        ended: false,
        ..process(PID + at, Vec::new())
    });
    let text = text(&report(killed.collect()), &options(None, false, false));
    assert_eq!(text.matches("ended abruptly").count(), 5, "{text}");
    assert!(
        text.contains("4 further processes without an end"),
        "{text}"
    );
}

#[test]
fn equal_findings_of_several_processes_are_one() {
    let worse = Finding {
        message: "task `session` held worker 0 for 2 s (limit 100 ms)".to_owned(),
        wall: Some(Duration::from_secs(2)),
        count: 5,
        first_unix_ns: 1_500,
        last_unix_ns: 9_000,
        ..slow_poll()
    };
    for processes in [
        vec![
            process(PID, vec![slow_poll()]),
            process(PID + 1, vec![worse.clone()]),
        ],
        vec![
            process(PID, vec![worse.clone()]),
            process(PID + 1, vec![slow_poll()]),
        ],
    ] {
        let report = report(processes);
        let [group] = &report.groups[..] else {
            panic!("one group, not {:?}", report.groups)
        };
        assert_eq!(group.finding.message, worse.message);
        assert_eq!(
            (
                group.finding.count,
                group.finding.first_unix_ns,
                group.finding.last_unix_ns
            ),
            (7, 1_000, 9_000)
        );
        assert_eq!(group.pids, [PID, PID + 1]);
    }
}

#[test]
fn what_the_machine_did_hides_nothing_the_program_did() {
    let report = report(vec![process(PID, vec![descheduled(), slow_poll()])]);
    assert_eq!(report.groups.len(), 2);
    assert_eq!(report.denied(), 1);
}

#[test]
fn descheduled_polls_never_fail() {
    let report = report(vec![process(PID, vec![descheduled()])]);
    assert_eq!(report.verdict(), Verdict::Clean);
}

#[test]
fn the_worst_comes_first() {
    let longer = Finding {
        id: 9,
        wall: Some(Duration::from_secs(9)),
        fingerprint: "9".to_owned(),
        ..slow_poll()
    };
    let report = report(vec![process(
        PID,
        vec![never_awaited(), slow_poll(), longer],
    )]);
    let ids: Vec<u64> = report.groups.iter().map(|group| group.finding.id).collect();
    assert_eq!(ids, [9, 1, 3]);
}

#[test]
fn caps_only_lower_levels() {
    let with = |level| {
        report_of(
            vec![process(PID, vec![slow_poll(), never_awaited()])],
            &[(Code::SlowPoll, level), (Code::NeverAwaited, Level::Deny)],
            EXIT_0,
        )
    };
    assert_eq!(
        with(Level::Deny).denied(),
        1,
        "the program's own `warn` stays"
    );
    assert_eq!(with(Level::Warn).denied(), 0);
    assert_eq!(with(Level::Allow).groups[0].finding.level, Level::Warn);
}

fn document(report: &Report) -> Value {
    serde_json::from_str(&json(report).expect("serialisable")).expect("valid JSON")
}

fn keys(value: &Value) -> String {
    let object = value.as_object().expect("an object");
    object.keys().cloned().collect::<Vec<_>>().join(" ")
}

#[test]
fn json_has_exactly_the_documented_fields() {
    let document = document(&report(vec![process(PID, vec![slow_poll()])]));
    let finding = &document["findings"][0];
    for (value, expected) in [
        (
            &document,
            expect![
                "auto_limit baseline command coverage directory dropped dropped_details findings processes repository schema tool unused_allows unwatched verdict"
            ],
        ),
        (&document["tool"], expect!["name version"]),
        (
            &document["command"],
            expect!["args exit_code signal stopped"],
        ),
        (
            &document["coverage"][0],
            expect!["aspect covered detail processes"],
        ),
        (
            &document["processes"][0],
            expect![
                "alive args asyncwatch_version ended exe max_poll_ms name pid polls ppid started_unix_ns tasks threads timing"
            ],
        ),
        (
            finding,
            expect![
                "blocked_ms blocking_frame class code count cpu_ms culprit fingerprint first_unix_ns help id known last_unix_ns level limit_ms message notes ongoing pids queued_behind run_delay_ms stacks syscall task waited_behind_ms wall_ms worker"
            ],
        ),
        (&finding["culprit"], expect!["file function line user"]),
        (
            &finding["blocking_frame"],
            expect!["file function line user"],
        ),
        (&finding["task"], expect!["id kind name spawned_at"]),
        (&finding["task"]["spawned_at"], expect!["column file line"]),
        (&finding["stacks"][0], expect!["frames weight_ms"]),
        (
            &finding["stacks"][0]["frames"][0],
            expect!["file function line user"],
        ),
    ] {
        expected.assert_eq(&keys(value));
    }
    assert_eq!(document["schema"], 1);
    assert_eq!(finding["wall_ms"], 512.0);
    assert_eq!(finding["cpu_ms"], 0.8);
    assert_eq!(finding["class"], "blocked");
    assert_eq!(
        finding["stacks"][0]["frames"][0]["function"],
        "std::thread::sleep"
    );
}

#[test]
fn json_tells_the_verdict_and_the_command() {
    let verdict = |report: &Report| document(report)["verdict"].as_str().map(str::to_owned);
    let clean = || vec![process(PID, Vec::new())];
    assert_eq!(verdict(&report(clean())).as_deref(), Some("pass"));
    assert_eq!(verdict(&report(Vec::new())).as_deref(), Some("fail"));
    assert_eq!(
        verdict(&report(vec![process(PID, vec![slow_poll()])])).as_deref(),
        Some("fail")
    );
    assert_eq!(
        verdict(&report_of(clean(), &[], EXIT_101)).as_deref(),
        Some("fail")
    );
    let killed = document(&report_of(clean(), &[], SIGKILLED));
    assert_eq!(
        killed["command"],
        serde_json::json!({"args": ["cargo", "test"], "exit_code": null, "signal": 9, "stopped": false})
    );
}

#[test]
fn json_counts_what_was_left_out() {
    let drops = vec![Drop {
        what: "captures".to_owned(),
        count: 3,
        detail: String::new(),
    }];
    let lossy = Watched {
        drops,
        garbled: 2,
        ..process(PID, Vec::new())
    };
    let document = document(&report(vec![
        lossy.clone(),
        Watched {
            garbled: 0,
            ..lossy
        },
    ]));
    assert_eq!(
        document["dropped"],
        serde_json::json!({"captures": 6, "garbled-lines": 2})
    );
}

#[test]
fn json_shows_frames_without_symbols_by_module_and_offset() {
    let unresolved = Frame {
        module: Some("/opt/app".to_owned()),
        offset: Some(64),
        ..Frame::default()
    };
    let finding = Finding {
        culprit: Some(unresolved),
        ..slow_poll()
    };
    let document = document(&report(vec![process(PID, vec![finding])]));
    let culprit = &document["findings"][0]["culprit"];
    assert_eq!(
        (&culprit["module"], &culprit["offset"]),
        (&"/opt/app".into(), &64.into())
    );
}

#[test]
fn streams_cannot_command_the_terminal() {
    let mut evil = Watched {
        ended: false,
        ..process(PID, Vec::new())
    };
    evil.info.name = "\u{1b}[2J".to_owned();
    evil.info.coverage[1].detail = "\u{1b}]0;x\u{7}".to_owned();
    let text = text(&report(vec![evil]), &options(None, false, false));
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn exit_codes_of_commands_are_kept() {
    for (wait_status, code) in [
        (EXIT_0, None),
        (EXIT_101, Some(101)),
        (SIGKILLED, Some(137)),
        (15, Some(143)),
    ] {
        assert_eq!(Ending::of_wait_status(wait_status).failure_code(), code);
    }
}

pub(super) mod formats;
