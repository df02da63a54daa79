//! id: b88_no_reactor
//! kind: a callback on a plain thread calls tokio::spawn: "there is no reactor running"
//! source: a common mistake: callbacks of C libraries, ctrlc handlers, rayon jobs
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: nested-runtime (panic "there is no reactor running, must be called from the context of a Tokio 1.x runtime")
//! culprit: tokio::spawn on a thread without a runtime, at MARK:culprit
//! async_fn: none
//! min_ms: 0
//! finishes: yes
use std::thread;

struct Callback(Box<dyn Fn(u32) + Send>);

async fn store(n: u32) -> u32 {
    n
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let callback = Callback(Box::new(|n| {
        tokio::spawn(store(n)); // MARK:culprit
    }));
    let device = thread::spawn(move || (callback.0)(1));
    let failed = tokio::task::spawn_blocking(move || device.join().is_err()).await.unwrap();
    zoo::verdict("b88_no_reactor", failed);
}
