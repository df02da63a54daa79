//! One thread runs everything, and a task blocks it.
//!
//! Expected: one `slow-poll` at the culprit line, with the tasks that waited behind it
//! where tokio can tell.

use std::{thread, time::Duration};

use tokio::{task::JoinSet, time::sleep};

#[asyncwatch::main(flavor = "current_thread")]
async fn main() {
    let mut waiting = JoinSet::new();
    for _ in 0..10 {
        waiting.spawn(sleep(Duration::from_millis(50)));
    }
    let task = asyncwatch::spawn(async {
        thread::sleep(Duration::from_millis(300)); // CULPRIT
    });
    task.await.expect("the task ends well");
    waiting.join_all().await;
}
