//! id: c55_handled_panics
//! kind: look-alike of b26: tasks that panic, and everybody who waits for them looks at the JoinError
//! source: ordinary practice: supervisors, JoinSet, select! on a handle
//! runtime: multi_thread, 2 workers
//! expect: clean
//! class: none
//! culprit: none
//! async_fn: c55_handled_panics::flaky
//! min_ms: 0
//! finishes: yes
use std::time::Duration;
use tokio::task::JoinSet;

async fn flaky(n: u32) -> u32 {
    tokio::time::sleep(Duration::from_millis(u64::from(n))).await;
    assert!(n % 3 != 0, "flaky as always");
    n
}

async fn supervise() -> u32 {
    let mut attempts = 0;
    loop {
        attempts += 1;
        match tokio::spawn(flaky(attempts % 4 * 3)).await {
            Ok(_) => return attempts,
            Err(e) if e.is_panic() && attempts < 4 => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(_) => return attempts,
        }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let mut set = JoinSet::new();
    for n in 0..12 {
        set.spawn(flaky(n));
    }
    // They are looked at late, which is not never.
    tokio::time::sleep(Duration::from_millis(400)).await;
    let mut panics = 0;
    while let Some(r) = set.join_next().await {
        panics += u32::from(r.is_err_and(|e| e.is_panic()));
    }
    let attempts = supervise().await;
    let mut late = tokio::spawn(flaky(3));
    let lost = tokio::select! {
        r = &mut late => r.is_err(),
        _ = tokio::time::sleep(Duration::from_secs(5)) => false,
    };
    zoo::verdict("c55_handled_panics", panics == 4 && attempts == 4 && lost);
}
