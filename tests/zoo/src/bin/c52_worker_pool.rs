//! id: c52_worker_pool
//! kind: look-alike of b24: 40 workers of one spawn site wait for jobs, all through the program, and end with it
//! source: ordinary practice
//! runtime: multi_thread, 2 workers
//! expect: clean
//! class: none (waiting for work is what a worker does)
//! culprit: none
//! async_fn: c52_worker_pool::worker
//! min_ms: 0
//! finishes: yes
use std::{
    sync::{
        atomic::{AtomicU32, Ordering},
        Arc,
    },
    time::Duration,
};
use tokio::sync::{mpsc, Mutex};
static DONE: AtomicU32 = AtomicU32::new(0);

async fn worker(jobs: Arc<Mutex<mpsc::Receiver<u32>>>) {
    loop {
        let job = jobs.lock().await.recv().await;
        let Some(job) = job else { return };
        tokio::time::sleep(Duration::from_millis(u64::from(job % 3))).await;
        DONE.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let (tx, rx) = mpsc::channel(16);
    let jobs = Arc::new(Mutex::new(rx));
    let workers: Vec<_> = (0..40).map(|_| tokio::spawn(worker(jobs.clone()))).collect();
    tokio::time::sleep(Duration::from_millis(700)).await; // nothing to do yet
    for job in 0..80 {
        tx.send(job).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(tx);
    for worker in workers {
        worker.await.unwrap();
    }
    zoo::verdict("c52_worker_pool", DONE.load(Ordering::Relaxed) == 80);
}
