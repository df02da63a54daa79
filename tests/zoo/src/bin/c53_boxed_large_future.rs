//! id: c53_boxed_large_future
//! kind: look-alike of b29: the same buffer, in a Box before it is spawned
//! source: fix side of tokio-rs/tokio#6057
//! runtime: multi_thread, 2 workers
//! expect: clean
//! class: none
//! culprit: none
//! async_fn: c53_boxed_large_future::handle_push
//! min_ms: 0
//! finishes: yes
use std::time::Duration;

async fn handle_push(seed: u8) -> u32 {
    let mut scratch = [seed; 256 * 1024];
    tokio::time::sleep(Duration::from_millis(1)).await;
    // Adding up all of them would be a slow poll in a debug build on a slow machine.
    scratch[seed as usize] = 1;
    scratch.iter().step_by(256).map(|b| *b as u32).sum()
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let mut set = tokio::task::JoinSet::new();
    for seed in 0..4 {
        set.spawn(Box::pin(handle_push(seed)));
    }
    let mut n = 0;
    while let Some(sum) = set.join_next().await {
        n += sum.unwrap();
    }
    zoo::verdict("c53_boxed_large_future", n > 0);
}
