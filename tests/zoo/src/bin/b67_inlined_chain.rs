//! id: b67_inlined_chain
//! kind: the blocking call is four small functions down, all of which the optimiser inlines
//! source: a common shape of release builds: the stack shows one function where the source has five
//! runtime: current_thread
//! expect: report
//! class: syscall clock_nanosleep
//! culprit: std::thread::sleep, at MARK:culprit
//! async_fn: b67_inlined_chain::attempt, at MARK:async_fn
//! help: tokio::time::sleep
//! min_ms: 60
//! finishes: yes
use std::time::Duration;

struct Backoff(u64);
impl Backoff {
    #[inline(always)]
    fn pause(&self) {
        self.hold(Duration::from_millis(self.0))
    }
    #[inline(always)]
    fn hold(&self, time: Duration) {
        std::thread::sleep(time); // MARK:culprit
    }
}

// MARK:async_fn
async fn attempt(n: u64) -> Result<u64, u64> {
    if n < 2 {
        Backoff(80).pause();
        return Err(n);
    }
    Ok(n)
}

async fn with_retries(max: u64) -> u64 {
    for n in 0..max {
        if let Ok(v) = attempt(n).await {
            return v;
        }
    }
    max
}

async fn connect() -> u64 {
    with_retries(5).await
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // HOOK
    let n = tokio::spawn(async { connect().await }).await.unwrap();
    zoo::verdict("b67_inlined_chain", n == 2);
}
