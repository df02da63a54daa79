//! A task blocks, but tells the runtime first.
//!
//! Expected: no finding: `block_in_place` is what one should do. The poll that follows
//! without it is reported, at the culprit line.

use std::{thread, time::Duration};

use tokio::task::{block_in_place, yield_now};

const LONG: Duration = Duration::from_millis(300);

#[asyncwatch::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let task = asyncwatch::spawn(async {
        // Long enough that the watchdog looks only now and then.
        block_in_place(|| thread::sleep(LONG * 7));
        yield_now().await;
        thread::sleep(LONG); // CULPRIT
    });
    task.await.expect("the task ends well");
}
