//! A small HTTP client that behaves: connections are reused, nothing waits for ever.

use std::{net::SocketAddr, time::Duration};

use axum::body::Bytes;
use axum::http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

const REQUEST_MAX: Duration = Duration::from_secs(5);

/// Asks one server.
#[derive(Clone)]
pub struct Client {
    server: SocketAddr,
    pool: Pool<HttpConnector, Full<Bytes>>,
}

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    body: Bytes,
}

impl Client {
    pub fn new(server: SocketAddr) -> Self {
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(5))
            .build_http();
        Self { server, pool }
    }

    pub async fn get(&self, path: &str) -> Option<Answer> {
        self.send(Method::GET, path, "", Bytes::new()).await
    }

    /// Sends `body` as JSON; `token` says who asks, empty if nobody in particular.
    /// No connection, a broken one or a late answer: all are no answer.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: impl Into<Bytes>,
    ) -> Option<Answer> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.server))
            .header("content-type", "application/json")
            .header("x-session", token)
            .body(Full::new(body.into()))
            .ok()?;
        timeout(REQUEST_MAX, self.exchange(request)).await.ok()?
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Option<Answer> {
        let response = self.pool.request(request).await.ok()?;
        let status = response.status();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        Some(Answer { status, body })
    }
}

impl Answer {
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }
}
