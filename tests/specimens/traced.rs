//! A program with a `tracing` subscriber of its own, which writes to stdout.
//!
//! Expected: the finding is an event in that log, and nothing is on stderr.

use std::{io, thread, time::Duration};

#[asyncwatch::main]
async fn main() {
    tracing_subscriber::fmt()
        .with_writer(io::stdout)
        .with_ansi(false)
        .init();
    let task = asyncwatch::spawn(async {
        thread::sleep(Duration::from_millis(300)); // CULPRIT
    });
    task.await.expect("the task ends well");
}
