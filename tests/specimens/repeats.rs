//! The same two lines block ten thousand times.
//!
//! Expected: a handful of findings, and not ten thousand, whose counts add up to ten
//! thousand: one for each culprit line, and one for each spawn line with the polls that
//! were over before a stack could be taken. Each lasts 3 ms, and the limit is 2 ms.

use std::{thread, time::Duration};

use asyncwatch::RuntimeBuilderExt;
use tokio::{
    runtime::Builder,
    task::{JoinSet, yield_now},
};

const TASKS: u32 = 10;
const ROUNDS: u32 = 500;

fn main() {
    asyncwatch::builder()
        .max_poll(Duration::from_millis(2))
        .install();
    let runtime = Builder::new_multi_thread()
        .worker_threads(8)
        .enable_all()
        .watched()
        .build()
        .expect("a runtime can be built");
    runtime.block_on(async {
        let mut set = JoinSet::new();
        for _ in 0..TASKS {
            set.spawn(reads());
            set.spawn(writes());
        }
        set.join_all().await;
    });
}

async fn reads() {
    for _ in 0..ROUNDS {
        thread::sleep(Duration::from_millis(3)); // CULPRIT reads
        yield_now().await;
    }
}

async fn writes() {
    for _ in 0..ROUNDS {
        thread::sleep(Duration::from_millis(3)); // CULPRIT writes
        yield_now().await;
    }
}
