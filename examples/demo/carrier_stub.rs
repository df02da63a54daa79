//! Stands in for the carrier's own service: a little slow, and sometimes too busy.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use tokio::net::TcpListener;

use crate::{carrier::Price, stop::Stop};

/// Every so many requests it is too busy to answer.
const BUSY_EVERY: u64 = 6;
const THINKING: Duration = Duration::from_millis(8);

/// Starts it on a free port of the loopback interface.
pub async fn start(stop: &Stop) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let service = Router::new()
        .route("/prices/{grams}", get(price))
        .with_state(Arc::new(AtomicU64::new(0)));
    let stopped = stop.wait();
    tokio::spawn(async move {
        axum::serve(listener, service)
            .with_graceful_shutdown(stopped)
            .await
    });
    Ok(address)
}

async fn price(
    State(served): State<Arc<AtomicU64>>,
    Path(grams): Path<u64>,
) -> Result<Json<Price>, StatusCode> {
    tokio::time::sleep(THINKING).await;
    if served.fetch_add(1, Ordering::Relaxed) % BUSY_EVERY == BUSY_EVERY - 1 {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    let cents = 290 + grams / 10;
    Ok(Json(Price { cents }))
}
