//! id: c51_block_in_place
//! kind: look-alike of b51: the same hash inside block_in_place
//! source: tokio's documentation of block_in_place
//! runtime: multi_thread, 2 workers
//! expect: clean
//! class: none
//! culprit: none
//! async_fn: c51_block_in_place::login
//! min_ms: 0
//! finishes: yes
async fn login(password: String) -> usize {
    tokio::task::yield_now().await;
    let p = zoo::probe();
    let n = tokio::task::block_in_place(|| bcrypt::hash(password, 10).unwrap().len());
    p.done("in place");
    n
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let mut set = tokio::task::JoinSet::new();
    for n in 0..3 {
        set.spawn(login(format!("pw{n}")));
    }
    let mut sum = 0;
    while let Some(n) = set.join_next().await {
        sum += n.unwrap();
    }
    zoo::verdict("c51_block_in_place", sum == 180);
}
