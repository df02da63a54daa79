//! A program as it might be: some tasks, two findings, one of them ongoing.

use std::time::Duration;

use asyncwatch_findings::{Class, Code, Coverage, Finding, Frame, Level, Location, Stack, TaskRef};

use crate::{
    model::{
        Histogram, Kind, Process, Runtime, RuntimeId, Site, SiteId, Task, TaskId, TaskState,
        Update, Worker, WorkerId,
    },
    tui::source::{Excerpt, Sources},
};

pub(super) const NOW: u64 = 1_795_000_000_000_000_000;
const SECOND: u64 = 1_000_000_000;
const BOUNDS: [u64; 24] = asyncwatch_wire::HISTOGRAM_BOUNDS_NS;
const SESSION: &str = "/home/dev/shop/src/session.rs";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

pub(super) fn snapshot() -> Update {
    Update {
        snapshot: 1,
        now_unix_ns: NOW,
        reset: true,
        snapshot_complete: true,
        process: Some(process()),
        sites: sites(),
        tasks: (1..=40).map(task).collect(),
        workers: (0..4).map(worker).collect(),
        runtimes: vec![runtime()],
        findings: vec![slow_poll(), hashing(), never_awaited()],
        drops: Some(vec![asyncwatch_findings::Drop {
            what: "captures".to_owned(),
            count: 12,
            detail: "stacks that were not taken because too many were under way".to_owned(),
        }]),
        ..Update::default()
    }
}

/// The next snapshot: all is as before, but the slow poll has ended and a task
/// has been busy.
pub(super) fn later() -> Update {
    let mut busy = task(7);
    busy.busy = busy.busy.map(|it| it + ms(250));
    let mut ended = slow_poll();
    ended.ongoing = false;
    let mut freed = worker(1);
    freed.current_task = None;
    freed.current_poll = Duration::ZERO;
    ended.wall = Some(ms(1_741));
    Update {
        snapshot: 2,
        now_unix_ns: NOW + SECOND,
        snapshot_complete: true,
        tasks: vec![busy],
        ended_tasks: vec![TaskId(40)],
        workers: vec![freed],
        findings: vec![ended],
        ..Update::default()
    }
}

pub(super) fn process() -> Process {
    let aspect = |aspect: &str, covered, detail: &str| Coverage {
        aspect: aspect.to_owned(),
        covered,
        detail: detail.to_owned(),
    };
    Process {
        name: "shop-api".to_owned(),
        pid: 4242,
        args: vec!["target/debug/shop-api".to_owned(), "--port=8080".to_owned()],
        started_unix_ns: NOW - 723 * SECOND,
        version: "0.1.0".to_owned(),
        timing: "exact".to_owned(),
        max_poll: Some(ms(100)),
        paused: false,
        settings: Vec::new(),
        coverage: vec![
            aspect(
                "spawned-tasks",
                true,
                "every task spawned on the runtime is watched",
            ),
            aspect("root-future", true, "the future of `main` is watched"),
            aspect(
                "local-set",
                false,
                "tasks of a LocalSet are not; wrap them with `.watched()`",
            ),
        ],
        platform: "linux x86_64".to_owned(),
    }
}

fn location(file: &str, line: u32) -> Location {
    Location {
        file: file.to_owned(),
        line,
        column: 5,
    }
}

fn sites() -> Vec<Site> {
    let site = |id, file: &str, line, name: &str, longest| Site {
        id: SiteId(id),
        location: Some(location(file, line)),
        kind: Kind::Task,
        spawned: 900,
        alive: 20,
        polls: 123_456,
        busy: Some(ms(5_200)),
        scheduled: Some(ms(310)),
        longest: Some(longest),
        poll_times: Some(Histogram::new(
            &BOUNDS,
            &[0, 0, 10, 400, 90_000, 33_000, 40, 6],
        )),
        name: name.to_owned(),
    };
    vec![
        site(
            1,
            "src/main.rs",
            30,
            "shop::session::serve::{{closure}}",
            ms(1_300),
        ),
        site(
            2,
            "/home/dev/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/hyper-1.7.0/src/common/exec.rs",
            45,
            "hyper::server::conn::http1::UpgradeableConnection<TokioIo<TcpStream>, axum::Router>",
            micros(900),
        ),
    ]
}

