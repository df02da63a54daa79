//! Watched futures inside each other, joined in one task.
//!
//! Expected: one `slow-poll`, blamed on the innermost future, `reload`, at the culprit
//! line; none for `quick`, for `page`, or for the task around them.

use std::{thread, time::Duration};

use asyncwatch::WatchExt;
use tokio::task::yield_now;

#[asyncwatch::main]
async fn main() {
    let task = asyncwatch::spawn(async {
        tokio::join!(quick().watched_as("quick"), page().watched_as("page"));
    });
    task.await.expect("the task ends well");
}

async fn quick() {
    for _ in 0..100 {
        yield_now().await;
    }
}

async fn page() {
    yield_now().await;
    reload().watched_as("reload").await;
    yield_now().await;
}

async fn reload() {
    thread::sleep(Duration::from_millis(300)); // CULPRIT
}
