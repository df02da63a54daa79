use std::time::Duration;

use expect_test::{Expect, expect};

use super::*;
use crate::{
    Class, Location, Stack, TaskRef,
    message::{SlowPoll, slow_poll},
};

const BASE: &str = "/home/me/app";

const SESSION: &str = "\
pub async fn load(id: u32) -> Session {
    let mut backoff = START;
    loop {
        match try_load(id).await {
            Some(session) => return session,
            None => {
                std::thread::sleep(backoff);
            }
        }
    }
}
";

fn frame(function: &str, file: &str, line: u32) -> Frame {
    let mut frames = [Frame {
        function: function.to_owned(),
        file: (!file.is_empty()).then(|| file.to_owned()),
        line: (line > 0).then_some(line),
        ..Frame::default()
    }];
    crate::mark(&mut frames);
    let [frame] = frames;
    frame
}

fn unresolved(offset: u64) -> Frame {
    Frame {
        module: Some("/opt/app/bin/app".to_owned()),
        offset: Some(offset),
        ..Frame::default()
    }
}

fn ms(ms: u64) -> Option<Duration> {
    Some(Duration::from_millis(ms))
}

fn finding() -> Finding {
    let task = TaskRef {
        id: 12,
        name: "session".to_owned(),
        kind: "task".to_owned(),
        spawned_at: Some(Location {
            file: "/home/me/app/src/main.rs".to_owned(),
            line: 30,
            column: 5,
        }),
    };
    let culprit = frame(
        "app::session::load::{{closure}}",
        "/home/me/app/src/session.rs",
        7,
    );
    let sleep = frame(
        "std::thread::sleep",
        "/rustc/5980/library/std/src/thread/functions.rs",
        289,
    );
    let mut finding = Finding {
        id: 1,
        code: Code::SlowPoll,
        level: Level::Warn,
        message: String::new(),
        count: 14,
        ongoing: false,
        first_unix_ns: 0,
        last_unix_ns: 0,
        wall: ms(512),
        cpu: ms(1),
        blocked: ms(511),
        run_delay: ms(0),
        limit: ms(100),
        class: Some(Class::Blocked),
        syscall: Some("clock_nanosleep".to_owned()),
        culprit: Some(culprit.clone()),
        blocking_frame: Some(sleep.clone()),
        task: Some(task),
        worker: Some("worker 1".to_owned()),
        queued_behind: Some(37),
        waited_behind: None,
        label: None,
        stacks: vec![Stack {
            weight: Duration::from_millis(511),
            frames: vec![
                frame(
                    "__GI___clock_nanosleep",
                    "./time/../sysdeps/unix/sysv/linux/clock_nanosleep.c",
                    48,
                ),
                frame(
                    "std::sys::thread::unix::sleep",
                    "/rustc/5980/library/std/src/sys/thread/unix.rs",
                    579,
                ),
                sleep,
                culprit,
                frame(
                    "<futures_util::future::Map<A,B> as core::future::future::Future>::poll",
                    "",
                    0,
                ),
                frame(
                    "<tower::util::Oneshot<S,R> as core::future::future::Future>::poll",
                    "",
                    0,
                ),
                frame("app::serve::{{closure}}", "/home/me/app/src/serve.rs", 4),
                frame("tokio::runtime::task::core::Core<T,S>::poll", "", 0),
                frame("tokio::runtime::task::raw::poll", "", 0),
                frame("clone3", "", 0),
            ],
            ..Stack::default()
        }],
        help: Some("use `tokio::time::sleep(..).await`".to_owned()),
        notes: Vec::new(),
        fingerprint: "0123456789abcdef".to_owned(),
        allowed: None,
        occurrences: Vec::new(),
    };
    compose(&mut finding);
    finding
}

fn compose(finding: &mut Finding) {
    finding.message = slow_poll(&SlowPoll {
        task: finding.task.as_ref(),
        worker: finding.worker.as_deref(),
        wall: finding.wall.unwrap_or_default(),
        limit: finding.limit.unwrap_or_default(),
        ongoing: finding.ongoing,
        class: finding.class,
    });
}

fn session_source(file: &Path) -> Option<String> {
    (file == Path::new("/home/me/app/src/session.rs")).then(|| SESSION.to_owned())
}

fn with_source() -> RenderOptions<'static> {
    RenderOptions {
        base: Some(Path::new(BASE)),
        source: &session_source,
        ..RenderOptions::default()
    }
}

