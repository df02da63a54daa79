//! id: b74_spin_first_poll
//! kind: a task that spins on an atomic in its first poll, and holds its worker for seconds
//! source: a common mistake: a spin lock brought over from threads
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: cpu
//! culprit: the loop of b74_spin_first_poll::wait_for_leader, at MARK:culprit
//! async_fn: b74_spin_first_poll::wait_for_leader, at MARK:async_fn
//! help: yield_now
//! min_ms: 1000
//! finishes: never
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
static LEADER: AtomicBool = AtomicBool::new(false);

// MARK:async_fn
async fn wait_for_leader() {
    while !LEADER.load(Ordering::Acquire) { // MARK:culprit
        std::hint::spin_loop(); // MARK:culprit
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    zoo::hang_is_expected("b74_spin_first_poll", Duration::from_millis(2500));
    tokio::spawn(wait_for_leader()).await.unwrap();
    zoo::verdict("b74_spin_first_poll", false);
}
