//! id: c58_timers
//! kind: intervals, timeouts that expire, a sleep that is reset all the time, and a timeout that wins over a future
//! source: ordinary practice
//! runtime: current_thread
//! expect: clean
//! class: none
//! culprit: none
//! async_fn: c58_timers::beat
//! min_ms: 0
//! finishes: yes
use std::time::Duration;
use tokio::time::{interval, sleep, timeout, Instant, MissedTickBehavior};

async fn beat(mut stop: tokio::sync::watch::Receiver<bool>) -> u32 {
    let mut every = interval(Duration::from_millis(10));
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut beats = 0;
    loop {
        tokio::select! {
            _ = every.tick() => beats += 1,
            _ = stop.changed() => return beats,
        }
    }
}

async fn never() {
    std::future::pending().await
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // HOOK
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let beats = tokio::spawn(beat(stopped));
    let mut expired = 0;
    for _ in 0..30 {
        expired += u32::from(timeout(Duration::from_millis(3), never()).await.is_err());
    }
    let idle = sleep(Duration::from_millis(50));
    tokio::pin!(idle);
    for _ in 0..20 {
        sleep(Duration::from_millis(5)).await;
        idle.as_mut().reset(Instant::now() + Duration::from_millis(50));
    }
    idle.await;
    stop.send(true).unwrap();
    zoo::verdict("c58_timers", expired == 30 && beats.await.unwrap() > 5);
}
