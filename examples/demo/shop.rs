//! The shop put together: what its handlers share, and which path leads to which.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, mpsc},
};

use axum::{
    Router, middleware,
    routing::{get, post},
};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    accounts,
    audit::{self, Audit},
    carrier::Carrier,
    catalog::{self, Catalog},
    database::Database,
    orders,
    quotes::Quotes,
    sessions::Sessions,
    statistics::{self, Statistics},
    stop::Stop,
};

/// What the handlers share.
pub struct Shelf {
    pub audit: Audit,
    pub carrier: Carrier,
    pub catalog: Arc<Catalog>,
    pub database: Arc<Database>,
    pub quotes: Arc<Quotes>,
    pub sessions: Arc<Sessions>,
    pub statistics: Statistics,
}

/// An open shop.
pub struct Shop {
    pub address: SocketAddr,
    pub shelf: Arc<Shelf>,
    server: JoinHandle<std::io::Result<()>>,
    /// Ends the compaction when it is dropped.
    _compaction: mpsc::Sender<()>,
}

impl Shop {
    /// Fills the shelf, starts all background work, and listens on a free port of the
    /// loopback interface.
    pub async fn open(data: &Path, carrier: SocketAddr, stop: &Stop) -> crate::Result<Self> {
        let catalog = tokio::task::spawn_blocking(Catalog::new).await?;
        let compaction = catalog.keep_compact()?;
        let shelf = Arc::new(Shelf {
            audit: audit::start(data, stop)?,
            carrier: Carrier::at(carrier),
            catalog,
            database: Database::create(data.join("shop.sqlite")).await?,
            quotes: Quotes::start(),
            sessions: Sessions::restore(),
            statistics: Statistics::default(),
        });
        statistics::start(&shelf, data.join("statistics"));

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Self {
            address: listener.local_addr()?,
            server: tokio::spawn(serve(listener, routes(&shelf), stop.wait())),
            shelf,
            _compaction: compaction,
        })
    }

    /// Waits until the last open request is answered.
    pub async fn closed(self) -> crate::Result<()> {
        Ok(self.server.await??)
    }
}

async fn serve(
    listener: TcpListener,
    routes: Router,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, routes)
        .with_graceful_shutdown(stopped)
        .await
}

fn routes(shelf: &Arc<Shelf>) -> Router {
    let measure = middleware::from_fn_with_state(Arc::clone(shelf), statistics::measure);
    Router::new()
        .route("/accounts", post(accounts::sign_up))
        .route(
            "/sessions",
            post(accounts::log_in).delete(accounts::log_out),
        )
        .route("/books", get(catalog::search))
        .route("/basket", post(orders::add_to_basket))
        .route("/orders", post(orders::place))
        .route("/reports/customers", get(orders::report))
        .layer(measure)
        .with_state(Arc::clone(shelf))
}
