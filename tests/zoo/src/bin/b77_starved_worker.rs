//! id: b77_starved_worker
//! kind: many sessions compute a little in each poll, none long enough to be slow; a woken task waits for all of them
//! source: the case that a slow-poll limit alone never sees (compare CPython's issue 101946)
//! runtime: current_thread
//! expect: report
//! class: starved (no slow poll; a worker without a moment's rest and tasks that wait for it)
//! culprit: the load as a whole, spawned at MARK:spawn
//! async_fn: none
//! min_ms: 0
//! finishes: yes
use std::time::{Duration, Instant};

async fn session(until: Instant) {
    while Instant::now() < until {
        zoo::burn(Duration::from_millis(3));
        tokio::task::yield_now().await;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // HOOK
    let until = Instant::now() + Duration::from_millis(6500);
    let sessions: Vec<_> = (0..300).map(|_| tokio::spawn(session(until))).collect(); // MARK:spawn
    let late = tokio::spawn(zoo::victim(Duration::from_millis(5), Duration::from_millis(5000)));
    let late = late.await.unwrap();
    for session in sessions {
        session.await.unwrap();
    }
    zoo::fact("victim_worst_lateness_ms", late.as_millis());
    zoo::verdict("b77_starved_worker", late.as_millis() >= 700);
}
