//! id: c56_work_outside
//! kind: long computations and waits that are not in any poll: before the runtime, on OS threads, after it
//! source: ordinary practice
//! runtime: multi_thread, 2 workers, built by hand
//! expect: clean
//! class: none
//! culprit: none
//! async_fn: c56_work_outside::serve
//! min_ms: 0
//! finishes: yes
use std::{thread, time::Duration};

async fn serve(rx: tokio::sync::oneshot::Receiver<u64>) -> u64 {
    rx.await.unwrap()
}

fn main() {
    zoo::burn(Duration::from_millis(150)); // reading the configuration
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    thread::sleep(Duration::from_millis(100));
    let (tx, rx) = tokio::sync::oneshot::channel();
    let worker = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        tx.send(zoo::burn(Duration::from_millis(200))).unwrap();
    });
    let n = rt.block_on(async {
        // HOOK
        tokio::spawn(serve(rx)).await.unwrap()
    });
    worker.join().unwrap();
    drop(rt);
    zoo::burn(Duration::from_millis(100));
    zoo::verdict("c56_work_outside", n != 0);
}
