//! id: b66_select_handler
//! kind: the handler of one select! branch blocks, so no other branch gets its turn
//! source: a common mistake in actor loops
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: syscall wait4 / waitid / poll / read (waiting for a child)
//! culprit: std::process::Command::status, at MARK:culprit
//! async_fn: b66_select_handler::actor, at MARK:async_fn
//! help: tokio::process
//! min_ms: 150
//! finishes: yes
use std::{process::Command, time::Duration};
use tokio::sync::mpsc;

// MARK:async_fn
async fn actor(mut jobs: mpsc::Receiver<u32>) -> u32 {
    let mut beat = tokio::time::interval(Duration::from_millis(20));
    let mut done = 0;
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            job = jobs.recv() => {
                let Some(job) = job else { break };
                let p = zoo::probe();
                let status = Command::new("sleep").arg("0.25").status().unwrap(); // MARK:culprit
                let (wall, cpu) = p.done("job");
                assert!(wall >= 150 && cpu < 50 && status.success());
                done += job;
            }
        }
    }
    done
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let (tx, rx) = mpsc::channel(4);
    let actor = tokio::spawn(actor(rx));
    for job in [1, 2] {
        tx.send(job).await.unwrap();
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    drop(tx);
    zoo::verdict("b66_select_handler", actor.await.unwrap() == 3);
}
