//! id: b15_command_output
//! kind: std::process::Command::output in async code
//! source: neondatabase/neon#5895 (run_initdb, fix #5921)
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: syscall poll / read / wait4 (waiting for a child)
//! culprit: std::process::Command::output, at MARK:culprit
//! async_fn: b15_command_output::bootstrap_timeline, at MARK:async_fn
//! help: tokio::process
//! min_ms: 200
//! finishes: yes
use std::process::Command;

fn run_initdb(dir: &str) -> bool {
    let out = Command::new("sh").arg("-c").arg(format!("sleep 0.3; echo initialised {dir}")).output().unwrap(); // MARK:culprit
    out.status.success()
}

// MARK:async_fn
async fn bootstrap_timeline(dir: String) -> bool {
    tokio::task::yield_now().await;
    let p = zoo::probe();
    let ok = run_initdb(&dir);
    let (wall, cpu) = p.done("bootstrap_timeline");
    zoo::verdict("b15_command_output", wall >= 200 && cpu < 50);
    ok
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    assert!(tokio::spawn(bootstrap_timeline("/tmp/x".into())).await.unwrap());
}
