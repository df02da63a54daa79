//! The work whose price is measured, and how it is timed.
//!
//! The program of the peers has this same file: what it runs must be the same.

use std::{
    future::poll_fn,
    task::Poll,
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc,
    task::JoinHandle,
};

const YIELDS: u32 = 20_000;
const SPAWNS: u32 = 1_000;
const ROUND_TRIPS: u32 = 5_000;
/// A median of fewer batches is an accident.
const BATCHES_MIN: usize = 3;

/// A kind of work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Load {
    YieldOne,
    YieldTwo,
    Spawn,
    PingPong,
    Http,
}

/// How a variant spawns its tasks.
pub trait Spawn: Copy {
    fn spawn<F>(self, future: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static;
}

impl Load {
    pub const ALL: [Self; 5] = [
        Self::YieldOne,
        Self::YieldTwo,
        Self::Spawn,
        Self::PingPong,
        Self::Http,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::YieldOne => "yield-1",
            Self::YieldTwo => "yield-2",
            Self::Spawn => "spawn",
            Self::PingPong => "ping-pong",
            Self::Http => "http",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|load| load.name() == name)
    }

    /// The runtime it runs on, not yet built: a variant may have something to add.
    pub fn runtime(self) -> Builder {
        let mut builder = match self {
            Self::YieldOne | Self::Spawn | Self::PingPong => Builder::new_current_thread(),
            Self::YieldTwo | Self::Http => {
                let mut builder = Builder::new_multi_thread();
                builder.worker_threads(2);
                builder
            }
        };
        builder.enable_all();
        builder
    }
}

/// Runs `load` once on `runtime` and returns how many operations that were. An HTTP
/// service is no such batch: see the file that has it.
pub fn batch(load: Load, runtime: &Runtime, spawn: impl Spawn) -> u32 {
    match load {
        Load::YieldOne => runtime.block_on(yields(1, spawn)),
        Load::YieldTwo => runtime.block_on(yields(2, spawn)),
        Load::Spawn => runtime.block_on(spawns(spawn)),
        Load::PingPong => runtime.block_on(ping_pong(spawn)),
        Load::Http => unreachable!("served elsewhere"),
    }
}

async fn yields(tasks: u32, spawn: impl Spawn) -> u32 {
    let run = || async {
        for _ in 0..YIELDS {
            back_to_the_queue().await;
        }
    };
    join((0..tasks).map(|_| spawn.spawn(run())).collect()).await;
    tasks * YIELDS
}

/// Yields, but unlike tokio's `yield_now` does not send an idle worker to look for I/O,
/// which takes ten times as long as the poll that is to be measured.
async fn back_to_the_queue() {
    let mut queued = false;
    poll_fn(|context| {
        if queued {
            return Poll::Ready(());
        }
        queued = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn spawns(spawn: impl Spawn) -> u32 {
    join((0..SPAWNS).map(|_| spawn.spawn(async {})).collect()).await;
    SPAWNS
}

async fn ping_pong(spawn: impl Spawn) -> u32 {
    let (to_other, mut from_one) = mpsc::channel(1);
    let (to_one, mut from_other) = mpsc::channel(1);
    let one = spawn.spawn(async move {
        for trip in 0..ROUND_TRIPS {
            to_other.send(trip).await.expect("the other one listens");
            from_other.recv().await.expect("the other one answers");
        }
    });
    let other = spawn.spawn(async move {
        while let Some(trip) = from_one.recv().await {
            to_one.send(trip).await.expect("the one listens");
        }
    });
    join(vec![one, other]).await;
    ROUND_TRIPS
}

async fn join(tasks: Vec<JoinHandle<()>>) {
    for task in tasks {
        task.await.expect("no task panics");
    }
}

/// Nanoseconds an operation takes: the median of batches run for `duration`, after a
/// while of running that does not count.
pub fn time(duration: Duration, mut batch: impl FnMut() -> u32) -> f64 {
    let started = Instant::now();
    while started.elapsed() < duration / 2 {
        batch();
    }
    let started = Instant::now();
    let mut batches = Vec::new();
    while started.elapsed() < duration || batches.len() < BATCHES_MIN {
        let began = Instant::now();
        let operations = batch();
        batches.push(began.elapsed().as_secs_f64() * 1e9 / f64::from(operations));
    }
    batches.sort_by(f64::total_cmp);
    batches[batches.len() / 2]
}