fn task(n: u64) -> Task {
    let site = if n % 2 == 1 { 1 } else { 2 };
    let name = &sites()[site - 1].name;
    Task {
        id: TaskId(n),
        tokio_id: Some(n + 10),
        name: name.clone(),
        kind: Kind::Task,
        site: SiteId(site as u32),
        parent: (n > 1).then_some(TaskId(1)),
        state: match n % 5 {
            0 => TaskState::Scheduled,
            1 => TaskState::Running,
            _ => TaskState::Idle,
        },
        spawned_unix_ns: NOW - n * 17 * SECOND,
        polls: n * 37,
        busy: Some(micros(n * 1_300)),
        scheduled: Some(micros(n * 110)),
        idle: Some(Duration::from_secs(n * 16)),
        longest: Some(micros(n * 91)),
        poll_times: Some(Histogram::new(&BOUNDS, &[0, 0, 0, n, n * 30, n * 5, 0, n])),
        runtime: RuntimeId(1),
    }
}

fn worker(n: u32) -> Worker {
    Worker {
        id: WorkerId(n),
        tid: 4243 + n,
        thread_name: format!("worker {n}"),
        current_task: match n {
            1 => Some(TaskId(3)),
            2 => Some(TaskId(8)),
            _ => None,
        },
        current_poll: if n == 1 { ms(1_250) } else { micros(42) },
        polls: 81_234,
        busy: Some(ms(61_000)),
        parks: 40_123,
        busy_share: Some(if n == 1 { 1.0 } else { 0.125 * f64::from(n) }),
        runtime: RuntimeId(1),
    }
}

fn runtime() -> Runtime {
    Runtime {
        id: RuntimeId(1),
        flavor: "multi_thread".to_owned(),
        workers: 4,
        alive_tasks: 40,
        global_queue_depth: 3,
        local_queue_depth: Some(17),
        blocking_queue_depth: Some(0),
        blocking_threads: Some(2),
        spawned_tasks: Some(1_800),
        budget_forced_yields: Some(5),
        remote_schedules: None,
        parks: 160_000,
        busy: ms(98_000),
        ..Runtime::default()
    }
}

fn frame(function: &str, file: &str, line: u32, user: bool) -> Frame {
    Frame {
        function: function.to_owned(),
        file: Some(file.to_owned()),
        line: Some(line),
        user,
        ..Frame::default()
    }
}

pub(super) fn slow_poll() -> Finding {
    let culprit = frame("shop::session::load::{{closure}}", SESSION, 42, true);
    let std = "/rustc/0a1b2c/library/std/src/thread/functions.rs";
    let sleep = frame("std::thread::sleep", std, 313, false);
    let tokio = "/home/dev/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/tokio-1.54.1/src/runtime/task/core.rs";
    let unknown = Frame {
        module: Some("/usr/lib/libc.so.6".to_owned()),
        offset: Some(0xe578a),
        ..Frame::default()
    };
    let frames = vec![
        unknown,
        sleep.clone(),
        culprit.clone(),
        frame("shop::session::serve::{{closure}}", SESSION, 88, true),
        frame(
            "tokio::runtime::task::core::Core<T,S>::poll",
            tokio,
            365,
            false,
        ),
    ];
    Finding {
        id: 1,
        code: Code::SlowPoll,
        level: Level::Deny,
        message: "task `shop::session::serve` held worker 1 for 1.25 s (limit 100 ms)".to_owned(),
        count: 14,
        ongoing: true,
        first_unix_ns: NOW - 700 * SECOND,
        last_unix_ns: NOW - SECOND,
        wall: Some(ms(1_250)),
        cpu: Some(ms(50)),
        blocked: Some(ms(1_100)),
        run_delay: Some(ms(100)),
        limit: Some(ms(100)),
        class: Some(Class::Blocked),
        syscall: Some("clock_nanosleep".to_owned()),
        culprit: Some(culprit),
        blocking_frame: Some(sleep),
        task: Some(task_ref(13, "shop::session::serve::{{closure}}", "src/main.rs", 30)),
        worker: Some("worker 1".to_owned()),
        queued_behind: Some(37),
        waited_behind: None,
        label: None,
        stacks: vec![
            Stack { weight: ms(1_000), frames, ..Stack::default() },
            Stack {
                weight: ms(250),
                frames: vec![frame("shop::session::retry", SESSION, 61, true)],
                ..Stack::default()
            },
        ],
        help: Some("use `tokio::time::sleep(backoff).await`, which lets the worker's other tasks run meanwhile".to_owned()),
        notes: vec!["`asyncwatch explain slow-poll` tells more".to_owned()],
        fingerprint: "slow-poll:shop::session::load:std::thread::sleep".to_owned(),
        allowed: None,
        occurrences: Vec::new(),
    }
}

