//! A poll that never ends.
//!
//! Expected: a `slow-poll` at the culprit line, reported while it lasts and marked as
//! ongoing. The program ends after as many seconds as its argument says (30), or is
//! killed before.

use std::{env, process, sync::mpsc, time::Duration};

#[asyncwatch::main]
async fn main() {
    let seconds = env::args()
        .nth(1)
        .map_or(30, |n| n.parse().expect("a number of seconds"));
    let (_open, never) = mpsc::channel::<()>();
    asyncwatch::spawn(wait(never));
    println!("blocked");
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    // Returning would wait for the blocked worker, which never comes back.
    process::exit(0);
}

async fn wait(never: mpsc::Receiver<()>) {
    never.recv().expect("nobody sends"); // CULPRIT
}
