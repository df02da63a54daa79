//! A blocking pool of two threads.
//!
//! Expected: one `blocking-pool-saturated` at the culprit line, where tokio tells how
//! full its pool is (`tokio_unstable`). With `busy`, so that the pool is as full but the
//! closures are short: nothing.

use std::{env, thread, time::Duration};

use asyncwatch::RuntimeBuilderExt;
use tokio::{
    runtime::Builder,
    task::{JoinSet, spawn_blocking},
};

fn main() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(2)
        .enable_all()
        .watched()
        .build()
        .expect("a runtime can be built");
    runtime.block_on(async {
        if env::args().nth(1).as_deref() == Some("busy") {
            serve().await;
        } else {
            import().await;
        }
    });
}

async fn import() {
    let mut set = JoinSet::new();
    for _ in 0..6 {
        set.spawn(spawn_blocking(read_a_tape));
    }
    while set.join_next().await.is_some() {}
}

fn read_a_tape() {
    thread::sleep(Duration::from_millis(1_500)); // CULPRIT
}

/// Keeps six closures waiting for two seconds, each for 30 ms.
async fn serve() {
    let mut set = JoinSet::new();
    for number in 0..400 {
        set.spawn(spawn_blocking(|| thread::sleep(Duration::from_millis(10))));
        if number >= 8 {
            set.join_next().await;
        }
    }
    while set.join_next().await.is_some() {}
}
