//! How the service does: counted per request, kept in a file, printed now and then.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use tokio::time::{MissedTickBehavior, interval};

use crate::shop::Shelf;

const FLUSH_PERIOD: Duration = Duration::from_millis(500);
const PRINT_PERIOD: Duration = Duration::from_secs(10);

/// Counters; all but the total since the last line was printed.
#[derive(Default)]
pub struct Statistics {
    total: AtomicU64,
    requests: AtomicU64,
    failed: AtomicU64,
    slowest_us: AtomicU64,
}

/// Measures each request on its way through the router.
pub async fn measure(State(shelf): State<Arc<Shelf>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let response = next.run(request).await;
    shelf.statistics.count(&response, started.elapsed());
    response
}

/// Keeps `file` up to date and prints a line now and then.
pub fn start(shelf: &Arc<Shelf>, file: PathBuf) {
    asyncwatch::spawn(flush(Arc::clone(shelf), file));
    asyncwatch::spawn(print(Arc::clone(shelf)));
}

async fn flush(shelf: Arc<Shelf>, file: PathBuf) -> std::io::Result<()> {
    let mut ticks = interval(FLUSH_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let total = shelf.statistics.total.load(Ordering::Relaxed);
        tokio::fs::write(&file, format!("requests {total}\n")).await?;
    }
}

async fn print(shelf: Arc<Shelf>) {
    let mut ticks = interval(PRINT_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        shelf.statistics.print(shelf.sessions.tokens().len());
    }
}

impl Statistics {
    fn count(&self, response: &Response, took: Duration) {
        self.total.fetch_add(1, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        if response.status().is_server_error() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        let took_us = took.as_micros() as u64;
        self.slowest_us.fetch_max(took_us, Ordering::Relaxed);
    }

    fn print(&self, sessions: usize) {
        let requests = self.requests.swap(0, Ordering::Relaxed);
        let failed = self.failed.swap(0, Ordering::Relaxed);
        let slowest_ms = self.slowest_us.swap(0, Ordering::Relaxed) / 1_000;
        let period = PRINT_PERIOD.as_secs();
        println!(
            "demo: {requests} requests in {period} s, {failed} failed, \
             the slowest took {slowest_ms} ms; {sessions} sessions"
        );
    }
}
