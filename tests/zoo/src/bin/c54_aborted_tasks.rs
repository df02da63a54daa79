//! id: c54_aborted_tasks
//! kind: tasks that are aborted: some before they ran at all, some that wait for ever, some by AbortHandle or a dropped JoinSet
//! source: ordinary practice
//! runtime: multi_thread, 2 workers
//! expect: clean
//! class: none (neither "never awaited" nor "leaked")
//! culprit: none
//! async_fn: c54_aborted_tasks::forever
//! min_ms: 0
//! finishes: yes
use std::time::Duration;

async fn forever(n: u32) -> u32 {
    tokio::time::sleep(Duration::from_millis(u64::from(n % 5))).await;
    std::future::pending::<()>().await;
    n
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let mut cancelled = 0;
    for n in 0..40 {
        let task = tokio::spawn(forever(n));
        if n % 2 == 0 {
            tokio::time::sleep(Duration::from_millis(8)).await;
        }
        task.abort();
        cancelled += u32::from(task.await.is_err_and(|e| e.is_cancelled()));
    }
    let mut set = tokio::task::JoinSet::new();
    for n in 0..20 {
        set.spawn(forever(n));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    set.shutdown().await;
    zoo::verdict("c54_aborted_tasks", cancelled == 40 && set.is_empty());
}
