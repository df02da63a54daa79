//! A task that blocks on purpose and says so, and one that only blocks.
//!
//! Expected: one `slow-poll` at the culprit line; none for the section that is allowed,
//! nor for the poll around it.

use std::{thread, time::Duration};

const LONG: Duration = Duration::from_millis(300);

#[asyncwatch::main]
async fn main() {
    let allowed = asyncwatch::spawn(async {
        asyncwatch::allow_blocking("nobody is served yet", || thread::sleep(LONG));
    });
    allowed.await.expect("the task ends well");

    let not_allowed = asyncwatch::spawn(async {
        asyncwatch::allow_blocking("short", || thread::sleep(LONG / 30));
        thread::sleep(LONG); // CULPRIT
    });
    not_allowed.await.expect("the task ends well");
}
