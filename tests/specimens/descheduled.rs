//! Cheap polls that take long because other processes occupy the CPU.
//!
//! Expected: nothing, or a finding of class descheduled, which never fails a check.
//! The program and sixteen spinning children share one CPU; each poll needs 20 ms of it.

use std::{
    env,
    hint::black_box,
    os::unix::process::parent_id,
    process::{Child, Command},
    time::{Duration, Instant},
};

use asyncwatch::RuntimeBuilderExt;
use rustix::{
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
    time::{ClockId, clock_gettime},
};
use tokio::runtime::Builder;

const BURNERS: usize = 16;
const POLLS_MAX: usize = 30;

fn main() {
    if let Some(parent) = env::args().nth(1) {
        return burn(parent.parse().expect("a process id"));
    }
    pin_to_one_cpu();
    let burners = Burners::start();
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .watched()
        .build()
        .expect("a runtime can be built");
    let longest = runtime.block_on(async {
        let task = asyncwatch::spawn(work_until_late());
        task.await.expect("the task ends well")
    });
    drop(burners);
    println!("longest poll: {} ms", longest.as_millis());
}

/// Polls until one of them took at least 200 ms.
async fn work_until_late() -> Duration {
    let mut longest = Duration::ZERO;
    for _ in 0..POLLS_MAX {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let started = Instant::now();
        work(Duration::from_millis(20));
        longest = longest.max(started.elapsed());
        if longest >= Duration::from_millis(200) {
            break;
        }
    }
    longest
}

/// Uses as much of the CPU as `amount` says, however long that takes.
fn work(amount: Duration) {
    let enough = cpu_time() + amount;
    while cpu_time() < enough {
        black_box((0..10_000_u64).fold(0, |sum, n| black_box(sum ^ n)));
    }
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(now).expect("CPU time is never negative")
}

/// Before any other thread exists, so that all threads share the one CPU.
fn pin_to_one_cpu() {
    let allowed = sched_getaffinity(None).expect("the CPUs can be asked for");
    let first = (0..CpuSet::MAX_CPU)
        .find(|&cpu| allowed.is_set(cpu))
        .expect("there is a CPU");
    let mut one = CpuSet::new();
    one.set(first);
    sched_setaffinity(None, &one).expect("a process may pin itself");
}

/// What a child does: it spins until it is killed, or its parent is gone.
fn burn(parent: u32) {
    while parent_id() == parent {
        black_box((0..1_000_000_u64).fold(0, |sum, n| black_box(sum ^ n)));
    }
}

struct Burners(Vec<Child>);

impl Burners {
    fn start() -> Self {
        let program = env::current_exe().expect("the program has a path");
        let parent = std::process::id().to_string();
        let start = |_| Command::new(&program).arg(&parent).spawn();
        let burners = (0..BURNERS).map(start).collect::<Result<_, _>>();
        Self(burners.expect("children can be started"))
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        for burner in &mut self.0 {
            burner.kill().expect("the child is ours");
            burner.wait().expect("the child is ours");
        }
    }
}
