//! id: c57_short_locks
//! kind: look-alike of b08: a std mutex that many tasks take for a moment, never across an await
//! source: tokio's tutorial, "Shared state"
//! runtime: multi_thread, 2 workers
//! expect: clean
//! class: none
//! culprit: none
//! async_fn: c57_short_locks::count
//! min_ms: 0
//! finishes: yes
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

async fn count(words: Arc<Mutex<HashMap<u32, u32>>>, seed: u32) {
    for n in 0..400 {
        *words.lock().unwrap().entry((seed * n) % 97).or_default() += 1;
        if n % 16 == 0 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let words = Arc::new(Mutex::new(HashMap::new()));
    let tasks: Vec<_> = (0..64).map(|seed| tokio::spawn(count(words.clone(), seed))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    let sum: u32 = words.lock().unwrap().values().sum();
    zoo::verdict("c57_short_locks", sum == 64 * 400);
}
