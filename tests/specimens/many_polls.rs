//! A task is polled many times, and once it puts its thread to sleep.
//!
//! Expected: one `slow-poll` at the culprit line, also under the limit that follows from
//! the polls themselves, which is no longer than half a second.

use std::{thread, time::Duration};

#[asyncwatch::main]
async fn main() {
    let task = asyncwatch::spawn(session());
    task.await.expect("the task ends well");
}

async fn session() {
    // Some more than the test asks for: on a very busy machine one was seen not to be timed.
    for _ in 0..20_100 {
        tokio::task::yield_now().await;
    }
    // Longer than is asked for: the account that it is measured by may be read a
    // millisecond before the poll begins, and what was waited for then is taken off.
    thread::sleep(Duration::from_millis(1_100)); // CULPRIT
}
