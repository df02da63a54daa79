//! Plays an instrumented program that never runs: several hundred tasks, findings
//! that appear, a poll that blocks for a while, workers. For looking at the
//! dashboard: `cargo run --example fake_app`, then `asyncwatch`.

#[path = "../tests/fake_server/mod.rs"]
mod fake_server;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use asyncwatch_wire::v1;
use fake_server::{Fake, Feed};
use tokio::sync::mpsc;

const TASKS: u64 = 400;
const WORKERS: u32 = 4;
const TICK: Duration = Duration::from_secs(1);
/// The slow poll begins and ends in every cycle of this many ticks.
const CYCLE: u64 = 14;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let addr = std::env::args().nth(1);
    let fake = Fake::start(addr.as_deref().unwrap_or("127.0.0.1:6670"), play);
    println!("plays at {}", fake.addr);
    std::future::pending().await
}

fn play() -> Feed {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut app = App::new();
        loop {
            if sender.send(Ok(app.tick())).await.is_err() {
                return;
            }
            tokio::time::sleep(TICK).await;
        }
    });
    receiver
}

struct Site {
    file: &'static str,
    line: u32,
    name: &'static str,
    poll_ns: u64,
}

const SITES: &[Site] = &[
    Site {
        file: "src/main.rs",
        line: 30,
        name: "shop::accept_loop::{{closure}}",
        poll_ns: 9_000,
    },
    Site {
        file: "src/session.rs",
        line: 88,
        name: "shop::session::serve::{{closure}}",
        poll_ns: 42_000,
    },
    Site {
        file: "src/cart/checkout.rs",
        line: 17,
        name: "shop::cart::checkout::{{closure}}",
        poll_ns: 310_000,
    },
    Site {
        file: "/home/dev/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/hyper-1.7.0/src/common/exec.rs",
        line: 45,
        name: "hyper::server::conn::http1::UpgradeableConnection<hyper_util::rt::TokioIo<tokio::net::TcpStream>, axum::Router>",
        poll_ns: 21_000,
    },
    Site {
        file: "src/reports/nightly.rs",
        line: 112,
        name: "nightly report",
        poll_ns: 4_000_000,
    },
];

struct App {
    tick: u64,
    started: u64,
    random: u64,
    tasks: Vec<v1::Task>,
    workers: Vec<v1::Worker>,
}

