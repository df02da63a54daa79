//! id: c67_yield_fair
//! kind: look-alike of self-wakes: long CPU work cut into pieces of 1 ms with yield_now between
//! source: tokio's advice for work that is a bit long
//! runtime: multi_thread, 2 workers
//! expect: clean
//! class: none
//! culprit: none
//! async_fn: c67_yield_fair::index
//! min_ms: 0
//! finishes: yes
use std::time::Duration;

async fn index(pieces: u32) -> u32 {
    for _ in 0..pieces {
        zoo::burn(Duration::from_millis(1));
        tokio::task::yield_now().await;
    }
    pieces
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let a = tokio::spawn(index(600));
    let b = tokio::spawn(async {
        let mut n = 0;
        for chunk in 0..200u32 {
            n += chunk.min(1);
            zoo::burn(Duration::from_micros(300));
            tokio::task::consume_budget().await;
            tokio::task::yield_now().await;
        }
        n
    });
    let late = zoo::victim(Duration::from_millis(10), Duration::from_millis(600)).await;
    zoo::fact("late_ms", late.as_millis());
    zoo::verdict("c67_yield_fair", a.await.unwrap() == 600 && b.await.unwrap() == 199);
}
