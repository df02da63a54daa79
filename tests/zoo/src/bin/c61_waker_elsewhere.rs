//! id: c61_waker_elsewhere
//! kind: look-alike of b27: hand-written futures that give their waker away as they should, and wait for long
//! source: ordinary practice: a waker held by a thread, by a slot, by a channel
//! runtime: multi_thread, 2 workers
//! expect: clean
//! class: none
//! culprit: none
//! async_fn: c61_waker_elsewhere::wait
//! min_ms: 0
//! finishes: yes
use std::{
    future::{poll_fn, Future},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

struct OnThread(Instant, bool);
impl Future for OnThread {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.0 {
            return Poll::Ready(());
        }
        if !std::mem::replace(&mut self.1, true) {
            let (waker, at) = (cx.waker().clone(), self.0);
            thread::spawn(move || {
                thread::sleep(at.saturating_duration_since(Instant::now()));
                waker.wake();
            });
        }
        Poll::Pending
    }
}

async fn wait() -> u32 {
    OnThread(Instant::now() + Duration::from_millis(700), false).await;
    1
}

async fn wait_for_slot(slot: Arc<Mutex<(bool, Option<Waker>)>>) -> u32 {
    poll_fn(|cx| {
        let mut slot = slot.lock().unwrap();
        if slot.0 {
            return Poll::Ready(());
        }
        match &mut slot.1 {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    })
    .await;
    1
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let slot = Arc::new(Mutex::new((false, None::<Waker>)));
    let mut tasks = vec![tokio::spawn(wait_for_slot(slot.clone()))];
    tasks.extend((0..4).map(|_| tokio::spawn(wait())));
    tokio::time::sleep(Duration::from_millis(800)).await;
    let waker = {
        let mut slot = slot.lock().unwrap();
        slot.0 = true;
        slot.1.take()
    };
    waker.unwrap().wake();
    let mut sum = 0;
    for task in tasks {
        sum += task.await.unwrap();
    }
    zoo::verdict("c61_waker_elsewhere", sum == 5);
}
