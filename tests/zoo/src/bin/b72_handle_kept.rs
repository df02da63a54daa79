//! id: b72_handle_kept
//! kind: a task panics; its JoinHandle lies in a registry of services and is never awaited
//! source: a common mistake: handles kept "to abort them later"
//! runtime: current_thread
//! expect: report
//! class: task-panicked (unobserved)
//! culprit: unwrap of None in b72_handle_kept::refresh, at MARK:culprit; task spawned at MARK:spawn
//! async_fn: b72_handle_kept::refresh, at MARK:async_fn
//! min_ms: 0
//! finishes: yes
use std::{sync::Mutex, time::Duration};
use tokio::task::JoinHandle;

static SERVICES: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

// MARK:async_fn
async fn refresh(tokens: Vec<&'static str>) {
    tokio::time::sleep(Duration::from_millis(20)).await;
    let token = tokens.iter().find(|t| t.starts_with("live")).unwrap(); // MARK:culprit
    std::hint::black_box(token);
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // HOOK
    let refresher = tokio::spawn(refresh(vec!["test_1"])); // MARK:spawn
    SERVICES.lock().unwrap().push(refresher);
    tokio::time::sleep(Duration::from_millis(600)).await;
    zoo::verdict("b72_handle_kept", SERVICES.lock().unwrap()[0].is_finished());
}
