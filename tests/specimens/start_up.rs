//! Blocks once while it starts, and once again when it has started.
//!
//! Expected with a grace of 1 s: the second is a finding, the first is counted.

use std::{thread, time::Duration};

#[asyncwatch::main]
async fn main() {
    asyncwatch::spawn(async { reads_configuration() })
        .await
        .expect("it ends well");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    asyncwatch::spawn(async { serves() })
        .await
        .expect("it ends well");
}

fn reads_configuration() {
    thread::sleep(Duration::from_millis(300)); // ALLOWED
}

fn serves() {
    thread::sleep(Duration::from_millis(300)); // CULPRIT
}
