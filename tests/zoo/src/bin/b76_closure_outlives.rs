//! id: b76_closure_outlives
//! kind: a closure on the blocking pool never looks whether it should stop, and goes on after its runtime
//! source: a common reason why tests of services never end
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: blocking-outlives-runtime (one closure, still running)
//! culprit: tokio::task::spawn_blocking, or where its closure is, at MARK:culprit
//! async_fn: none
//! min_ms: 0
//! finishes: yes
use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
static TICKS: AtomicU32 = AtomicU32::new(0);

async fn watch_files() {
    tokio::task::spawn_blocking(|| loop { // MARK:culprit
        std::thread::sleep(Duration::from_millis(10)); // MARK:culprit
        TICKS.fetch_add(1, Ordering::Relaxed);
    })
    .await
    .unwrap()
}

fn main() {
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    rt.block_on(async {
        // HOOK
        tokio::spawn(watch_files());
        tokio::time::sleep(Duration::from_millis(100)).await;
    });
    rt.shutdown_timeout(Duration::from_millis(50));
    let at_end = TICKS.load(Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(900));
    zoo::verdict("b76_closure_outlives", TICKS.load(Ordering::Relaxed) > at_end + 20);
}
