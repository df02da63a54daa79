//! A task puts its thread to sleep.
//!
//! Expected: one `slow-poll`, class blocked, in `clock_nanosleep`, at the culprit line,
//! in a task spawned at the spawn line. Seen with and without `tokio_unstable`.

use std::{thread, time::Duration};

#[asyncwatch::main]
async fn main() {
    let task = asyncwatch::spawn(back_off()); // SPAWN
    task.await.expect("the task ends well");
}

async fn back_off() {
    thread::sleep(Duration::from_millis(300)); // CULPRIT
}
