//! id: c63_blocking_burst
//! kind: look-alike of b68 and b76: a hundred closures on the blocking pool, all done before the runtime ends
//! source: ordinary practice
//! runtime: multi_thread, 2 workers
//! expect: clean
//! class: none
//! culprit: none
//! async_fn: c63_blocking_burst::hash
//! min_ms: 0
//! finishes: yes
use std::time::Duration;

async fn hash(n: u64) -> u64 {
    tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(20 + n % 7));
        n
    })
    .await
    .unwrap()
}

fn main() {
    let rt = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(24)
        .enable_all()
        .build()
        .unwrap();
    let sum = rt.block_on(async {
        // HOOK
        let tasks: Vec<_> = (0..100).map(|n| tokio::spawn(hash(n))).collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await.unwrap();
        }
        sum
    });
    rt.shutdown_timeout(Duration::from_secs(5));
    zoo::verdict("c63_blocking_burst", sum == 4950);
}
