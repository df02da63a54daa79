//! id: b70_never_awaited_boxed
//! kind: futures made for later, boxed into a list that is dropped when one of them is not needed any more
//! source: a common mistake: collecting futures and returning before they are joined
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: never-polled futures (3 of them)
//! culprit: the future of b70_never_awaited_boxed::flush made at MARK:culprit
//! async_fn: b70_never_awaited_boxed::shut_down, at MARK:async_fn
//! min_ms: 0
//! finishes: yes
use std::{
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicU32, Ordering},
};
static FLUSHED: AtomicU32 = AtomicU32::new(0);

async fn flush(part: u32) {
    tokio::task::yield_now().await;
    FLUSHED.fetch_add(part, Ordering::Relaxed);
}

// MARK:async_fn
async fn shut_down(parts: u32) -> bool {
    let mut last: Vec<Pin<Box<dyn Future<Output = ()> + Send>>> = Vec::new();
    for part in 0..parts {
        last.push(Box::pin(flush(part))); // MARK:culprit
    }
    tokio::task::yield_now().await;
    last.len() == 3
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let complete = tokio::spawn(shut_down(3)).await.unwrap();
    zoo::verdict("b70_never_awaited_boxed", complete && FLUSHED.load(Ordering::Relaxed) == 0);
}
