//! Intervals that are not polled for a while, by what becomes of their missed ticks.
//!
//! Expected: `timer-burst` at the line marked in the case `burst`; nothing elsewhere.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

#[asyncwatch::main]
async fn main() {
    tracing_subscriber::registry()
        .with(asyncwatch::layer())
        .init();
    let case = std::env::args().nth(1).expect("a case");
    // The root was made before there was a subscriber.
    let task = tokio::spawn(async move {
        match &*case {
            "burst" => burst().await,
            "select" => select().await,
            "delay" => missed(MissedTickBehavior::Delay).await,
            "skip" => missed(MissedTickBehavior::Skip).await,
            "fast" => fast().await,
            other => panic!("no such case: {other}"),
        }
    });
    task.await.expect("the task ends well");
    layer::finish();
}

async fn ticks(interval: &mut Interval, n: usize) {
    for _ in 0..n {
        interval.tick().await;
    }
}

async fn burst() {
    let mut heartbeat = interval(Duration::from_millis(50)); // burst
    ticks(&mut heartbeat, 5).await;
    sleep(Duration::from_secs(1)).await;
    ticks(&mut heartbeat, 30).await;
}

/// As most intervals are used: beside something else, which takes long at times.
async fn select() {
    let mut heartbeat = interval(Duration::from_millis(50)); // select
    let mut work = interval(Duration::from_millis(330));
    work.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rounds = 0;
    while rounds < 6 {
        tokio::select! {
            _ = heartbeat.tick() => {}
            _ = work.tick() => {
                rounds += 1;
                if rounds == 3 {
                    sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

async fn missed(behavior: MissedTickBehavior) {
    let mut heartbeat = interval(Duration::from_millis(50));
    heartbeat.set_missed_tick_behavior(behavior);
    for _ in 0..2 {
        ticks(&mut heartbeat, 5).await;
        sleep(Duration::from_secs(1)).await;
    }
    ticks(&mut heartbeat, 10).await;
}

async fn fast() {
    let mut fast = interval(Duration::from_millis(1));
    for _ in 0..10 {
        ticks(&mut fast, 50).await;
        sleep(Duration::from_millis(20)).await;
    }
}
