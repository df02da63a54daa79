//! id: b62_handle_block_on
//! kind: Handle::block_on inside a task: it panics, and the caller sees only a JoinError
//! source: the first question about mixing sync and async code on every forum
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: nested-runtime (panic "Cannot start a runtime from within a runtime")
//! culprit: tokio::runtime::Handle::block_on, at MARK:culprit
//! async_fn: b62_handle_block_on::handle, at MARK:async_fn
//! min_ms: 0
//! finishes: yes
use tokio::runtime::Handle;

async fn fetch(id: u32) -> u32 {
    tokio::task::yield_now().await;
    id * 2
}

fn cached(id: u32) -> u32 {
    // a synchronous trait method that has to call async code
    Handle::current().block_on(fetch(id)) // MARK:culprit
}

// MARK:async_fn
async fn handle(id: u32) -> u32 {
    tokio::task::yield_now().await;
    cached(id)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let answer = tokio::spawn(handle(4)).await;
    zoo::verdict("b62_handle_block_on", answer.is_err_and(|e| e.is_panic()));
}
