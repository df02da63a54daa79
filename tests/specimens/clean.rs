//! A great deal of healthy work.
//!
//! Expected: no finding at all, at the default limit of 100 ms.

use std::{thread, time::Duration};

use asyncwatch::WatchExt;
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::{JoinSet, block_in_place, spawn_blocking, yield_now},
    time::{interval, sleep, timeout},
};

#[asyncwatch::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    tokio::join!(
        hash_passwords(),
        block_with_permission(),
        lose_selects(),
        poll_often(),
        share_a_lock(),
        run_out_of_time(),
        tick(),
        abort_tasks(),
    );
}

/// Slow computations, on threads that may be slow.
async fn hash_passwords() {
    let mut set = JoinSet::new();
    for number in 0..4 {
        set.spawn(spawn_blocking(move || {
            bcrypt::hash(format!("password {number}"), 6).expect("the cost is valid");
            thread::sleep(Duration::from_millis(300));
        }));
    }
    while let Some(hashed) = set.join_next().await {
        hashed.expect("not aborted").expect("no panic");
    }
}

/// Blocking where the runtime, or the program, was told.
async fn block_with_permission() {
    let told_the_runtime = asyncwatch::spawn(async {
        block_in_place(|| thread::sleep(Duration::from_millis(300)));
    });
    told_the_runtime.await.expect("the task ends well");
    let told_asyncwatch = asyncwatch::spawn(async {
        asyncwatch::allow_blocking("start-up: nobody waits yet", || {
            thread::sleep(Duration::from_millis(300));
        });
    });
    told_asyncwatch.await.expect("the task ends well");
}

#[asyncwatch::watch]
async fn an_hour() {
    sleep(Duration::from_secs(3_600)).await;
}

/// Futures that are dropped half-way, or before they began.
async fn lose_selects() {
    let (numbers, mut received) = mpsc::channel(4);
    let sender = asyncwatch::spawn(async move {
        for number in 0..1_000_u32 {
            numbers.send(number).await.expect("the receiver waits");
        }
    });
    let mut sum = 0;
    loop {
        tokio::select! {
            biased;
            number = received.recv() => match number {
                Some(number) => sum += number,
                None => break,
            },
            () = an_hour() => unreachable!("nobody waits that long"),
            () = an_hour(), if sum % 2 == 7 => unreachable!("never enabled"),
        }
    }
    assert_eq!(sum, 499_500);
    sender.await.expect("the task ends well");
}

/// Tens of thousands of polls, each of them short.
async fn poll_often() {
    let mut set = JoinSet::new();
    for _ in 0..8 {
        set.spawn(
            async {
                for _ in 0..5_000 {
                    yield_now().await;
                }
            }
            .watched_as("yields"),
        );
    }
    set.join_all().await;
}

/// Waiting for an async lock is no blocking.
async fn share_a_lock() {
    let lock = std::sync::Arc::new(Mutex::new(0));
    let mut set = JoinSet::new();
    for _ in 0..4 {
        let lock = std::sync::Arc::clone(&lock);
        set.spawn(async move {
            let mut count = lock.lock().await;
            sleep(Duration::from_millis(80)).await;
            *count += 1;
        });
    }
    set.join_all().await;
    assert_eq!(*lock.lock().await, 4);
}

async fn run_out_of_time() {
    let late = timeout(Duration::from_millis(50), an_hour()).await;
    assert!(late.is_err(), "an hour is longer than 50 ms");
}

async fn tick() {
    let mut ticks = interval(Duration::from_millis(10));
    for _ in 0..40 {
        ticks.tick().await;
    }
}

/// Tasks that are aborted while they wait.
async fn abort_tasks() {
    for _ in 0..50 {
        let (started, has_started) = oneshot::channel();
        let task = asyncwatch::spawn(async move {
            started.send(()).expect("the other half waits");
            an_hour().await;
        });
        has_started.await.expect("the task starts");
        task.abort();
        assert!(task.await.expect_err("it was aborted").is_cancelled());
    }
}
