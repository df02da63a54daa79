//! Tasks that queue for async locks, by the case that the first argument names.
//!
//! Expected: `async-contention` at the line marked with the name of the case; nothing
//! in the cases that have none.

use std::{sync::Arc, thread, time::Duration};

use tokio::{
    sync::{Mutex, Notify, RwLock, Semaphore, mpsc},
    task::JoinSet,
    time::sleep,
};
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

const LONG: Duration = Duration::from_millis(900);
const SHORT: Duration = Duration::from_millis(100);

fn main() {
    tracing_subscriber::registry()
        .with(asyncwatch::layer())
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let case = std::env::args().nth(1).expect("a case");
    runtime.block_on(async {
        match &*case {
            "queue" => queue().await,
            "convoy" => convoy().await,
            "rwlock" => rwlock().await,
            "stuck" => stuck().await,
            "short" => short().await,
            "computing" => computing().await,
            "workers" => workers().await,
            "limiter" => limiter().await,
            "channels" => channels().await,
            other => panic!("no such case: {other}"),
        }
    });
    layer::finish();
}

async fn all(tasks: JoinSet<()>) {
    tasks.join_all().await;
}

async fn queue() {
    let cache = Arc::new(Mutex::new(0));
    let mut tasks = JoinSet::new();
    tasks.spawn(refresh(cache.clone()));
    sleep(SHORT).await;
    for _ in 0..5 {
        tasks.spawn(look_up(cache.clone()));
    }
    all(tasks).await;
}

async fn refresh(cache: Arc<Mutex<u32>>) {
    let mut value = cache.lock().await;
    sleep(LONG).await; // AWAITS queue
    *value += 1;
}

async fn look_up(cache: Arc<Mutex<u32>>) {
    let value = cache.lock().await; // queue
    drop(value);
}

async fn convoy() {
    let connection = Arc::new(Mutex::new(()));
    let mut tasks = JoinSet::new();
    for _ in 0..12 {
        let connection = connection.clone();
        tasks.spawn(async move {
            let _connection = connection.lock().await; // convoy
            sleep(SHORT).await; // AWAITS convoy
        });
    }
    all(tasks).await;
}

async fn rwlock() {
    let settings = Arc::new(RwLock::new(0));
    let mut tasks = JoinSet::new();
    let read = settings.clone();
    tasks.spawn(async move {
        let _settings = read.read().await;
        sleep(LONG).await; // AWAITS rwlock
    });
    sleep(SHORT).await;
    tasks.spawn(async move {
        *settings.write().await += 1; // rwlock
    });
    all(tasks).await;
}

/// Two tasks, each of which waits for what the other has.
async fn stuck() {
    let (left, right) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(())));
    for (first, second) in [(left.clone(), right.clone()), (right, left)] {
        tokio::spawn(async move {
            let _first = first.lock().await;
            sleep(SHORT).await;
            let _second = second.lock().await; // stuck
        });
    }
    sleep(3 * LONG).await;
}

async fn short() {
    let lock = Arc::new(Mutex::new(()));
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let lock = lock.clone();
        tasks.spawn(async move {
            for _ in 0..5 {
                let _guard = lock.lock().await;
                sleep(Duration::from_millis(10)).await;
            }
        });
    }
    all(tasks).await;
}

/// The holder does not await: a slow poll, and a long one, but no contention.
async fn computing() {
    let lock = Arc::new(Mutex::new(()));
    let mut tasks = JoinSet::new();
    let held = lock.clone();
    tasks.spawn(async move {
        let _guard = held.lock().await;
        thread::sleep(LONG);
    });
    sleep(SHORT).await;
    tasks.spawn(async move {
        let _guard = lock.lock().await;
    });
    all(tasks).await;
}

/// Workers that share the receiver of a channel: who queues for it is idle.
async fn workers() {
    let (send, receive) = mpsc::channel(8);
    let receive = Arc::new(Mutex::new(receive));
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let receive = receive.clone();
        tasks.spawn(async move {
            loop {
                let message = receive.lock().await.recv().await;
                if message.is_none() {
                    break;
                }
            }
        });
    }
    for n in 0..3 {
        sleep(LONG).await;
        send.send(n).await.expect("workers live");
    }
    drop(send);
    all(tasks).await;
}

/// At most two at a time is what the semaphore is for.
async fn limiter() {
    let limiter = Arc::new(Semaphore::new(2));
    let mut tasks = JoinSet::new();
    for _ in 0..6 {
        let limiter = limiter.clone();
        tasks.spawn(async move {
            let _permit = limiter.acquire().await.expect("open");
            sleep(LONG).await;
        });
    }
    all(tasks).await;
}

/// A full channel and an event that is late are waited for, and are no locks.
async fn channels() {
    let (send, mut receive) = mpsc::channel(1);
    let event = Arc::new(Notify::new());
    let mut tasks = JoinSet::new();
    let waits = event.clone();
    tasks.spawn(async move { waits.notified().await });
    for _ in 0..3 {
        let send = send.clone();
        tasks.spawn(async move { send.send(()).await.expect("open") });
    }
    sleep(LONG).await;
    event.notify_one();
    for _ in 0..3 {
        receive.recv().await.expect("sent");
    }
    all(tasks).await;
}
