//! id: b55_std_channel_recv
//! kind: std::sync::mpsc::Receiver::recv in a task, waiting for an OS thread
//! source: a common mistake; the usual question on forums is why "the other tasks stop"
//! runtime: current_thread
//! expect: report
//! class: parked (futex wait in std::thread::park under std::sync::mpsc)
//! culprit: std::sync::mpsc::Receiver::recv, at MARK:culprit
//! async_fn: b55_std_channel_recv::next_event, at MARK:async_fn
//! help: tokio::sync::mpsc
//! min_ms: 200
//! finishes: yes
use std::{sync::mpsc, time::Duration};

// MARK:async_fn
async fn next_event(events: mpsc::Receiver<u32>) -> u32 {
    tokio::task::yield_now().await;
    let p = zoo::probe();
    let event = events.recv().unwrap(); // MARK:culprit
    let (wall, cpu) = p.done("next_event");
    zoo::verdict("b55_std_channel_recv", wall >= 200 && cpu < 20);
    event
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // HOOK
    let (tx, rx) = mpsc::channel();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        tx.send(5).unwrap();
    });
    tokio::spawn(next_event(rx)).await.unwrap();
}
