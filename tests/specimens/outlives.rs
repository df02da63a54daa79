//! A closure on the blocking pool that nobody waits for, and that goes on when `main` is
//! over.
//!
//! Expected: one `blocking-outlives-runtime` at the culprit line. With `awaited`, where
//! `main` waits for as long a closure, and leaves one behind that ends soon: nothing.

use std::{env, thread, time::Duration};

use tokio::{
    sync::oneshot,
    task::{JoinHandle, spawn_blocking},
};

#[asyncwatch::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    if env::args().nth(1).as_deref() == Some("awaited") {
        let export = begin(|| thread::sleep(Duration::from_millis(1_500))).await;
        export.await.expect("it ends well");
        begin(|| thread::sleep(Duration::from_millis(50))).await;
    } else {
        begin(export).await;
    }
}

fn export() {
    thread::sleep(Duration::from_millis(1_500)); // CULPRIT
}

/// Starts it, and waits until it has begun: others are thrown away at the end.
async fn begin(closure: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let (begins, has_begun) = oneshot::channel();
    let handle = spawn_blocking(move || {
        begins.send(()).expect("it is waited for");
        closure();
    });
    has_begun.await.expect("it begins");
    handle
}
