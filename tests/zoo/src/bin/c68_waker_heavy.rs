//! id: c68_waker_heavy
//! kind: look-alike of self-wake: ping-pong, FuturesUnordered with thousands of wakes, a combinator with wakers of its own
//! source: ordinary practice
//! runtime: multi_thread, 2 workers
//! expect: clean
//! class: none
//! culprit: none
//! async_fn: c68_waker_heavy::player
//! min_ms: 0
//! finishes: yes
use futures::{stream::FuturesUnordered, StreamExt};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::{mpsc, Notify};

async fn player(mut rx: mpsc::Receiver<u32>, tx: mpsc::Sender<u32>) -> u32 {
    let mut last = 0;
    while let Some(n) = rx.recv().await {
        last = n;
        if n >= 60_000 || tx.send(n + 1).await.is_err() {
            break;
        }
    }
    last
}

struct Both<A, B>(Option<Pin<Box<A>>>, Option<Pin<Box<B>>>);
impl<A: Future, B: Future> Future for Both<A, B> {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.0.as_mut().is_some_and(|a| a.as_mut().poll(cx).is_ready()) {
            this.0 = None;
        }
        if this.1.as_mut().is_some_and(|b| b.as_mut().poll(cx).is_ready()) {
            this.1 = None;
        }
        if this.0.is_none() && this.1.is_none() { Poll::Ready(()) } else { Poll::Pending }
    }
}

async fn ticks(n: u32) {
    for _ in 0..n {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let (atx, arx) = mpsc::channel(1);
    let (btx, brx) = mpsc::channel(1);
    let a = tokio::spawn(player(arx, btx.clone()));
    let b = tokio::spawn(player(brx, atx));
    btx.send(1).await.unwrap();
    drop(btx);
    let both = tokio::spawn(Both(Some(Box::pin(ticks(200))), Some(Box::pin(ticks(300)))));
    let many = tokio::spawn(async { (0..200).map(|n| ticks(50 + n % 7)).collect::<FuturesUnordered<_>>().count().await });
    let bell = Arc::new(Notify::new());
    let rung = bell.clone();
    let listener = tokio::spawn(async move {
        for _ in 0..100 {
            rung.notified().await;
        }
    });
    while !listener.is_finished() {
        bell.notify_one();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    listener.await.unwrap();
    both.await.unwrap();
    let n = many.await.unwrap();
    let top = a.await.unwrap().max(b.await.unwrap());
    zoo::verdict("c68_waker_heavy", n == 200 && top >= 60_000);
}
