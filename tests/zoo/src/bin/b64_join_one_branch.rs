//! id: b64_join_one_branch
//! kind: one of three join!ed futures computes, so the other two stand still although they are "concurrent"
//! source: a common misunderstanding: join! runs its branches in one task
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: cpu
//! culprit: the loop of b64_join_one_branch::checksum, at MARK:culprit
//! async_fn: b64_join_one_branch::verify, at MARK:async_fn
//! help: spawn_blocking
//! min_ms: 100
//! finishes: yes
use std::time::Duration;

fn checksum(data: &[u8], rounds: u32) -> u64 {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    for _ in 0..rounds {
        for byte in data { // MARK:culprit
            sum = (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3); // MARK:culprit
        }
    }
    sum
}

// MARK:async_fn
async fn verify(data: &[u8]) -> u64 {
    tokio::time::sleep(Duration::from_millis(10)).await;
    let p = zoo::probe();
    let sum = checksum(data, if cfg!(debug_assertions) { 20 } else { 300 });
    let (_wall, cpu) = p.done("verify");
    zoo::verdict("b64_join_one_branch", cpu >= 100);
    sum
}

async fn refresh(n: u32) -> u32 {
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    n
}

async fn start() -> u64 {
    let data = vec![42; 1 << 20];
    let (sum, a, b) = tokio::join!(verify(&data), refresh(1), refresh(2));
    sum + u64::from(a + b)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let sum = tokio::spawn(start()).await.unwrap();
    zoo::fact("sum", sum);
}
