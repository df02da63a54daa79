//! id: c65_unpolled_futures
//! kind: look-alike of b22: futures that end unpolled and may: try_join! after an error, a timeout of zero, an Option of a
//!   future that a select! guards, FuturesUnordered dropped at shutdown
//! source: ordinary practice
//! runtime: multi_thread, 2 workers
//! expect: clean
//! class: none
//! culprit: none
//! async_fn: c65_unpolled_futures::step
//! min_ms: 0
//! finishes: yes
use std::time::Duration;

async fn step(n: u32) -> Result<u32, u32> {
    tokio::time::sleep(Duration::from_millis(u64::from(n))).await;
    if n == 1 {
        Err(n)
    } else {
        Ok(n)
    }
}

async fn race() -> u32 {
    let mut failed = 0;
    for _ in 0..10 {
        failed += u32::from(tokio::try_join!(step(1), step(20), step(30)).is_err());
        failed += u32::from(tokio::time::timeout(Duration::ZERO, step(5)).await.is_err());
        tokio::select! {
            _ = step(2) => {}
            _ = step(60) => failed += 100,
        }
    }
    failed
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    zoo::verdict("c65_unpolled_futures", tokio::spawn(race()).await.unwrap() == 20);
}
