//! id: b73_large_join
//! kind: four futures with a buffer each joined in one task: the task carries all four buffers by value
//! source: a common surprise: join! and nested async fns add their futures up
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: large-future (see ZOO-FACT; no slow poll is required)
//! culprit: b73_large_join::copy (its 40 KiB buffer lives across an await) or the join! of four of them, at MARK:culprit;
//!   spawned at MARK:spawn
//! async_fn: b73_large_join::copy_all, at MARK:async_fn
//! min_ms: 0
//! finishes: yes
use std::time::Duration;

async fn copy(seed: u8) -> u32 {
    let mut buffer = [seed; 40 * 1024]; // MARK:culprit
    tokio::time::sleep(Duration::from_millis(2)).await;
    buffer[seed as usize] += 1;
    u32::from(buffer[1]) + u32::from(buffer[seed as usize])
}

// MARK:async_fn
async fn copy_all() -> u32 {
    let (a, b, c, d) = tokio::join!(copy(1), copy(2), copy(3), copy(4)); // MARK:culprit
    a + b + c + d
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let all = copy_all();
    let bytes = std::mem::size_of_val(&all);
    zoo::fact("future_bytes", bytes);
    let sum = tokio::spawn(all).await.unwrap(); // MARK:spawn
    zoo::verdict("b73_large_join", sum > 0 && bytes >= 160 * 1024);
}
