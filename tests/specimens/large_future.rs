//! Futures that carry a large buffer through `spawn`, beside some that only seem to.
//!
//! Expected: one `large-future` at the culprit line, for all ten tasks. None for futures
//! that are boxed where they are made, for buffers on the heap, for small ones, or for
//! what the root of the program awaits.

use std::{future::Future, hint::black_box, pin::Pin};

use asyncwatch::WatchExt;
use tokio::task::{JoinSet, yield_now};

#[asyncwatch::main]
async fn main() {
    let mut set = JoinSet::new();
    for seed in 0..10 {
        set.spawn(push(seed)); // SPAWN
    }
    set.join_all().await;

    let quiet = [
        tokio::spawn(Box::pin(boxed(1))),
        tokio::spawn(Box::pin(
            // On a line of its own.
            boxed(2),
        )),
        asyncwatch::spawn(Box::pin(boxed(3))),
        tokio::spawn(boxed_by_itself(4)),
        tokio::spawn(on_the_heap(5)),
        tokio::spawn(small(6).watched_as("small")),
    ];
    for task in quiet {
        task.await.expect("the task ends well");
    }
    boxed(7).await;
}

#[asyncwatch::watch]
async fn push(seed: u8) {
    let mut scratch = [seed; 256 * 1024]; // CULPRIT
    yield_now().await;
    scratch[usize::from(seed)] = 1;
    black_box(&scratch);
}

#[asyncwatch::watch]
async fn boxed(seed: u8) {
    let scratch = [seed; 64 * 1024];
    yield_now().await;
    black_box(&scratch);
}

#[asyncwatch::watch]
fn boxed_by_itself(seed: u8) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let scratch = [seed; 64 * 1024];
        yield_now().await;
        black_box(&scratch);
    })
}

#[asyncwatch::watch]
async fn on_the_heap(seed: u8) {
    let scratch = vec![seed; 64 * 1024];
    yield_now().await;
    black_box(&scratch);
}

#[asyncwatch::watch]
async fn small(seed: u8) {
    let scratch = [seed; 16 * 1024];
    yield_now().await;
    black_box(&scratch);
}
