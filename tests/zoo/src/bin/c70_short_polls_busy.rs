//! id: c70_short_polls_busy
//! kind: look-alike of slow polls: many polls of 2..5 ms on both workers, with timers between
//! source: ordinary practice: rendering, small parses
//! runtime: multi_thread, 2 workers
//! expect: clean
//! class: none
//! culprit: none
//! async_fn: c70_short_polls_busy::render
//! min_ms: 0
//! finishes: yes
use std::time::Duration;

async fn render(n: u64) -> u64 {
    let mut frames = 0;
    for i in 0..60 {
        zoo::burn(Duration::from_millis(2 + (i + n) % 4));
        frames += 1;
        tokio::time::sleep(Duration::from_millis(6)).await;
    }
    frames
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let tasks: Vec<_> = (0..2).map(|n| tokio::spawn(render(n))).collect();
    let mut frames = 0;
    for task in tasks {
        frames += task.await.unwrap();
    }
    zoo::verdict("c70_short_polls_busy", frames == 120);
}
