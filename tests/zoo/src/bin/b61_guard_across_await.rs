//! id: b61_guard_across_await
//! kind: a std mutex guard held across an await, on one thread: the next task that locks it stops
//!   the thread for ever, and with it the timer the holder waits for
//! source: the deadlock that clippy::await_holding_lock warns of
//! runtime: current_thread, LocalSet (the guard is not Send)
//! expect: report
//! class: deadlock (futex wait that never ends; no CPU)
//! culprit: std::sync::Mutex::lock, at MARK:culprit
//! async_fn: b61_guard_across_await::update, at MARK:async_fn
//! help: mutex
//! min_ms: 1000
//! finishes: never
use std::{
    rc::Rc,
    sync::Mutex,
    time::Duration,
};

// MARK:async_fn
async fn update(state: Rc<Mutex<u64>>) {
    let mut value = state.lock().unwrap(); // MARK:culprit
    tokio::time::sleep(Duration::from_millis(20)).await;
    *value += 1;
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // HOOK
    zoo::hang_is_expected("b61_guard_across_await", Duration::from_millis(2500));
    let state = Rc::new(Mutex::new(0));
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let one = tokio::task::spawn_local(update(state.clone()));
            let two = tokio::task::spawn_local(update(state.clone()));
            one.await.unwrap();
            two.await.unwrap();
        })
        .await;
    zoo::verdict("b61_guard_across_await", false);
}
