//! A task that computes from its first poll on, without an await that waits.
//!
//! Expected: a `slow-poll` and a `never-yielded`, both at the culprit line. Not expected:
//! anything about the task that computes as much but yields, or the one that says that
//! it blocks.

use std::{hint::black_box, time::Duration};

use rustix::time::{ClockId, clock_gettime};
use tokio::task::{block_in_place, yield_now};

#[asyncwatch::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let rounds = rounds_in(Duration::from_millis(1_500));
    let task = asyncwatch::spawn(sum_up(rounds));
    task.await.expect("the task ends well");
    let task = asyncwatch::spawn(sum_up_in_pieces());
    task.await.expect("the task ends well");
    let task = asyncwatch::spawn(async { block_in_place(compute_for_long) });
    task.await.expect("the task ends well");
}

/// How often to [`compute`] for so much CPU time: so that the task need not look at a
/// clock, which is where a thread without a CPU is seen most.
fn rounds_in(amount: Duration) -> u32 {
    let began = cpu_time();
    (0..50).for_each(|_| compute());
    amount.div_duration_f64((cpu_time() - began) / 50) as u32
}

async fn sum_up(rounds: u32) {
    for _ in 0..rounds {
        black_box((0..30_000_u64).fold(1, |sum, n| black_box(sum ^ n))); // CULPRIT
    }
}

async fn sum_up_in_pieces() {
    let mut spent = Duration::ZERO;
    while spent < Duration::from_millis(1_200) {
        let began = cpu_time();
        compute();
        spent += cpu_time() - began;
        yield_now().await;
    }
}

fn compute_for_long() {
    let enough = cpu_time() + Duration::from_millis(1_200);
    while cpu_time() < enough {
        compute();
    }
}

/// About a millisecond in a debug build.
fn compute() {
    black_box((0..30_000_u64).fold(1, |sum, n| black_box(sum ^ n)));
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(now).expect("CPU time is never negative")
}
