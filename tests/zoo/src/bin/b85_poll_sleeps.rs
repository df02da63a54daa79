//! id: b85_poll_sleeps
//! kind: a hand-written Future that waits in poll: sleeps a little, looks, sleeps again
//! source: a common mistake of first hand-written futures
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: syscall clock_nanosleep
//! culprit: std::thread::sleep in <b85_poll_sleeps::FileAppears as Future>::poll, at MARK:culprit
//! async_fn: b85_poll_sleeps::start, at MARK:async_fn
//! help: tokio::time::sleep
//! min_ms: 100
//! finishes: yes
use std::{
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
    thread,
    time::Duration,
};

static READY: AtomicBool = AtomicBool::new(false);

struct FileAppears;
impl Future for FileAppears {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        while !READY.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(4)); // MARK:culprit
        }
        Poll::Ready(())
    }
}

// MARK:async_fn
async fn start() {
    let p = zoo::probe();
    FileAppears.await;
    let (wall, cpu) = p.done("appears");
    zoo::verdict("b85_poll_sleeps", wall >= 100 && cpu < 50);
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let start = tokio::spawn(start());
    tokio::time::sleep(Duration::from_millis(200)).await;
    READY.store(true, Ordering::Relaxed);
    start.await.unwrap();
}
