//! id: c64_joined_set
//! kind: look-alike of b79: a JoinSet that is emptied now and then, and handles that are awaited long after their tasks ended
//! source: ordinary practice
//! runtime: multi_thread, 2 workers
//! expect: clean
//! class: none
//! culprit: none
//! async_fn: c64_joined_set::serve
//! min_ms: 0
//! finishes: yes
use std::time::Duration;
use tokio::task::JoinSet;

async fn answer(n: u32) -> u32 {
    tokio::task::yield_now().await;
    n
}

async fn serve() -> u32 {
    let (mut set, mut sum) = (JoinSet::new(), 0);
    for n in 0..300 {
        set.spawn(answer(n));
        if n % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            while let Some(Ok(v)) = set.try_join_next() {
                sum += v;
            }
        }
    }
    while let Some(v) = set.join_next().await {
        sum += v.unwrap();
    }
    sum
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let early: Vec<_> = (0..20).map(|n| tokio::spawn(answer(n))).collect();
    let sum = tokio::spawn(serve()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    let mut late = 0;
    for task in early {
        late += task.await.unwrap();
    }
    zoo::verdict("c64_joined_set", sum == 44_850 && late == 190);
}
