//! id: b65_unordered_decode
//! kind: FuturesUnordered of forty requests; decoding each blocks all of them, since they are one task
//! source: a common misunderstanding: FuturesUnordered is not parallel
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: syscall clock_nanosleep (a stand-in for a decoder that waits for its device)
//! culprit: std::thread::sleep, at MARK:culprit
//! async_fn: b65_unordered_decode::fetch, at MARK:async_fn
//! help: tokio::time::sleep
//! min_ms: 30
//! finishes: yes
use futures::stream::{FuturesUnordered, StreamExt};
use std::time::Duration;

struct Decoder;
impl Decoder {
    fn decode(&self, id: u64) -> u64 {
        if id % 10 == 9 {
            std::thread::sleep(Duration::from_millis(60)); // MARK:culprit
        }
        id
    }
}

// MARK:async_fn
async fn fetch(id: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(2 + id * 3)).await;
    Decoder.decode(id)
}

async fn fetch_all() -> u64 {
    let mut running: FuturesUnordered<_> = (0..40).map(fetch).collect();
    let mut sum = 0;
    while let Some(id) = running.next().await {
        sum += id;
    }
    sum
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let sum = tokio::spawn(fetch_all()).await.unwrap();
    zoo::verdict("b65_unordered_decode", sum == 780);
}
