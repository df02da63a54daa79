//! A poll that blocks and then panics, and more of the same kind afterwards.
//!
//! Expected: one `slow-poll` at each culprit line: a panic neither loses the first nor
//! confuses what follows on the same thread.

use std::{thread, time::Duration};

#[asyncwatch::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    let task = asyncwatch::spawn(async {
        thread::sleep(Duration::from_millis(300)); // CULPRIT panics
        panic!("on purpose");
    });
    assert!(task.await.expect_err("it panicked").is_panic());

    let task = asyncwatch::spawn(async {
        thread::sleep(Duration::from_millis(300)); // CULPRIT returns
    });
    task.await.expect("this one ends well");
}
