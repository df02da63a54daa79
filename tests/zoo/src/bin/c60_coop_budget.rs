//! id: c60_coop_budget
//! kind: look-alike of b28: a task drains a channel that is never empty; tokio makes it yield, and wakes it at once,
//!   every 128 messages
//! source: tokio's cooperative scheduling
//! runtime: multi_thread, 2 workers
//! expect: clean
//! class: none (it does work in every poll)
//! culprit: none
//! async_fn: c60_coop_budget::drain
//! min_ms: 0
//! finishes: yes
async fn drain(mut rx: tokio::sync::mpsc::UnboundedReceiver<u64>) -> u64 {
    let mut sum = 0u64;
    while let Some(n) = rx.recv().await {
        sum = sum.wrapping_add(n.wrapping_mul(n) % 1009);
    }
    sum
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let (tx, rx) = tokio::sync::mpsc::unbounded_channel();
    let drain = tokio::spawn(drain(rx));
    let feeder = tokio::task::spawn_blocking(move || {
        for n in 0..3_000_000u64 {
            tx.send(n).unwrap();
        }
    });
    feeder.await.unwrap();
    zoo::verdict("c60_coop_budget", drain.await.unwrap() > 0);
}
