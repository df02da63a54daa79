//! id: b54_parking_lot_contended
//! kind: parking_lot::Mutex held for long by a thread that is not async
//! source: a common mistake; the same as with std's mutex, one crate further
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: lock (futex wait; no CPU on the worker)
//! culprit: parking_lot::Mutex::lock, at MARK:culprit
//! async_fn: b54_parking_lot_contended::hit, at MARK:async_fn
//! help: mutex
//! min_ms: 200
//! finishes: yes
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};

struct Counters {
    hits: Mutex<Vec<u64>>,
}
impl Counters {
    fn hit(&self, id: usize) -> u64 {
        let mut hits = self.hits.lock(); // MARK:culprit
        hits[id] += 1;
        hits[id]
    }
}

// MARK:async_fn
async fn hit(counters: Arc<Counters>, id: usize) -> u64 {
    tokio::task::yield_now().await;
    let p = zoo::probe();
    let n = counters.hit(id);
    let (wall, cpu) = p.done("hit");
    zoo::verdict("b54_parking_lot_contended", wall >= 200 && cpu < 50);
    n
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let counters = Arc::new(Counters { hits: Mutex::new(vec![0; 8]) });
    let shared = counters.clone();
    let (locked, is_locked) = tokio::sync::oneshot::channel();
    let flusher = std::thread::spawn(move || {
        let held = shared.hits.lock();
        locked.send(()).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        drop(held);
    });
    is_locked.await.unwrap();
    tokio::spawn(hit(counters, 3)).await.unwrap();
    flusher.join().unwrap();
}