fn check(change: impl FnOnce(&mut Finding), options: &RenderOptions<'_>, expected: Expect) {
    let mut finding = finding();
    change(&mut finding);
    compose(&mut finding);
    expected.assert_eq(&render(&finding, options));
}

#[test]
fn blocked_with_source() {
    check(
        |_| {},
        &with_source(),
        expect![[r#"
        warning[slow-poll]: task `session` held worker 1 for 512 ms (limit 100 ms)
          --> src/session.rs:7 in app::session::load
           |
         7 |                 std::thread::sleep(backoff);
           |                 blocked in clock_nanosleep for 511 ms; 37 tasks waited behind it
           = spawned at src/main.rs:30:5
           = help: use `tokio::time::sleep(..).await`
           = note: seen 14 times; `asyncwatch explain slow-poll` says more
    "#]],
    );
}

#[test]
fn blocked_without_source() {
    check(
        |_| {},
        &RenderOptions::default(),
        expect![[r#"
        warning[slow-poll]: task `session` held worker 1 for 512 ms (limit 100 ms)
          --> /home/me/app/src/session.rs:7 in app::session::load
           |
           | blocked in clock_nanosleep for 511 ms; 37 tasks waited behind it
           = it called `std::thread::sleep`
           = spawned at /home/me/app/src/main.rs:30:5
           = help: use `tokio::time::sleep(..).await`
           = note: seen 14 times; `asyncwatch explain slow-poll` says more
    "#]],
    );
}

#[test]
fn denied_once_and_nobody_waited() {
    let change = |finding: &mut Finding| {
        finding.level = Level::Deny;
        finding.count = 1;
        finding.queued_behind = Some(0);
    };
    check(
        change,
        &with_source(),
        expect![[r#"
        error[slow-poll]: task `session` held worker 1 for 512 ms (limit 100 ms)
          --> src/session.rs:7 in app::session::load
           |
         7 |                 std::thread::sleep(backoff);
           |                 blocked in clock_nanosleep for 511 ms
           = spawned at src/main.rs:30:5
           = help: use `tokio::time::sleep(..).await`
           = note: `asyncwatch explain slow-poll` says more
    "#]],
    );
}

#[test]
fn ongoing() {
    let change = |finding: &mut Finding| {
        finding.ongoing = true;
        finding.count = 2;
        finding.queued_behind = Some(1);
    };
    check(
        change,
        &with_source(),
        expect![[r#"
        warning[slow-poll]: task `session` has held worker 1 for 512 ms and still does (limit 100 ms)
          --> src/session.rs:7 in app::session::load
           |
         7 |                 std::thread::sleep(backoff);
           |                 has been blocked in clock_nanosleep for 511 ms; 1 task waits behind it
           = spawned at src/main.rs:30:5
           = help: use `tokio::time::sleep(..).await`
           = note: seen twice; `asyncwatch explain slow-poll` says more
    "#]],
    );
}

#[test]
fn computing() {
    let change = |finding: &mut Finding| {
        finding.class = Some(Class::Cpu);
        finding.cpu = ms(498);
        finding.syscall = None;
        finding.blocking_frame = Some(frame("bcrypt::hash", "", 0));
        finding.help = Some("password hashing is slow by design".to_owned());
        finding.notes =
            vec!["this build has no line tables: set `debug = \"line-tables-only\"`".to_owned()];
    };
    check(
        change,
        &with_source(),
        expect![[r#"
        warning[slow-poll]: task `session` held worker 1 for 512 ms (limit 100 ms)
          --> src/session.rs:7 in app::session::load
           |
         7 |                 std::thread::sleep(backoff);
           |                 computed for 498 ms; 37 tasks waited behind it
           = it called `bcrypt::hash`
           = spawned at src/main.rs:30:5
           = help: password hashing is slow by design
           = note: this build has no line tables: set `debug = "line-tables-only"`
           = note: seen 14 times; `asyncwatch explain slow-poll` says more
    "#]],
    );
}

#[test]
fn mixed_and_descheduled() {
    let mixed = |finding: &mut Finding| {
        finding.class = Some(Class::Mixed);
        finding.cpu = ms(60);
        finding.blocked = ms(55);
        finding.syscall = Some("fsync(\"/var/lib/app/wal\")".to_owned());
    };
    check(
        mixed,
        &RenderOptions::default(),
        expect![[r#"
        warning[slow-poll]: task `session` held worker 1 for 512 ms (limit 100 ms)
          --> /home/me/app/src/session.rs:7 in app::session::load
           |
           | computed for 60 ms and was blocked in fsync("/var/lib/app/wal") for 55 ms; 37 tasks waited behind it
           = it called `std::thread::sleep`
           = spawned at /home/me/app/src/main.rs:30:5
           = help: use `tokio::time::sleep(..).await`
           = note: seen 14 times; `asyncwatch explain slow-poll` says more
    "#]],
    );
    let descheduled = |finding: &mut Finding| {
        finding.class = Some(Class::Descheduled);
        finding.run_delay = ms(480);
        finding.blocking_frame = None;
    };
    check(
        descheduled,
        &RenderOptions::default(),
        expect![[r#"
        warning[slow-poll]: task `session` took 512 ms for one poll on worker 1, mostly waiting for a CPU (limit 100 ms)
          --> /home/me/app/src/session.rs:7 in app::session::load
           |
           | was ready to run for 480 ms, but the machine had no CPU for it; 37 tasks waited behind it
           = spawned at /home/me/app/src/main.rs:30:5
           = help: use `tokio::time::sleep(..).await`
           = note: seen 14 times; `asyncwatch explain slow-poll` says more
    "#]],
    );
}

#[test]
fn names_missing_from_debug_info_come_from_the_source() {
    let change = |finding: &mut Finding| {
        finding.culprit = Some(frame("{async_fn#0}<u32>", "/home/me/app/src/session.rs", 7));
    };
    check(
        change,
        &with_source(),
        expect![[r#"
        warning[slow-poll]: task `session` held worker 1 for 512 ms (limit 100 ms)
          --> src/session.rs:7 in load (async fn)
           |
         7 |                 std::thread::sleep(backoff);
           |                 blocked in clock_nanosleep for 511 ms; 37 tasks waited behind it
           = spawned at src/main.rs:30:5
           = help: use `tokio::time::sleep(..).await`
           = note: seen 14 times; `asyncwatch explain slow-poll` says more
    "#]],
    );
}

#[test]
fn without_symbols() {
    let change = |finding: &mut Finding| {
        finding.culprit = Some(unresolved(0x1f40));
        finding.blocking_frame = Some(unresolved(0x2000));
        finding.stacks[0].frames = vec![unresolved(0x2000), unresolved(0x1f40)];
    };
    check(
        change,
        &RenderOptions {
            stack: true,
            ..with_source()
        },
        expect![[r#"
        warning[slow-poll]: task `session` held worker 1 for 512 ms (limit 100 ms)
          --> in app+0x1f40
           |
           | blocked in clock_nanosleep for 511 ms; 37 tasks waited behind it
           = it called `app+0x2000`
           = spawned at src/main.rs:30:5
           = help: use `tokio::time::sleep(..).await`
           = stack, innermost call first:
               app+0x2000
               app+0x1f40
           = note: seen 14 times; `asyncwatch explain slow-poll` says more
    "#]],
    );
}

#[test]
fn without_anything_but_the_fact() {
    let change = |finding: &mut Finding| {
        finding.culprit = None;
        finding.blocking_frame = None;
        finding.stacks.clear();
        finding.class = None;
        finding.syscall = None;
        finding.queued_behind = None;
        finding.task = None;
        finding.help = None;
    };
    check(
        change,
        &RenderOptions {
            stack: true,
            ..with_source()
        },
        expect![[r#"
        warning[slow-poll]: a task held worker 1 for 512 ms (limit 100 ms)
          --> place unknown: no stack could be taken
           = note: seen 14 times; `asyncwatch explain slow-poll` says more
    "#]],
    );
}

#[test]
fn never_awaited() {
    let change = |finding: &mut Finding| {
        finding.code = Code::NeverAwaited;
        finding.class = None;
        finding.culprit = Some(frame(
            "app::session::load",
            "/home/me/app/src/session.rs",
            4,
        ));
        finding.blocking_frame = Some(frame(
            "app::session::Cache::clear",
            "/home/me/app/src/cache.rs",
            88,
        ));
        finding.help = Some("`.await` it, or give it to `tokio::spawn`".to_owned());
    };
    let mut finding = finding();
    change(&mut finding);
    finding.message = crate::message::never_awaited("app::session::load");
    expect![[r#"
        warning[never-awaited]: the future of `app::session::load` was dropped without ever being awaited: its code never ran
          --> src/session.rs:4 in app::session::load
           |
         4 |         match try_load(id).await {
           |         made here, never awaited
           = dropped at src/cache.rs:88 in app::session::Cache::clear
           = in task `session`, spawned at src/main.rs:30:5
           = help: `.await` it, or give it to `tokio::spawn`
           = note: seen 14 times; `asyncwatch explain never-awaited` says more
    "#]].assert_eq(&render(&finding, &with_source()));
}

#[test]
fn with_the_stack() {
    let change = |finding: &mut Finding| {
        let other = finding.stacks[0].clone();
        finding.stacks.push(other);
    };
    check(
        change,
        &RenderOptions {
            stack: true,
            ..with_source()
        },
        expect![[r#"
            warning[slow-poll]: task `session` held worker 1 for 512 ms (limit 100 ms)
              --> src/session.rs:7 in app::session::load
               |
             7 |                 std::thread::sleep(backoff);
               |                 blocked in clock_nanosleep for 511 ms; 37 tasks waited behind it
               = spawned at src/main.rs:30:5
               = help: use `tokio::time::sleep(..).await`
               = stack of 511 ms, the heaviest of 2, innermost call first:
                   clock_nanosleep
                   std::sys::thread::unix::sleep
                   std::thread::sleep
                   app::session::load at src/session.rs:7
                   … 2 frames of the runtime
                   app::serve at src/serve.rs:4
               = note: seen 14 times; `asyncwatch explain slow-poll` says more
        "#]],
    );
}

#[test]
fn deep_stacks_are_cut_and_counted() {
    let deep: Vec<Frame> = (0..100)
        .map(|depth| {
            frame(
                &format!("app::visit_{depth}"),
                "/home/me/app/src/x.rs",
                depth,
            )
        })
        .collect();
    let mut finding = finding();
    finding.stacks[0].frames = deep;
    let text = render(
        &finding,
        &RenderOptions {
            stack: true,
            ..RenderOptions::default()
        },
    );
    assert!(text.contains("… 70 more frames"), "{text}");
    assert!(text.lines().count() < 50);
}

#[test]
fn colours() {
    let text = render(
        &finding(),
        &RenderOptions {
            color: true,
            ..with_source()
        },
    );
    expect![[r#"
        ^[1;33mwarning[slow-poll]^[0m^[1m: task `session` held worker 1 for 512 ms (limit 100 ms)^[0m
        ^[1;34m  -->^[0m src/session.rs:7 in app::session::load
        ^[1;34m   |^[0m
        ^[1;34m 7 |^[0m                 std::thread::sleep(backoff);
        ^[1;34m   |^[0m                 ^[1;33mblocked in clock_nanosleep for 511 ms; 37 tasks waited behind it^[0m
        ^[1;34m   =^[0m spawned at src/main.rs:30:5
        ^[1;34m   =^[0m ^[1mhelp: ^[0muse `tokio::time::sleep(..).await`
        ^[1;34m   =^[0m ^[1mnote: ^[0mseen 14 times; `asyncwatch explain slow-poll` says more
    "#]].assert_eq(&text.replace('\u{1b}', "^"));
}

#[test]
fn findings_cannot_command_the_terminal() {
    let evil = "\u{1b}]0;owned\u{7}\u{202e}\n\r";
    let mut finding = finding();
    finding.message = evil.to_owned();
    finding.syscall = Some(evil.to_owned());
    finding.help = Some(evil.to_owned());
    finding.notes = vec![evil.to_owned()];
    finding.culprit = Some(Frame {
        function: evil.to_owned(),
        file: Some(evil.to_owned()),
        ..Frame::default()
    });
    finding.blocking_frame = finding.culprit.clone();
    finding.stacks[0].frames = vec![Frame {
        user: true,
        ..finding.culprit.clone().expect("just set")
    }];
    if let Some(task) = &mut finding.task {
        task.spawned_at = Some(Location {
            file: evil.to_owned(),
            line: 1,
            column: 1,
        });
    }
    let text = render(
        &finding,
        &RenderOptions {
            stack: true,
            ..RenderOptions::default()
        },
    );
    assert!(
        text.chars()
            .all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')),
        "{text:?}"
    );
    assert!(!text.contains("\n\n"), "{text:?}");
}
