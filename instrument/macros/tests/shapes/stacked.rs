//! Together with other attribute macros, above and below.

use async_trait::async_trait;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use tracing::instrument;

use crate::{quietly, reported};

#[asyncwatch::watch]
#[instrument]
async fn watch_above_instrument(n: u8) -> Result<u8, std::num::ParseIntError> {
    let one: u8 = "1".parse()?;
    Ok(n + one)
}

#[instrument(skip(text), ret)]
#[asyncwatch::watch]
async fn watch_below_instrument(text: &str, mut n: usize) -> usize {
    n += text.len();
    n
}

#[cfg_attr(all(), instrument)]
#[asyncwatch::watch]
#[cfg_attr(all(), instrument)]
async fn conditional_macros(n: u8) -> u8 {
    n
}

struct Service(u8);

#[asyncwatch::watch]
impl Service {
    #[instrument(skip_all, fields(n = self.0))]
    async fn instrumented(&self, other: &str) -> usize {
        usize::from(self.0) + other.len()
    }

    #[instrument(skip_all)]
    #[asyncwatch::watch]
    async fn both(&mut self) -> u8 {
        self.0 += 1;
        self.0
    }
}

#[async_trait]
trait Boxed: Send + Sync {
    async fn get(&self, text: &str) -> Result<usize, std::num::ParseIntError>;

    async fn with_default(&self) -> u8;
}

#[asyncwatch::watch]
#[async_trait]
trait BoxedDefault {
    async fn required(&self) -> u8;

    async fn provided(&self) -> u8
    where
        Self: Sync,
    {
        self.required().await + 1
    }
}

#[asyncwatch::watch]
#[async_trait]
impl Boxed for Service {
    async fn get(&self, text: &str) -> Result<usize, std::num::ParseIntError> {
        let n: usize = text.parse()?;
        Ok(n + usize::from(self.0))
    }

    #[instrument(skip_all)]
    async fn with_default(&self) -> u8 {
        self.0
    }
}

#[async_trait]
#[asyncwatch::watch]
impl BoxedDefault for Service {
    async fn required(&self) -> u8 {
        self.0
    }
}

struct Other;

#[async_trait]
impl BoxedDefault for Other {
    #[asyncwatch::watch]
    async fn required(&self) -> u8 {
        9
    }
}

#[asyncwatch::watch]
async fn handler(Path(n): Path<u8>) -> Result<impl IntoResponse, StatusCode> {
    if n == 0 {
        return Err(StatusCode::NOT_FOUND);
    }
    Ok(n.to_string())
}

#[asyncwatch::watch]
#[axum::debug_handler]
async fn debugged_handler(Path(n): Path<u8>, body: String) -> String {
    format!("{n}{body}")
}

#[asyncwatch::watch]
mod tests_in_a_watched_module {
    #[tokio::test]
    async fn a_test_of_tokio() {
        tokio::task::yield_now().await;
    }

    #[asyncwatch::test]
    async fn a_test_of_ours() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn stacked_functions_do_what_they_did() {
    assert_eq!(quietly(watch_above_instrument(1)), Ok(2));
    assert_eq!(quietly(watch_below_instrument("ab", 1)), 3);
    assert_eq!(quietly(conditional_macros(4)), 4);
    let mut service = Service(1);
    assert_eq!(quietly(service.instrumented("abc")), 4);
    assert_eq!(quietly(service.both()), 2);
    assert_eq!(quietly(service.get("5")), Ok(7));
    assert_eq!(quietly(service.with_default()), 2);
    assert_eq!(quietly(service.provided()), 3);
    let dynamic: &(dyn BoxedDefault + Sync) = &Other;
    assert_eq!(quietly(dynamic.required()), 9);
}

#[test]
fn stacked_functions_are_watched() {
    reported("::watch_above_instrument", || watch_above_instrument(1));
    reported("::watch_below_instrument", || watch_below_instrument("", 1));
    reported("::conditional_macros", || conditional_macros(4));
    let mut service = Service(1);
    reported("::stacked::Service::instrumented", || {
        service.instrumented("")
    });
    reported("::Service::both", || service.both());
    reported("::stacked::Service::get", || service.get(""));
    reported("::Service::with_default", || service.with_default());
    reported("::BoxedDefault::provided", || service.provided());
    reported("::Service::required", || service.required());
    reported("::required", || Other.required());
}

#[test]
fn handlers_are_handlers() {
    let _router: axum::Router = axum::Router::new()
        .route("/plain/{n}", axum::routing::get(handler))
        .route("/debugged/{n}", axum::routing::post(debugged_handler));
    assert!(quietly(handler(Path(1))).is_ok());
    reported("::handler", || handler(Path(1)));
    reported("::debugged_handler", || {
        debugged_handler(Path(1), String::new())
    });
}
