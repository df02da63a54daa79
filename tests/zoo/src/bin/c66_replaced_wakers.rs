//! id: c66_replaced_wakers
//! kind: look-alike of b75: wakers are replaced and dropped, by those who wake them first or let the tasks go
//! source: ordinary practice: a slot that wakes whom it displaces, a hub that clears its waiters and aborts them
//! runtime: multi_thread, 2 workers
//! expect: clean
//! class: none
//! culprit: none
//! async_fn: c66_replaced_wakers::turn
//! min_ms: 0
//! finishes: yes
use std::{
    future::{pending, poll_fn},
    sync::{Arc, Mutex},
    task::{Poll, Waker},
    time::Duration,
};

type Slot = Arc<Mutex<(bool, Option<Waker>)>>;

async fn turn(slot: Slot) -> u32 {
    poll_fn(|cx| {
        let mut slot = slot.lock().unwrap();
        if slot.0 {
            return Poll::Ready(());
        }
        if let Some(displaced) = slot.1.replace(cx.waker().clone()) {
            displaced.wake_by_ref();
        }
        Poll::Pending
    })
    .await;
    1
}

async fn wait_in(hub: Arc<Mutex<Vec<Waker>>>) {
    poll_fn(|cx| {
        hub.lock().unwrap().push(cx.waker().clone());
        Poll::<()>::Pending
    })
    .await
}

async fn turn_or_time(slot: Slot) -> u32 {
    // The slot keeps a waker of each round; the timer's goes with the round.
    loop {
        tokio::select! {
            n = turn(slot.clone()) => return n,
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let hub = Arc::new(Mutex::new(Vec::new()));
    let mut waiting: Vec<_> = (0..50).map(|_| tokio::spawn(wait_in(hub.clone()))).collect();
    // They only hand the turn on while somebody else comes.
    let slot = Slot::default();
    let first = tokio::spawn(turn_or_time(slot.clone()));
    let second = tokio::spawn(turn_or_time(slot.clone()));
    tokio::time::sleep(Duration::from_millis(300)).await;
    hub.lock().unwrap().clear();
    for task in waiting.drain(..) {
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }
    {
        let mut slot = slot.lock().unwrap();
        slot.0 = true;
        slot.1.take().map(Waker::wake);
    }
    let sum = first.await.unwrap() + second.await.unwrap();
    let left = tokio::time::timeout(Duration::from_millis(500), pending::<()>()).await;
    zoo::verdict("c66_replaced_wakers", sum == 2 && left.is_err());
}
