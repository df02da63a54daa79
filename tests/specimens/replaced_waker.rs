//! A slot for one waker, and two tasks that wait in it.
//!
//! Expected in mode `displaced`: one `lost-waker` at the line that throws the first
//! waker away. In mode `woken`: nothing, since it is called before.

use std::{
    env,
    future::poll_fn,
    sync::{Arc, Mutex},
    task::{Poll, Waker},
    time::Duration,
};

use tokio::time::sleep;

#[asyncwatch::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let kind = env::args().nth(1).expect("a mode") == "woken";
    let slot = Slot::default();
    asyncwatch::spawn(wait_in(slot.clone(), kind));
    sleep(Duration::from_millis(50)).await;
    asyncwatch::spawn(wait_in(slot.clone(), kind));
    sleep(Duration::from_millis(800)).await;
}

type Slot = Arc<Mutex<Option<Waker>>>;

/// Waits for ever; a task that is woken leaves the slot to the other one.
async fn wait_in(slot: Slot, kind: bool) {
    let mut turn = true;
    poll_fn(|context| {
        let mut slot = slot.lock().expect("no panic with it");
        if !std::mem::take(&mut turn) {
            return Poll::Ready(());
        }
        if let Some(first) = slot.as_ref().filter(|_| kind) {
            first.wake_by_ref();
        }
        *slot = Some(context.waker().clone()); // CULPRIT
        Poll::Pending
    })
    .await;
}
