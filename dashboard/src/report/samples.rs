//! Findings and processes for tests.

use std::time::Duration;

use asyncwatch_findings::{
    Class, Code, Coverage, Finding, Frame, Level, Location, ProcessInfo, Stack, TaskRef, Totals,
};

use crate::gather::Watched;

/// No process can have it: beyond the kernel's largest.
pub(crate) const PID: u32 = 7_000_001;

fn frame(function: &str, file: &str, line: u32) -> Frame {
    Frame {
        function: function.to_owned(),
        file: Some(file.to_owned()),
        line: Some(line),
        user: function.starts_with("app"),
        ..Frame::default()
    }
}

pub(crate) fn slow_poll() -> Finding {
    let culprit = frame(
        "app::session::load::{{closure}}",
        "/build/app/src/session.rs",
        42,
    );
    let sleep = frame(
        "std::thread::sleep",
        "/rustc/5980/library/std/src/thread/functions.rs",
        289,
    );
    Finding {
        id: 1,
        code: Code::SlowPoll,
        level: Level::Deny,
        message: "task `session` held worker 1 for 512 ms (limit 100 ms)".to_owned(),
        count: 2,
        ongoing: false,
        first_unix_ns: 1_000,
        last_unix_ns: 2_000,
        wall: Some(Duration::from_millis(512)),
        cpu: Some(Duration::from_micros(800)),
        blocked: Some(Duration::from_millis(511)),
        run_delay: Some(Duration::ZERO),
        limit: Some(Duration::from_millis(100)),
        class: Some(Class::Blocked),
        syscall: Some("clock_nanosleep".to_owned()),
        culprit: Some(culprit.clone()),
        blocking_frame: Some(sleep.clone()),
        task: Some(TaskRef {
            id: 12,
            name: "session".to_owned(),
            kind: "task".to_owned(),
            spawned_at: Some(Location {
                file: "src/main.rs".to_owned(),
                line: 30,
                column: 5,
            }),
        }),
        worker: Some("worker 1".to_owned()),
        queued_behind: Some(37),
        waited_behind: None,
        label: None,
        stacks: vec![Stack {
            weight: Duration::from_millis(511),
            frames: vec![sleep, culprit],
            ..Stack::default()
        }],
        help: Some("use `tokio::time::sleep(..).await`".to_owned()),
        notes: Vec::new(),
        fingerprint: "0123456789abcdef".to_owned(),
        allowed: None,
        occurrences: Vec::new(),
    }
}

pub(crate) fn descheduled() -> Finding {
    Finding {
        id: 2,
        message: "task `idle` took 180 ms for one poll on worker 0, mostly waiting for a CPU (limit 100 ms)".to_owned(),
        class: Some(Class::Descheduled),
        wall: Some(Duration::from_millis(180)),
        count: 3,
        ..slow_poll()
    }
}

pub(crate) fn never_awaited() -> Finding {
    Finding {
        id: 3,
        code: Code::NeverAwaited,
        level: Level::Warn,
        message: "the future of `app::mail::send` was dropped without ever being awaited: its code never ran".to_owned(),
        count: 1,
        class: None,
        syscall: None,
        wall: None,
        cpu: None,
        blocked: None,
        run_delay: None,
        limit: None,
        culprit: Some(frame("app::mail::send", "/build/app/src/mail.rs", 7)),
        blocking_frame: None,
        stacks: Vec::new(),
        queued_behind: None,
        waited_behind: None,
        label: None,
        help: Some("`.await` it, or give it to `tokio::spawn`".to_owned()),
        fingerprint: "fedcba9876543210".to_owned(),
        ..slow_poll()
    }
}

/// A process that ended in good order.
pub(crate) fn process(pid: u32, findings: Vec<Finding>) -> Watched {
    let coverage = |aspect: &str, covered, detail: &str| Coverage {
        aspect: aspect.to_owned(),
        covered,
        detail: detail.to_owned(),
    };
    Watched {
        info: ProcessInfo {
            schema: 1,
            pid,
            ppid: 1,
            name: "app".to_owned(),
            args: vec!["app".to_owned(), "--serve".to_owned()],
            exe: Some("/build/app/target/debug/app".to_owned()),
            started_unix_ns: 500,
            asyncwatch_version: "0.1.0".to_owned(),
            addr: None,
            timing: "exact".to_owned(),
            max_poll_ms: 100.0,
            coverage: vec![
                coverage("spawned-tasks", true, "spawned tasks are watched"),
                coverage(
                    "local-set",
                    false,
                    "tasks on a LocalSet are watched only if wrapped in `.watched()`",
                ),
            ],
            settings: Vec::new(),
        },
        findings: findings
            .into_iter()
            .map(|finding| (finding.id, finding))
            .collect(),
        drops: Vec::new(),
        totals: Totals {
            polls: 12_041,
            tasks: 318,
            threads: 2,
        },
        poll_times: Vec::new(),
        ended: true,
        alive: false,
        garbled: 0,
        reported: true,
    }
}
