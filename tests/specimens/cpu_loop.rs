//! A task computes for a long time.
//!
//! Expected: one `slow-poll`, class cpu, at the culprit line. The work is measured by
//! the thread's CPU clock, so a busy machine makes the poll longer but not cheaper.

use std::{hint::black_box, time::Duration};

use rustix::time::{ClockId, clock_gettime};

#[asyncwatch::main]
async fn main() {
    asyncwatch::spawn(checksum())
        .await
        .expect("the task ends well");
}

async fn checksum() {
    let enough = cpu_time() + Duration::from_millis(300);
    let mut sum = 1_u64;
    while cpu_time() < enough {
        sum = (0..1_000_000_u64).fold(sum, |sum, byte| black_box(sum.rotate_left(5) ^ byte)); // CULPRIT
    }
    black_box(sum);
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(now).expect("CPU time is never negative")
}
