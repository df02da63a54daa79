//! id: b69_yield_spin
//! kind: waiting for a flag by yield_now in a loop: a busy loop through the scheduler
//! source: a common mistake; "yield until ready" instead of Notify
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: self-wake (100 000s of short polls, one CPU burnt)
//! culprit: tokio::task::yield_now, at MARK:culprit
//! async_fn: b69_yield_spin::wait_ready, at MARK:async_fn
//! min_ms: 0
//! finishes: yes
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
static READY: AtomicBool = AtomicBool::new(false);

// MARK:async_fn
async fn wait_ready() -> u64 {
    let mut rounds = 0;
    while !READY.load(Ordering::Acquire) {
        tokio::task::yield_now().await; // MARK:culprit
        rounds += 1;
    }
    rounds
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let waiter = tokio::spawn(wait_ready());
    tokio::time::sleep(Duration::from_millis(600)).await;
    READY.store(true, Ordering::Release);
    let rounds = waiter.await.unwrap();
    zoo::fact("rounds", rounds);
    zoo::verdict("b69_yield_spin", rounds > 20_000);
}
