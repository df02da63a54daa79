//! id: b12_block_on_in_async
//! kind: futures::executor::block_on inside a task (no panic, the worker just parks)
//! source: MaterializeInc/materialize#13755 + #13776 (ban), tokio-rs/tokio#2376
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: parked (futex wait in std::thread::park under futures_executor::local_pool::block_on)
//! culprit: futures::executor::block_on, at MARK:culprit
//! async_fn: b12_block_on_in_async::handle_request, at MARK:async_fn
//! help: .await
//! min_ms: 200
//! finishes: yes
use std::time::Duration;
use tokio::sync::oneshot;

struct Catalog {
    ready: Option<oneshot::Receiver<u32>>,
}
impl Catalog {
    fn version(&mut self) -> u32 {
        // sync façade over an async API
        futures::executor::block_on(self.ready.take().unwrap()).unwrap() // MARK:culprit
    }
}

// MARK:async_fn
async fn handle_request(mut catalog: Catalog) -> u32 {
    tokio::task::yield_now().await;
    let p = zoo::probe();
    let v = catalog.version();
    let (wall, cpu) = p.done("handle_request");
    zoo::verdict("b12_block_on_in_async", wall >= 200 && cpu < 20);
    v
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let (tx, rx) = oneshot::channel();
    // the answer comes from an OS thread, so that the specimen always ends
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        tx.send(7).unwrap();
    });
    let v = tokio::spawn(handle_request(Catalog { ready: Some(rx) })).await.unwrap();
    assert_eq!(v, 7);
}
