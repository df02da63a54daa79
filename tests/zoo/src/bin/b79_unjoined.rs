//! id: b79_unjoined
//! kind: a JoinSet that tasks are spawned into for the life of a server, and nobody calls join_next
//! source: a common leak: finished tasks and their outputs stay until the set is dropped
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: unjoined (400 finished tasks, their outputs kept)
//! culprit: JoinSet::spawn, at MARK:culprit
//! async_fn: b79_unjoined::serve, at MARK:async_fn
//! min_ms: 0
//! finishes: yes
use std::{
    sync::{LazyLock, Mutex},
    time::Duration,
};
use tokio::task::JoinSet;

static CONNECTIONS: LazyLock<Mutex<JoinSet<Vec<u32>>>> = LazyLock::new(Mutex::default);

async fn answer(n: u32) -> Vec<u32> {
    tokio::task::yield_now().await;
    vec![n; 64]
}

// MARK:async_fn
async fn serve() -> usize {
    for n in 0..400 {
        CONNECTIONS.lock().unwrap().spawn(answer(n)); // MARK:culprit
        if n % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    tokio::time::sleep(Duration::from_millis(800)).await;
    CONNECTIONS.lock().unwrap().len()
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let kept = tokio::spawn(serve()).await.unwrap();
    zoo::verdict("b79_unjoined", kept == 400);
}
