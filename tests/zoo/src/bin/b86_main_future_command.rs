//! id: b86_main_future_command
//! kind: std Command::status in the main future itself (block_on's root), nothing spawned
//! source: a common mistake; CLI tools that shell out to git
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: syscall wait4 / waitid / poll / read
//! culprit: std::process::Command::status, at MARK:culprit
//! async_fn: none
//! help: tokio::process
//! min_ms: 120
//! finishes: yes
use std::process::Command;

fn git(args: &[&str]) -> bool {
    Command::new("sh").arg("-c").arg("sleep 0.2 #").args(args).status().is_ok_and(|s| s.success()) // MARK:culprit
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    tokio::task::yield_now().await;
    let p = zoo::probe();
    assert!(git(&["fetch", "origin"]));
    let (wall, cpu) = p.done("git");
    zoo::verdict("b86_main_future_command", wall >= 120 && cpu < 60);
}
