//! A task spawned by tokio's own `spawn`, and one by a `JoinSet`: nothing is wrapped.
//!
//! Expected: two `slow-poll`s, one at each culprit line, with their own spawn lines,
//! where the runtime's hooks exist (`tokio_unstable`); nothing, and a coverage line that
//! says so, where they do not.

use std::{thread, time::Duration};

use tokio::task::JoinSet;

#[asyncwatch::main]
async fn main() {
    let task = tokio::spawn(async {
        thread::sleep(Duration::from_millis(300)); // CULPRIT spawned
    });
    task.await.expect("the task ends well");

    let mut set = JoinSet::new();
    set.spawn(async {
        thread::sleep(Duration::from_millis(300)); // CULPRIT joined
    });
    set.join_all().await;
}