fn hashing() -> Finding {
    Finding {
        id: 2,
        level: Level::Warn,
        message: "task `shop::session::serve` held worker 3 for 184 ms (limit 100 ms)".to_owned(),
        count: 1,
        ongoing: false,
        first_unix_ns: NOW - 61 * SECOND,
        last_unix_ns: NOW - 61 * SECOND,
        wall: Some(ms(184)),
        cpu: Some(ms(181)),
        blocked: Some(ms(0)),
        run_delay: Some(ms(3)),
        class: Some(Class::Cpu),
        syscall: None,
        culprit: Some(frame(
            "shop::users::sign_in",
            "/home/dev/shop/src/users.rs",
            9,
            true,
        )),
        blocking_frame: Some(frame(
            "argon2::Argon2::hash_password_into",
            "/x/argon2.rs",
            190,
            false,
        )),
        task: Some(task_ref(
            17,
            "shop::session::serve::{{closure}}",
            "src/main.rs",
            30,
        )),
        queued_behind: None,
        waited_behind: None,
        label: None,
        stacks: Vec::new(),
        help: Some("move the hashing into `tokio::task::spawn_blocking`".to_owned()),
        notes: Vec::new(),
        ..slow_poll()
    }
}

fn never_awaited() -> Finding {
    Finding {
        id: 3,
        code: Code::NeverAwaited,
        message: "a future of `shop::audit::record` was dropped without ever being polled"
            .to_owned(),
        wall: None,
        cpu: None,
        blocked: None,
        run_delay: None,
        limit: None,
        class: None,
        culprit: Some(frame(
            "shop::audit::record",
            "/home/dev/shop/src/audit.rs",
            23,
            true,
        )),
        blocking_frame: None,
        task: None,
        worker: None,
        last_unix_ns: NOW - 3_700 * SECOND,
        first_unix_ns: NOW - 3_700 * SECOND,
        help: Some("await it, or spawn it".to_owned()),
        fingerprint: "never-awaited:shop::audit::record".to_owned(),
        allowed: None,
        occurrences: Vec::new(),
        ..hashing()
    }
}

fn task_ref(id: u64, name: &str, file: &str, line: u32) -> TaskRef {
    TaskRef {
        id,
        name: name.to_owned(),
        kind: "task".to_owned(),
        spawned_at: Some(location(file, line)),
    }
}

pub(super) fn add_sources(sources: &mut Sources) {
    let lines = [
        "    for attempt in 1..5 {",
        "        match store.load(id).await {",
        "            Err(error) if error.is_busy() => {",
        "                std::thread::sleep(backoff * attempt);",
        "            }",
        "            other => return other,",
        "        }",
    ];
    let excerpt = Excerpt {
        first: 39,
        lines: lines.map(str::to_owned).into(),
        changed_unix_ns: 0,
    };
    sources.insert(SESSION, 42, excerpt);
}
