//! The `async fn main` itself blocks: `block_on`'s future, which no hook sees.
//!
//! Expected: one `slow-poll` at the culprit line, in the root future (`block_on`).

use std::{thread, time::Duration};

#[asyncwatch::main]
async fn main() {
    tokio::task::yield_now().await;
    thread::sleep(Duration::from_millis(300)); // CULPRIT
}
