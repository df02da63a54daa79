//! id: b87_na_async_trait
//! kind: the boxed future of an async_trait method, dropped with `let _ =`
//! source: a common mistake: Pin<Box<dyn Future>> bound to `_` draws no warning
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: never-polled future
//! culprit: the future of b87_na_async_trait::flush made at MARK:culprit
//! async_fn: b87_na_async_trait::flush, at MARK:async_fn
//! min_ms: 0
//! finishes: yes
use async_trait::async_trait;
use std::sync::atomic::{AtomicU32, Ordering};
static FLUSHED: AtomicU32 = AtomicU32::new(0);

#[async_trait]
trait Sink: Send + Sync {
    async fn flush(&self) -> bool;
}
struct FileSink;
#[async_trait]
impl Sink for FileSink {
    // MARK:async_fn
    async fn flush(&self) -> bool {
        FLUSHED.fetch_add(1, Ordering::Relaxed);
        true
    }
}

async fn close(sinks: Vec<Box<dyn Sink>>) -> usize {
    for sink in &sinks {
        let _ = sink.flush(); // MARK:culprit
    }
    sinks.len()
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let n = tokio::spawn(close(vec![Box::new(FileSink), Box::new(FileSink)])).await.unwrap();
    zoo::verdict("b87_na_async_trait", n == 2 && FLUSHED.load(Ordering::Relaxed) == 0);
}
