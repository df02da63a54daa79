//! id: b56_flume_recv
//! kind: flume's synchronous recv_timeout where recv_async was meant
//! source: a common mistake with channels that have both faces
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: parked (futex wait under flume)
//! culprit: flume::Receiver::recv_timeout, at MARK:culprit
//! async_fn: b56_flume_recv::poll_queue, at MARK:async_fn
//! help: recv_async
//! min_ms: 150
//! finishes: yes
use std::time::Duration;

// MARK:async_fn
async fn poll_queue(queue: flume::Receiver<u32>) -> u32 {
    let mut rounds = 0;
    let p = zoo::probe();
    while queue.recv_timeout(Duration::from_millis(200)).is_err() && rounds < 1 { // MARK:culprit
        rounds += 1;
    }
    let (wall, cpu) = p.done("poll_queue");
    zoo::verdict("b56_flume_recv", wall >= 300 && cpu < 20);
    rounds
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let (tx, rx) = flume::bounded(4);
    tokio::spawn(poll_queue(rx)).await.unwrap();
    drop(tx);
}
