//! Runtimes entered, dropped or missing where tokio panics over it.
//!
//! Expected: one `nested-block-on` at each culprit line. The last task asks before it
//! enters a runtime, and is left alone.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use tokio::{
    runtime::{Handle, Runtime},
    sync::mpsc,
    task::JoinHandle,
};

#[asyncwatch::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    ends_badly(asyncwatch::spawn(async { look_up() })).await;
    ends_badly(asyncwatch::spawn(async { send() })).await;
    ends_badly(asyncwatch::spawn(async { forget_runtime() })).await;
    thread::spawn(|| {
        assert!(catch_unwind(AssertUnwindSafe(spawn_nowhere)).is_err());
    })
    .join()
    .expect("it was caught");
    asyncwatch::spawn(async { ask_first() })
        .await
        .expect("it ends well");
}

async fn ends_badly(task: JoinHandle<()>) {
    assert!(task.await.expect_err("it panics").is_panic());
}

fn look_up() {
    Handle::current().block_on(async {}); // CULPRIT nested
}

fn send() {
    let (sender, _receiver) = mpsc::channel(1);
    sender.blocking_send(1).expect("there is room"); // CULPRIT blocking
}

fn forget_runtime() {
    let runtime = Runtime::new().expect("a runtime");
    drop(runtime); // CULPRIT dropped
}

fn spawn_nowhere() {
    tokio::spawn(async {}); // CULPRIT missing
}

fn ask_first() {
    if Handle::try_current().is_err() {
        Runtime::new().expect("a runtime").block_on(async {});
    }
}
