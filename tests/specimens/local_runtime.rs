//! A task on tokio's `LocalRuntime`, that `flavor = "local"` makes.
//!
//! Expected: one `slow-poll` at the culprit line. `#[asyncwatch::watch]` shows the task
//! where the runtime has no hooks of ours.

use std::{rc::Rc, thread, time::Duration};

#[asyncwatch::main(flavor = "local")]
async fn main() {
    let state = Rc::new(300);
    let session = tokio::task::spawn_local(session(state));
    session.await.expect("the task ends well");
}

#[asyncwatch::watch]
async fn session(state: Rc<u64>) {
    tokio::task::yield_now().await;
    thread::sleep(Duration::from_millis(*state)); // CULPRIT
}
