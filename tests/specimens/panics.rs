//! Tasks that panic, with and without somebody who wants to know.
//!
//! Expected: `panic-unobserved` at the culprit line in mode `dropped`, and at the same
//! line in mode `kept`, where the handle outlives `main`. Silence in every other mode:
//! there the panic is awaited, or may be, or never leaves the task.

use std::{env, panic::AssertUnwindSafe, panic::catch_unwind, sync::Mutex, time::Duration};

use tokio::{
    task::{JoinHandle, JoinSet},
    time::sleep,
};

static KEPT: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

#[asyncwatch::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    match env::args().nth(1).expect("a mode").as_str() {
        "dropped" => drop(spawn()),
        "kept" => KEPT.lock().expect("no panic with it").push(spawn()),
        "awaited" => assert!(spawn().await.expect_err("it panics").is_panic()),
        "awaited-later" => {
            let task = spawn();
            sleep(Duration::from_millis(500)).await;
            assert!(task.await.expect_err("it panics").is_panic());
        }
        "join-set" => {
            let mut set = JoinSet::new();
            set.spawn(ingest(vec![1, 2, 3]));
            assert!(set.join_next().await.expect("one").is_err());
        }
        "caught" => drop(asyncwatch::spawn(async {
            sleep(Duration::from_millis(5)).await;
            let caught = catch_unwind(AssertUnwindSafe(|| sum(&[1, 2, 3])));
            assert!(caught.is_err());
        })),
        "caught-around-the-poll" => drop(tokio::spawn(async {
            let mut work = Box::pin(asyncwatch::WatchExt::watched(ingest(vec![1, 2, 3])));
            let caught = std::future::poll_fn(|context| {
                match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
                    Ok(poll) => poll.map(|()| false),
                    Err(_) => std::task::Poll::Ready(true),
                }
            });
            assert!(caught.await);
        })),
        mode => panic!("no mode {mode}"),
    }
    sleep(Duration::from_millis(600)).await;
}

fn spawn() -> JoinHandle<()> {
    asyncwatch::spawn(ingest(vec![1, 2, 3])) // SPAWN
}

async fn ingest(batch: Vec<u32>) {
    sleep(Duration::from_millis(20)).await;
    sum(&batch);
}

fn sum(batch: &[u32]) -> u32 {
    (0..=batch.len()).map(|i| batch[i]).sum() // CULPRIT
}
