//! A task that blocks on purpose and says so, and one that only blocks.
//!
//! Expected: one `slow-poll` at each culprit line; none for the sections, functions and
//! futures that are allowed, nor for the polls around them.

use std::{thread, time::Duration};

use asyncwatch::WatchExt;

const LONG: Duration = Duration::from_millis(300);

#[asyncwatch::main]
async fn main() {
    let allowed = asyncwatch::spawn(async {
        asyncwatch::allow_blocking("nobody is served yet", || thread::sleep(LONG));
    });
    allowed.await.expect("the task ends well");

    let functions = tokio::spawn(start());
    functions.await.expect("the task ends well");

    let future = warm_up_as_written(3).allow_blocking("nobody is served yet");
    tokio::spawn(future).await.expect("the task ends well");

    let forbidden = asyncwatch::spawn(async {
        asyncwatch::allow_blocking("only what is around", || {
            thread::sleep(LONG);
            asyncwatch::forbid_blocking(|| thread::sleep(LONG)); // CULPRIT forbidden
        });
    });
    forbidden.await.expect("the task ends well");

    let not_allowed = asyncwatch::spawn(async {
        asyncwatch::allow_blocking("short", || thread::sleep(LONG / 30));
        thread::sleep(LONG); // CULPRIT alone
    });
    not_allowed.await.expect("the task ends well");
}

#[asyncwatch::watch]
async fn start() {
    read_settings();
    warm_up(3).await;
    warm_up_as_written(3)
        .allow_blocking("nobody is served yet")
        .await;
}

#[asyncwatch::allow_blocking("nobody is served yet")]
fn read_settings() {
    thread::sleep(LONG);
}

#[asyncwatch::watch]
#[asyncwatch::allow_blocking("nobody is served yet")]
async fn warm_up(rounds: u32) {
    warm_up_as_written(rounds).await;
}

#[asyncwatch::watch]
async fn warm_up_as_written(rounds: u32) {
    for _ in 0..rounds {
        thread::sleep(LONG / 2);
        tokio::task::yield_now().await;
    }
}
