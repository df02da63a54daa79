//! The ways to run a load.

use std::{net::SocketAddr, time::Duration};

use asyncwatch::{RuntimeBuilderExt, Timing};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};
use tokio_metrics::TaskMonitor;

use crate::{
    client::Client,
    http,
    load::{self, Load, Spawn},
    peers::Peers,
};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    Bare,
    Off,
    Light,
    Exact,
    ExactSpawn,
    ExactClient,
    TokioMetrics,
    Layer,
    TracedTokio,
    ConsoleSubscriber,
    TokioBlocked,
}

impl Variant {
    pub const ALL: [Self; 11] = [
        Self::Bare,
        Self::Off,
        Self::Light,
        Self::Exact,
        Self::ExactSpawn,
        Self::ExactClient,
        Self::TokioMetrics,
        Self::Layer,
        Self::TracedTokio,
        Self::ConsoleSubscriber,
        Self::TokioBlocked,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Off => "off",
            Self::Light => "light",
            Self::Exact => "exact",
            Self::ExactSpawn => "exact-spawn",
            Self::ExactClient => "exact-client",
            Self::TokioMetrics => "tokio-metrics",
            Self::Layer => "layer",
            Self::TracedTokio => "traced-tokio",
            Self::ConsoleSubscriber => "console-subscriber",
            Self::TokioBlocked => "tokio-blocked",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|variant| variant.name() == name)
    }

    /// Whether it is measured by the program of the peers.
    pub const fn is_peer(self) -> bool {
        matches!(
            self,
            Self::Layer | Self::TracedTokio | Self::ConsoleSubscriber | Self::TokioBlocked
        )
    }

    /// Whether this build can measure it under `load`.
    pub fn can_run(self, load: Load, peers: &Peers) -> bool {
        match self {
            Self::Bare | Self::Off => true,
            Self::Light | Self::Exact | Self::ExactClient => cfg!(tokio_unstable),
            // axum spawns the tasks of the service by itself: there is nothing to wrap.
            Self::ExactSpawn | Self::TokioMetrics => load != Load::Http,
            peer => load != Load::Http && peers.can_run(peer),
        }
    }

    /// Measures `load` in this process: nanoseconds per operation.
    pub fn measure(self, load: Load, duration: Duration) -> Result<f64, String> {
        let _client = self.install()?;
        let runtime = self
            .build(load.runtime())
            .map_err(|wrong| wrong.to_string())?;
        if load == Load::Http {
            return http::measure(&runtime, duration).map_err(|wrong| wrong.to_string());
        }
        let batch = || match self {
            Self::ExactSpawn => load::batch(load, &runtime, Watched),
            Self::TokioMetrics => load::batch(load, &runtime, Monitored(&TaskMonitor::new())),
            _ => load::batch(load, &runtime, Bare),
        };
        Ok(load::time(duration, batch))
    }

    /// Sets up what the variant needs in the whole process.
    fn install(self) -> Result<Option<Client>, String> {
        let watch = asyncwatch::builder();
        match self {
            Self::Light => {
                watch.timing(Timing::Light).no_server().install();
            }
            Self::Exact | Self::ExactSpawn => {
                watch.timing(Timing::Exact).no_server().install();
            }
            Self::ExactClient => {
                let server = free_address().map_err(|wrong| wrong.to_string())?;
                watch.timing(Timing::Exact).addr(server).install();
                return Client::connect(server).map(Some);
            }
            _ => {}
        }
        Ok(None)
    }

    fn build(self, mut builder: Builder) -> std::io::Result<Runtime> {
        match self {
            Self::Off | Self::Light | Self::Exact | Self::ExactClient => builder.watched().build(),
            _ => builder.build(),
        }
    }
}

#[derive(Clone, Copy)]
struct Bare;

impl Spawn for Bare {
    fn spawn<F>(self, future: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        tokio::spawn(future)
    }
}

#[derive(Clone, Copy)]
struct Watched;

impl Spawn for Watched {
    fn spawn<F>(self, future: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        asyncwatch::spawn(future)
    }
}

#[derive(Clone, Copy)]
struct Monitored<'a>(&'a TaskMonitor);

impl Spawn for Monitored<'_> {
    fn spawn<F>(self, future: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        tokio::spawn(self.0.instrument(future))
    }
}

/// An address that nobody listens at just now.
fn free_address() -> std::io::Result<SocketAddr> {
    std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()
}
