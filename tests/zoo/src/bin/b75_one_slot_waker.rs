//! id: b75_one_slot_waker
//! kind: an event with room for one waker and two tasks that wait for it: the second takes the place of the first
//! source: a common bug of hand-written futures; compare AtomicWaker's documentation
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: lost-waker (task idle, no waker clone alive, although the event has come)
//! culprit: <b75_one_slot_waker::Opened as Future>::poll, at MARK:culprit, where the second waker drops the first
//! async_fn: b75_one_slot_waker::wait_open, at MARK:async_fn
//! min_ms: 0
//! finishes: yes
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

#[derive(Default)]
struct Gate {
    open: bool,
    waker: Option<Waker>,
}
struct Opened(Arc<Mutex<Gate>>);
impl Future for Opened {
    type Output = ();
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut gate = self.0.lock().unwrap();
        if gate.open {
            return Poll::Ready(());
        }
        gate.waker = Some(cx.waker().clone()); // MARK:culprit
        Poll::Pending // MARK:culprit
    }
}

// MARK:async_fn
async fn wait_open(gate: Arc<Mutex<Gate>>) {
    Opened(gate).await
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let gate = Arc::new(Mutex::new(Gate::default()));
    let first = tokio::spawn(wait_open(gate.clone()));
    tokio::time::sleep(Duration::from_millis(30)).await;
    let second = tokio::spawn(wait_open(gate.clone()));
    tokio::time::sleep(Duration::from_millis(30)).await;
    {
        let mut gate = gate.lock().unwrap();
        gate.open = true;
        gate.waker.take().unwrap().wake();
    }
    second.await.unwrap();
    let hung = tokio::time::timeout(Duration::from_millis(800), first).await.is_err();
    zoo::verdict("b75_one_slot_waker", hung);
}
