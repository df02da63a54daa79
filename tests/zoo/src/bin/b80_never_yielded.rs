//! id: b80_never_yielded
//! kind: a consumer of a std channel as a task: it never awaits anything, and holds a worker for as long as it lives
//! source: a common mistake: a thread's loop moved into tokio::spawn as it was
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: never-yielded (the task has run since it was spawned, in one poll)
//! culprit: std::sync::mpsc::Receiver::recv, at MARK:culprit; task spawned at MARK:spawn
//! async_fn: b80_never_yielded::consume, at MARK:async_fn
//! min_ms: 1500
//! finishes: yes
use std::{sync::mpsc, thread, time::Duration};

// MARK:async_fn
async fn consume(jobs: mpsc::Receiver<u32>) -> u32 {
    let mut sum = 0;
    while let Ok(job) = jobs.recv() { // MARK:culprit
        sum += job;
    }
    sum
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let (tx, rx) = mpsc::channel();
    thread::spawn(move || {
        for job in 0..30 {
            thread::sleep(Duration::from_millis(60));
            tx.send(job).unwrap();
        }
    });
    let sum = tokio::spawn(consume(rx)).await.unwrap(); // MARK:spawn
    zoo::verdict("b80_never_yielded", sum == 435);
}
