//! A task on a `LocalSet`, which the runtime's hooks do not see.
//!
//! Expected: one `slow-poll` at the culprit line, because `asyncwatch::spawn_local`
//! watches the future itself; the task's kind is `local`.

use std::{rc::Rc, thread, time::Duration};

use tokio::task::LocalSet;

#[asyncwatch::main(flavor = "current_thread")]
async fn main() {
    let local = LocalSet::new();
    local.run_until(session()).await;
}

async fn session() {
    let state = Rc::new(300);
    let task = asyncwatch::spawn_local(async move {
        thread::sleep(Duration::from_millis(*state)); // CULPRIT
    });
    task.await.expect("the task ends well");
}
