//! Says in code how seriously it takes its slow polls.
//!
//! Expected: one `slow-poll` at level warn, also under `asyncwatch check`.

use std::{thread, time::Duration};

use asyncwatch::{Code, Level};

fn main() {
    asyncwatch::builder()
        .level(Code::SlowPoll, Level::Warn)
        .install();
    serve();
}

#[asyncwatch::main]
async fn serve() {
    thread::sleep(Duration::from_millis(300)); // CULPRIT
}
