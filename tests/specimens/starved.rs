//! Two thousand tasks that are always ready share one worker: each poll is short, and a
//! woken task waits two seconds for its turn.
//!
//! Expected: one `starved-worker` at the line that spawns most of them, unless the
//! machine withheld its CPU from the worker; then the program says so. With `few`, so
//! that eight tasks keep as many workers as busy: nothing.

use std::{env, fs, hint::black_box, time::Duration};

use rustix::time::{ClockId, clock_gettime};
use tokio::task::{JoinSet, yield_now};

#[asyncwatch::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    let tasks = match env::args().nth(1).as_deref() {
        Some("few") => 8,
        _ => 2_000,
    };
    let mut set = JoinSet::new();
    set.spawn(watch_the_machine());
    for _ in 0..tasks {
        set.spawn(asyncwatch::WatchExt::watched_as(work(), "work")); // CULPRIT
    }
    set.join_all().await;
}

/// Goes on until this thread has had 3 s of CPU time.
async fn work() {
    while cpu_time() < Duration::from_secs(3) {
        let enough = cpu_time() + Duration::from_micros(800);
        while cpu_time() < enough {
            black_box((0..1_000_u64).fold(1, |sum, n| black_box(sum ^ n)));
        }
        yield_now().await;
    }
}

async fn watch_the_machine() {
    let before = withheld();
    while cpu_time() < Duration::from_secs(3) {
        yield_now().await;
    }
    if withheld() - before > Duration::from_millis(500) {
        println!("the machine was busy");
    }
}

/// For how long this thread was ready to run and got no CPU.
fn withheld() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells it");
    let ns = text.split(' ').nth(1).expect("three numbers");
    Duration::from_nanos(ns.parse().expect("a number"))
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(now).expect("CPU time is never negative")
}
