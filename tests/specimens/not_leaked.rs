//! Tasks that are alive when the program ends, and are no leak.
//!
//! Expected: no finding at all.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, mpsc, oneshot},
    time::{interval, sleep},
};

#[asyncwatch::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let jobs = start_pool();
    flush_now_and_then();
    let mut open = Vec::new();
    for number in 0..40 {
        open.extend(session(number));
        talk();
        sleep(Duration::from_millis(20)).await;
    }
    sleep(Duration::from_millis(1_000)).await;
    drop(jobs);
}

/// Workers that are started together and wait for jobs.
fn start_pool() -> mpsc::Sender<()> {
    let (jobs, queue) = mpsc::channel(16);
    let queue = Arc::new(Mutex::new(queue));
    for _ in 0..32 {
        let queue = Arc::clone(&queue);
        asyncwatch::spawn(async move { while queue.lock().await.recv().await.is_some() {} });
    }
    jobs
}

/// One task for the life of the program.
fn flush_now_and_then() {
    asyncwatch::spawn(async {
        let mut every = interval(Duration::from_millis(20));
        loop {
            every.tick().await;
        }
    });
}

/// Of these, three in four end.
fn session(number: u32) -> Option<oneshot::Sender<()>> {
    let (stop, stopped) = oneshot::channel::<()>();
    asyncwatch::spawn(async move {
        // The other half may be dropped at once.
        let _ = stopped.await;
    });
    number.is_multiple_of(4).then_some(stop)
}

/// These come one by one, stay, and are busy to the end.
fn talk() {
    asyncwatch::spawn(async {
        loop {
            sleep(Duration::from_millis(5)).await;
        }
    });
}
