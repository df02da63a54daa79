//! Futures that return `Pending`, and who is left to wake them.
//!
//! Expected in mode `lost`: one `lost-waker`. In mode `healthy`: nothing, whatever
//! tasks wait for, and also where one waits for ever on purpose or is aborted.

use std::{
    env,
    future::{Future, pending, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    sync::{Notify, Semaphore, mpsc, oneshot, watch},
    task::JoinSet,
    time::sleep,
};

#[asyncwatch::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    match env::args().nth(1).expect("a mode").as_str() {
        "lost" => lost().await,
        "healthy" => healthy().await,
        mode => panic!("no mode {mode}"),
    }
}

/// What a connection has received.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Received>>);

#[derive(Default)]
struct Received {
    items: Vec<u32>,
    waker: Option<Waker>,
}

/// Waits for two items, and forgets the waker while there is one.
struct Both(Shared);

impl Future for Both {
    type Output = u32;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<u32> {
        let mut received = self.0.0.lock().expect("no panic with it");
        match received.items[..] {
            [] => {
                received.waker = Some(context.waker().clone());
                Poll::Pending
            }
            [_] => Poll::Pending, // CULPRIT
            [one, two, ..] => Poll::Ready(one + two),
        }
    }
}

fn receive(shared: &Shared, item: u32) {
    let mut received = shared.0.lock().expect("no panic with it");
    received.items.push(item);
    if let Some(waker) = received.waker.take() {
        waker.wake();
    }
}

async fn lost() {
    let shared = Shared::default();
    let read = tokio::spawn(respond(shared.clone()));
    for item in [1, 2] {
        sleep(Duration::from_millis(30)).await;
        receive(&shared, item);
    }
    let late = tokio::time::timeout(Duration::from_millis(800), read).await;
    assert!(late.is_err(), "it hangs");
}

#[asyncwatch::watch]
async fn respond(shared: Shared) -> u32 {
    read(shared).await * 2
}

#[asyncwatch::watch]
async fn read(shared: Shared) -> u32 {
    Both(shared).await
}

async fn healthy() {
    let (sender, mut receiver) = mpsc::channel::<u32>(1);
    let (tell, told) = oneshot::channel::<u32>();
    let (change, mut changed) = watch::channel(0);
    let notify = Arc::new(Notify::new());
    let semaphore = Arc::new(Semaphore::new(0));
    let shared = Shared::default();

    let mut tasks = JoinSet::new();
    tasks.spawn(asyncwatch::WatchExt::watched(async move {
        receiver.recv().await;
    }));
    asyncwatch::spawn(told);
    asyncwatch::spawn(async move { changed.changed().await });
    asyncwatch::spawn({
        let notify = notify.clone();
        async move { notify.notified().await }
    });
    asyncwatch::spawn({
        let semaphore = semaphore.clone();
        async move { drop(semaphore.acquire().await) }
    });
    asyncwatch::spawn(async {
        tokio::select! {
            () = pending() => {}
            () = sleep(Duration::from_secs(60)) => {}
        }
    });
    asyncwatch::spawn(async { tokio::join!(sleep(Duration::from_secs(60)), forgets()) });
    asyncwatch::spawn(Both(shared.clone()));
    // On purpose, and said so in its source.
    asyncwatch::spawn(async { pending::<()>().await });
    asyncwatch::spawn(async {
        loop {
            tokio::task::yield_now().await;
            sleep(Duration::from_millis(5)).await;
        }
    });
    // The handle to abort it exists, and is used in time.
    let aborted = asyncwatch::spawn(forgets());
    let stop = aborted.abort_handle();
    sleep(Duration::from_millis(700)).await;
    stop.abort();
    drop((sender, tell, change, notify, semaphore, shared));
    sleep(Duration::from_millis(100)).await;
}

/// Keeps no waker: alone in a task it would hang.
async fn forgets() {
    poll_fn(|_| Poll::<()>::Pending).await;
}
