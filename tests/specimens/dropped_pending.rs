//! A task that is aborted, a hundred that the end of `main` drops, and one that finishes.
//!
//! Expected: nothing, as `task-dropped-pending` is allowed by default. With
//! `--warn task-dropped-pending`: one at each culprit line, with what stands behind it.

use std::{future::pending, time::Duration};

use tokio::time::sleep;

#[asyncwatch::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let waiting = asyncwatch::spawn(pending::<()>()); // CULPRIT aborted
    let finished = asyncwatch::spawn(sleep(Duration::from_millis(10)));
    for _ in 0..100 {
        asyncwatch::spawn(sleep(Duration::from_secs(3_600))); // CULPRIT shutdown
    }
    finished.await.expect("the task ends well");
    waiting.abort();
    assert!(waiting.await.expect_err("it was aborted").is_cancelled());
}
