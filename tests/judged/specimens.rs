//! Tests that pass, and tests that their rules fail.

use std::{future::pending, io, thread::sleep, time::Duration};

/// Longer than any limit that it is to break, also where the watchdog gets no CPU for a
/// while.
const LONG: Duration = Duration::from_millis(400);

#[asyncwatch::test(max_poll = "20ms")]
#[ignore = "run by the tests beside"]
async fn blocks() {
    sleep(LONG); // BLOCKS
}

#[asyncwatch::test(max_poll = "20ms")]
#[ignore = "run by the tests beside"]
async fn blocks_beside() {
    for _ in 0..3 {
        sleep(LONG);
        tokio::task::yield_now().await;
    }
}

#[asyncwatch::test(max_poll = "60s")]
#[ignore = "run by the tests beside"]
async fn clean_beside() {
    for _ in 0..10 {
        sleep(Duration::from_millis(120));
        tokio::task::yield_now().await;
    }
}

#[asyncwatch::test(max_poll = "20ms")]
#[ignore = "run by the tests beside"]
async fn a_blocks() {
    sleep(LONG);
}

#[asyncwatch::test(max_poll = "10s")]
#[ignore = "run by the tests beside"]
async fn b_is_clean() {
    sleep(LONG);
}

#[asyncwatch::test(max_poll = "10s")]
#[ignore = "run by the tests beside"]
async fn blocks_within_its_limit() {
    sleep(LONG);
}

#[asyncwatch::test(max_poll = "20ms", deny(never_yielded))]
#[ignore = "run by the tests beside"]
async fn computes_little_at_a_time() {
    for _ in 0..100 {
        (0..20_000_u64).for_each(|n| {
            std::hint::black_box(n);
        });
        tokio::task::yield_now().await;
    }
}

#[asyncwatch::test]
#[ignore = "run by the tests beside"]
async fn blocks_without_rules() {
    sleep(LONG);
}

#[asyncwatch::test(allow(slow_poll), deny(never_awaited))]
#[ignore = "run by the tests beside"]
async fn blocks_and_is_allowed_to() {
    sleep(LONG);
}

#[asyncwatch::test(flavor = "multi_thread", worker_threads = 2, max_poll = "20ms")]
#[ignore = "run by the tests beside"]
async fn swallows_what_its_worker_did() {
    let work = async {
        sleep(LONG); // SWALLOWED
        Err::<(), _>("too late")
    };
    let _ = asyncwatch::spawn(work).await;
}

#[asyncwatch::test(max_poll = "20ms")]
#[ignore = "run by the tests beside"]
async fn panics_by_itself() {
    sleep(LONG);
    tokio::task::yield_now().await;
    panic!("its own panic");
}

#[asyncwatch::test(max_poll = "20ms")]
#[ignore = "run by the tests beside"]
async fn returns_an_error() -> io::Result<()> {
    sleep(LONG);
    Err(io::Error::other("its own error"))
}

#[asyncwatch::watch]
async fn save() {}

#[asyncwatch::test(deny(never_awaited))]
#[ignore = "run by the tests beside"]
async fn forgets_to_await() {
    drop(save()); // FORGOTTEN
}

#[asyncwatch::test]
#[ignore = "run by the tests beside"]
async fn a_forgets_often() {
    for _ in 0..200 {
        forget();
    }
}

fn forget() {
    drop(save());
}

#[asyncwatch::test(deny("task-leaked"))]
#[ignore = "run by the tests beside"]
async fn leaves_a_task() {
    tokio::spawn(pending::<()>()); // LEFT
    tokio::task::yield_now().await;
}

#[asyncwatch::test(deny(task_leaked))]
#[ignore = "run by the tests beside"]
async fn leaves_a_task_that_ends() {
    tokio::spawn(tokio::time::sleep(Duration::from_millis(5)));
}

#[asyncwatch::test(deny(task_leaked))]
#[ignore = "run by the tests beside"]
async fn leaves_a_detached_task() {
    use asyncwatch::WatchExt as _;
    tokio::spawn(pending::<()>().detached("lives as long as the program"));
    tokio::task::yield_now().await;
}

/// Both tests use the same large future and leave the same outputs lying.
async fn is_careless() {
    let large = [1_u8; 64 << 10];
    let task = asyncwatch::spawn(async move {
        tokio::task::yield_now().await;
        std::hint::black_box(&large);
    });
    let _ = task.await;
    let kept: Vec<_> = (0..64).map(|_| asyncwatch::spawn(async {})).collect();
    tokio::time::sleep(Duration::from_millis(5)).await;
    std::mem::forget(kept);
}

#[asyncwatch::test(deny(large_future, unjoined))]
#[ignore = "run by the tests beside"]
async fn a_is_careless() {
    is_careless().await;
}

#[asyncwatch::test(deny(large_future, unjoined))]
#[ignore = "run by the tests beside"]
async fn b_is_careless() {
    is_careless().await;
}

#[asyncwatch::test(timeout = "300ms")]
#[ignore = "run by the tests beside"]
async fn hangs() {
    asyncwatch::spawn(pending::<()>()); // STAYS
    pending::<()>().await;
}

#[asyncwatch::test(flavor = "multi_thread", worker_threads = 1, timeout = "300ms")]
#[ignore = "run by the tests beside"]
async fn hangs_on_its_worker() {
    let stuck = async {
        sleep(Duration::from_secs(30)); // STUCK_WORKER
    };
    let _ = asyncwatch::spawn(stuck).await;
}

#[asyncwatch::test(timeout = "300ms")]
#[ignore = "run by the tests beside"]
async fn is_stuck() {
    sleep(Duration::from_secs(120)); // STUCK
}

#[asyncwatch::test(timeout = "60s", max_poll = "60s")]
#[ignore = "run by the tests beside"]
async fn ends_in_time() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

#[asyncwatch::test(allow(
    slow_poll,
    starved_worker,
    never_awaited,
    task_dropped_pending,
    task_leaked,
    panic_unobserved,
    nested_block_on,
    blocking_pool_saturated,
    blocking_outlives_runtime,
    self_wake,
    lost_waker,
    never_yielded,
    large_future,
    unjoined,
    timer_burst,
    async_contention
))]
#[ignore = "run by the tests beside"]
async fn allows_everything() {
    sleep(LONG);
}
