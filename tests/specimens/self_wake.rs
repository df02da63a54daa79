//! Futures that wake themselves, and others that are woken by their own task.
//!
//! Expected in mode `storm`: one `self-wake` at the culprit line. In mode `healthy`:
//! nothing, though every task there wakes itself thousands of times.

use std::{
    env,
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, time::sleep};

#[asyncwatch::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    match env::args().nth(1).expect("a mode").as_str() {
        "storm" => storm().await,
        "healthy" => healthy().await,
        mode => panic!("no mode {mode}"),
    }
}

static READY: AtomicBool = AtomicBool::new(false);

/// Asks again and again whether it is ready.
struct Ready;

impl Future for Ready {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if READY.load(Relaxed) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref(); // CULPRIT
        Poll::Pending
    }
}

async fn storm() {
    let task = tokio::spawn(pump());
    sleep(Duration::from_millis(1_500)).await;
    READY.store(true, Relaxed);
    task.await.expect("it ends");
}

#[asyncwatch::watch]
async fn pump() {
    Ready.await;
}

async fn healthy() {
    let tasks = [
        asyncwatch::spawn(yields_of_tokio()),
        asyncwatch::spawn(yields_of_its_own()),
        asyncwatch::spawn(works_between_yields()),
        asyncwatch::spawn(both_ends_of_a_channel()),
    ];
    for task in tasks {
        task.await.expect("it ends");
    }
}

fn for_a_while() -> impl Iterator<Item = ()> {
    let end = Instant::now() + Duration::from_millis(600);
    std::iter::from_fn(move || (Instant::now() < end).then_some(()))
}

async fn yields_of_tokio() {
    for () in for_a_while() {
        tokio::task::yield_now().await;
    }
}

/// Gives others a turn, and is named for it.
struct YieldNow(bool);

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

async fn yields_of_its_own() {
    for () in for_a_while() {
        YieldNow(false).await;
    }
}

/// Not named for it, but something is done each time.
struct Step(Option<Duration>);

impl Future for Step {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(work) = self.0.take() else {
            return Poll::Ready(());
        };
        let begin = Instant::now();
        while begin.elapsed() < work {
            std::hint::spin_loop();
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

async fn works_between_yields() {
    for () in for_a_while() {
        Step(Some(Duration::from_micros(20))).await;
    }
}

/// The one end wakes the other, and both are this task.
async fn both_ends_of_a_channel() {
    let (sender, mut receiver) = mpsc::channel(1);
    let produce = async move {
        for () in for_a_while() {
            sender.send(()).await.expect("the receiver is there");
        }
    };
    let consume = async { while receiver.recv().await.is_some() {} };
    tokio::join!(produce, consume);
}
