//! id: b68_pool_exhausted
//! kind: every thread of the blocking pool is held by long work, short work waits behind it
//! source: a common mistake: endless loops and long polls on spawn_blocking, then tokio::fs seems to hang
//! runtime: multi_thread, 2 workers, at most 2 blocking threads
//! expect: report
//! class: pool-exhausted (2 of 2 threads taken, closures queued for more than a second)
//! culprit: tokio::task::spawn_blocking, or what its closure waits in, at MARK:culprit
//! async_fn: none
//! min_ms: 0
//! finishes: yes
use std::time::{Duration, Instant};

async fn tail(n: u64) -> u64 {
    tokio::task::spawn_blocking(move || { // MARK:culprit
        std::thread::sleep(Duration::from_millis(1600)); // MARK:culprit
        n
    })
    .await
    .unwrap()
}

async fn size(path: &'static str) -> u64 {
    tokio::task::spawn_blocking(move || std::fs::metadata(path).map_or(0, |m| m.len())) // MARK:culprit
        .await
        .unwrap()
}

fn main() {
    let rt = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let waited = rt.block_on(async {
        // HOOK
        for n in 0..2 {
            tokio::spawn(tail(n));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        let t = Instant::now();
        let sizes: Vec<_> = (0..10).map(|_| tokio::spawn(size("/proc/self/status"))).collect();
        for size in sizes {
            size.await.unwrap();
        }
        t.elapsed()
    });
    zoo::fact("waited_for_metadata_ms", waited.as_millis());
    zoo::verdict("b68_pool_exhausted", waited.as_millis() >= 1000);
}