impl App {
    fn new() -> Self {
        let started = now() - 723_000_000_000;
        let mut app = Self {
            tick: 0,
            started,
            random: 0x9e37_79b9_7f4a_7c15,
            tasks: Vec::new(),
            workers: Vec::new(),
        };
        app.tasks = (1..=TASKS).map(|id| app.spawn(id)).collect();
        app.workers = (0..WORKERS)
            .map(|id| v1::Worker {
                id,
                tid: 4243 + id,
                thread_name: format!("worker {id}"),
                busy_ns: Some(0),
                busy_share: Some(0.0),
                runtime: 1,
                ..Default::default()
            })
            .collect();
        app
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn spawn(&mut self, id: u64) -> v1::Task {
        let site = match id {
            1 => 0,
            2 => 4,
            _ => 1 + self.random(3) as usize,
        };
        let age = if id < 3 { 720 } else { self.random(700) };
        v1::Task {
            id,
            tokio_id: Some(id + 10),
            name: SITES[site].name.to_owned(),
            kind: v1::TaskKind::Task.into(),
            site: site as u32 + 1,
            parent: (id > 1).then_some(1),
            spawned_unix_ns: now() - age * 1_000_000_000,
            busy_ns: Some(0),
            scheduled_ns: Some(0),
            idle_ns: Some(age * 1_000_000_000),
            longest_poll_ns: Some(0),
            poll_times: Some(v1::PollHistogram {
                counts: vec![0; 25],
            }),
            runtime: 1,
            ..Default::default()
        }
    }

    fn tick(&mut self) -> v1::Update {
        self.tick += 1;
        let mut tasks = std::mem::take(&mut self.tasks);
        let mut busy = 0;
        for task in &mut tasks {
            if self.tick == 1 || self.random(3) == 0 {
                busy += self.poll(task);
            }
        }
        let blocked = self.blocked();
        if blocked.is_some() {
            tasks[41].set_state(v1::TaskState::Running);
        }
        self.work(busy, blocked);
        let changed = tasks.clone();
        self.tasks = tasks;
        let first = self.tick == 1;
        v1::Update {
            snapshot: self.tick,
            now_unix_ns: now(),
            reset: first,
            snapshot_complete: true,
            process: first.then(|| self.process()),
            sites: self.sites(),
            tasks: changed,
            workers: self.workers.clone(),
            runtimes: vec![self.runtime()],
            findings: self.findings(blocked),
            drops: Some(v1::Drops { drops: Vec::new() }),
            ..Default::default()
        }
    }

    /// For how long the slow poll has lasted.
    fn blocked(&self) -> Option<u64> {
        let phase = self.tick % CYCLE;
        (4..10)
            .contains(&phase)
            .then(|| (phase - 4) * 1_000_000_000 + 340_000_000)
    }

    fn poll(&mut self, task: &mut v1::Task) -> u64 {
        let typical = SITES[task.site as usize - 1].poll_ns;
        let polls = 1 + self.random(20);
        let mut busy = 0;
        for _ in 0..polls {
            let mut ns = typical / 4 + self.random(typical * 2);
            if self.random(400) == 0 {
                ns *= 40;
            }
            busy += ns;
            let bucket = (64 - ns.leading_zeros()).saturating_sub(8).min(24) as usize;
            task.poll_times.get_or_insert_default().counts[bucket] += 1;
            task.longest_poll_ns = Some(task.longest_poll_ns.unwrap_or(0).max(ns));
        }
        task.polls += polls;
        *task.busy_ns.get_or_insert(0) += busy;
        *task.scheduled_ns.get_or_insert(0) += busy / 7;
        task.set_state(match self.random(12) {
            0 => v1::TaskState::Running,
            1 => v1::TaskState::Scheduled,
            _ => v1::TaskState::Idle,
        });
        busy
    }

    fn work(&mut self, busy: u64, blocked: Option<u64>) {
        for i in 0..self.workers.len() {
            let share = (busy as f64 / 4e9 * (0.5 + self.random(100) as f64 / 100.0)).min(1.0);
            let current = (self.random(3) == 0).then(|| 3 + self.random(300));
            let worker = &mut self.workers[i];
            worker.polls += 200;
            worker.parks += 90;
            worker.current_task = current;
            worker.current_poll_ns = 42_000;
            worker.busy_share = Some(share);
            if let (1, Some(ns)) = (i, blocked) {
                worker.current_task = Some(42);
                worker.current_poll_ns = ns;
                worker.busy_share = Some(1.0);
            }
            *worker.busy_ns.get_or_insert(0) += (worker.busy_share.unwrap_or(0.0) * 1e9) as u64;
        }
    }

    fn process(&self) -> v1::Process {
        let aspect = |aspect: &str, covered, detail: &str| v1::Coverage {
            aspect: aspect.to_owned(),
            covered,
            detail: detail.to_owned(),
        };
        v1::Process {
            name: "shop-api".to_owned(),
            pid: 4242,
            args: vec![
                "target/debug/shop-api".to_owned(),
                "--port".to_owned(),
                "8080".to_owned(),
            ],
            started_unix_ns: self.started,
            asyncwatch_version: "0.1.0".to_owned(),
            timing: "exact".to_owned(),
            max_poll_ns: 100_000_000,
            coverage: vec![
                aspect(
                    "spawned-tasks",
                    true,
                    "every task spawned on the runtime is watched",
                ),
                aspect("root-future", true, "the future of main is watched"),
                aspect(
                    "local-set",
                    false,
                    "tasks of a LocalSet are not watched; wrap them with `.watched()`",
                ),
                aspect("stacks", true, "stacks are captured while a poll blocks"),
            ],
            os: "linux".to_owned(),
            arch: "x86_64".to_owned(),
        }
    }

    fn sites(&self) -> Vec<v1::Site> {
        SITES
            .iter()
            .enumerate()
            .map(|(i, site)| {
                let id = i as u32 + 1;
                let own = || self.tasks.iter().filter(move |task| task.site == id);
                let mut counts = vec![0; 25];
                for task in own() {
                    for (sum, n) in counts
                        .iter_mut()
                        .zip(&task.poll_times.as_ref().expect("set").counts)
                    {
                        *sum += n;
                    }
                }
                v1::Site {
                    id,
                    location: Some(v1::Location {
                        file: site.file.to_owned(),
                        line: site.line,
                        column: 5,
                    }),
                    kind: v1::TaskKind::Task.into(),
                    spawned: own().count() as u64 * 7,
                    alive: own().count() as u64,
                    polls: own().map(|task| task.polls).sum(),
                    busy_ns: Some(own().filter_map(|task| task.busy_ns).sum()),
                    scheduled_ns: Some(own().filter_map(|task| task.scheduled_ns).sum()),
                    longest_poll_ns: own().filter_map(|task| task.longest_poll_ns).max(),
                    poll_times: Some(v1::PollHistogram { counts }),
                    name: site.name.to_owned(),
                }
            })
            .collect()
    }

    fn runtime(&mut self) -> v1::Runtime {
        v1::Runtime {
            id: 1,
            flavor: "multi_thread".to_owned(),
            workers: WORKERS,
            alive_tasks: TASKS,
            global_queue_depth: self.random(4),
            local_queue_depth: Some(self.random(30)),
            blocking_queue_depth: Some(0),
            blocking_threads: Some(3),
            spawned_tasks: Some(2_800),
            budget_forced_yields: Some(12),
            remote_schedules: Some(self.tick * 31),
            park_count: self.tick * 360,
            busy_ns: self.tick * 900_000_000,
            ..Default::default()
        }
    }

    fn findings(&self, blocked: Option<u64>) -> Vec<v1::Finding> {
        let mut findings = vec![never_awaited(self.started)];
        let cycles = self.tick / CYCLE;
        if self.tick % CYCLE >= 4 || cycles > 0 {
            let since = (self.tick % CYCLE).saturating_sub(4) * 1_000_000_000;
            findings.push(slow_poll(
                cycles + 13,
                blocked,
                now().saturating_sub(since),
                self.started,
            ));
        }
        if self.tick > 6 {
            findings.push(cpu_bound(self.tick / 3, self.started));
        }
        findings
    }
}

fn slow_poll(count: u64, blocked: Option<u64>, last: u64, started: u64) -> v1::Finding {
    let wall = blocked.unwrap_or(0).max(2_412_000_000);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/fake_app.rs");
    let culprit = frame("shop::session::load::{{closure}}", file, 32, true);
    let sleep = frame(
        "std::thread::sleep",
        "/rustc/0a1b2c/library/std/src/thread/functions.rs",
        313,
        false,
    );
    let stack = v1::Stack {
        weight_ns: wall * 9 / 10,
        frames: vec![
            frame("clock_nanosleep", "", 0, false),
            frame(
                "std::sys::thread::unix::sleep",
                "/rustc/0a1b2c/library/std/src/sys/thread/unix.rs",
                530,
                false,
            ),
            sleep.clone(),
            culprit.clone(),
            frame("shop::session::serve::{{closure}}", file, 58, true),
            frame(
                "tokio::runtime::task::core::Core<T,S>::poll",
                "/home/dev/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/tokio-1.54.1/src/runtime/task/core.rs",
                365,
                false,
            ),
            frame(
                "tokio::runtime::scheduler::multi_thread::worker::Context::run_task",
                "/home/dev/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/tokio-1.54.1/src/runtime/scheduler/multi_thread/worker.rs",
                596,
                false,
            ),
        ],
    };
    v1::Finding {
        id: 2,
        code: "slow-poll".to_owned(),
        level: "deny".to_owned(),
        message: "task `shop::session::serve` held worker 1 for 2.41 s (limit 100 ms)".to_owned(),
        count,
        first_unix_ns: started + 9_000_000_000,
        last_unix_ns: last,
        ongoing: blocked.is_some(),
        wall_ns: Some(wall),
        cpu_ns: Some(3_000_000),
        blocked_ns: Some(wall - 60_000_000),
        run_delay_ns: Some(57_000_000),
        class: "blocked".to_owned(),
        syscall: "clock_nanosleep".to_owned(),
        culprit: Some(culprit),
        blocking_frame: Some(sleep),
        task: Some(task_ref(
            52,
            "shop::session::serve::{{closure}}",
            "src/session.rs",
            88,
        )),
        stacks: vec![stack],
        help: "use `tokio::time::sleep(backoff).await`, which lets other tasks run meanwhile"
            .to_owned(),
        notes: vec!["run `asyncwatch explain slow-poll` for more".to_owned()],
        fingerprint: "slow-poll:shop::session::load:std::thread::sleep".to_owned(),
        queued_behind: Some(37),
        worker: "worker 1".to_owned(),
        limit_ns: Some(100_000_000),
    }
}

fn cpu_bound(count: u64, started: u64) -> v1::Finding {
    v1::Finding {
        id: 3,
        culprit: Some(frame(
            "shop::cart::checkout::sign::{{closure}}",
            "/srv/shop/src/cart/checkout.rs",
            41,
            true,
        )),
        blocking_frame: Some(frame(
            "argon2::Argon2::hash_password_into",
            "/home/dev/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/argon2-0.5.3/src/lib.rs",
            190,
            false,
        )),
        class: "cpu".to_owned(),
        syscall: String::new(),
        message: "task `shop::cart::checkout` held worker 3 for 184 ms (limit 100 ms)".to_owned(),
        wall_ns: Some(184_000_000),
        cpu_ns: Some(181_000_000),
        blocked_ns: Some(0),
        run_delay_ns: Some(3_000_000),
        help: "move the hashing into `tokio::task::spawn_blocking`".to_owned(),
        task: Some(task_ref(
            77,
            "shop::cart::checkout::{{closure}}",
            "src/cart/checkout.rs",
            17,
        )),
        level: "warn".to_owned(),
        ..slow_poll(count, None, now() - 3_000_000_000, started)
    }
}

fn never_awaited(started: u64) -> v1::Finding {
    v1::Finding {
        id: 1,
        code: "never-awaited".to_owned(),
        level: "warn".to_owned(),
        message: "a future of `audit::record` was dropped without being awaited".to_owned(),
        count: 3,
        first_unix_ns: started + 2_000_000_000,
        last_unix_ns: started + 400_000_000_000,
        culprit: Some(frame(
            "shop::audit::record",
            "/srv/shop/src/audit.rs",
            23,
            true,
        )),
        help: "await it, or spawn it".to_owned(),
        fingerprint: "never-awaited:shop::audit::record".to_owned(),
        ..Default::default()
    }
}

fn frame(function: &str, file: &str, line: u32, user: bool) -> v1::Frame {
    v1::Frame {
        function: function.to_owned(),
        file: file.to_owned(),
        line,
        user,
        ..Default::default()
    }
}

fn task_ref(id: u64, name: &str, file: &str, line: u32) -> v1::TaskRef {
    v1::TaskRef {
        id,
        name: name.to_owned(),
        kind: "task".to_owned(),
        spawned_at: Some(v1::Location {
            file: file.to_owned(),
            line,
            column: 5,
        }),
    }
}

fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
