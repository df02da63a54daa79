//! One long poll that is made of many short polls of watched futures, none of which is
//! slow.
//!
//! Expected: one `slow-poll`, told for the task around them, at the culprit line.

use std::{thread, time::Duration};

use asyncwatch::WatchExt;

#[asyncwatch::main]
async fn main() {
    let task = asyncwatch::spawn(page().watched_as("page"));
    task.await.expect("the task ends well");
}

async fn page() {
    for _ in 0..200 {
        item().watched_as("item").await;
    }
}

async fn item() {
    thread::sleep(Duration::from_millis(2)); // CULPRIT
}
