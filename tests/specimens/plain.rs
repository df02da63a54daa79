//! Knows nothing of asyncwatch: what it does is seen from outside or not at all.
//!
//! Its first argument says what that is; the line that blocks bears its mark.

use std::{
    env,
    fs::{self, File},
    hint::black_box,
    io::Write,
    process,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use tokio::{
    runtime::Builder,
    task::{LocalSet, block_in_place, spawn_blocking, yield_now},
    time::sleep,
};

const LONG: Duration = Duration::from_millis(400);

fn main() {
    let what = env::args().nth(1).expect("an argument");
    match what.as_str() {
        "task" => multi(async { tokio::spawn(sleeps()).await.unwrap() }),
        "root" => current(sleeps()),
        "local" => current(async {
            LocalSet::new()
                .run_until(async { tokio::task::spawn_local(sleeps()).await.unwrap() })
                .await;
        }),
        "own-runtimes" => {
            let threads: Vec<_> = (0..3)
                .map(|n| thread::spawn(move || current(async move { worker(n).await })))
                .collect();
            threads
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
        }
        "computes" => multi(async { tokio::spawn(computes()).await.unwrap() }),
        "writes" => multi(async { tokio::spawn(writes()).await.unwrap() }),
        "waits" => multi(async { tokio::spawn(waits()).await.unwrap() }),
        "clean" => multi(clean()),
        other => panic!("{other} is unknown"),
    }
}

fn multi(future: impl Future<Output = ()>) {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(future);
}

fn current(future: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(future);
}

async fn sleeps() {
    yield_now().await;
    thread::sleep(LONG); // SLEEPS
}

async fn worker(n: u32) {
    sleep(Duration::from_millis(20)).await;
    if n == 1 {
        sleeps().await;
    }
}

async fn computes() {
    yield_now().await;
    let begun = Instant::now();
    let mut sum = 0_u64;
    while begun.elapsed() < LONG * 4 {
        sum = (0..20_000).fold(sum, |sum, n| black_box(sum.rotate_left(5) ^ n)); // COMPUTES
    }
    black_box(sum);
}

/// Each call is short; the poll is not.
async fn writes() {
    yield_now().await;
    let mut file = scratch();
    for _ in 0..80 {
        file.write_all(&[1; 4096]).unwrap();
        thread::sleep(Duration::from_millis(5)); // WRITES
        file.sync_all().unwrap(); // WRITES
    }
}

/// A file that is gone when it is closed.
fn scratch() -> File {
    let path = env::temp_dir().join(format!("asyncwatch-plain-{}", process::id()));
    let file = File::create(&path).unwrap();
    fs::remove_file(path).unwrap();
    file
}

async fn waits() {
    let shared = Arc::new(Mutex::new(()));
    let held = shared.clone();
    let holder = thread::spawn(move || {
        let _held = held.lock();
        // Of a wait for another thread only that part counts in which nobody lacked a CPU.
        thread::sleep(LONG * 5);
    });
    sleep(Duration::from_millis(50)).await;
    drop(shared.lock()); // WAITS
    holder.join().unwrap();
}

/// Everything that looks like it and is not.
async fn clean() {
    let plain = thread::spawn(|| thread::sleep(LONG));
    let pooled = spawn_blocking(|| thread::sleep(LONG));
    let in_place = tokio::spawn(async { block_in_place(|| thread::sleep(LONG)) });
    // Many short polls in a row keep a worker busy and hold it for a millisecond each.
    let busy = tokio::spawn(async {
        let begun = Instant::now();
        while begun.elapsed() < LONG {
            let poll = Instant::now();
            while poll.elapsed() < Duration::from_millis(1) {
                black_box(poll);
            }
            yield_now().await;
        }
    });
    // The same file work as above, a poll for each piece.
    let file = tokio::spawn(async {
        let mut file = scratch();
        for _ in 0..80 {
            file.write_all(&[1; 4096]).unwrap();
            thread::sleep(Duration::from_millis(3));
            yield_now().await;
        }
    });
    sleep(LONG).await;
    pooled.await.unwrap();
    in_place.await.unwrap();
    busy.await.unwrap();
    file.await.unwrap();
    plain.join().unwrap();
}
