//! The gRPC server that dashboards connect to: a thread and a small runtime of its own.
//!
//! Each client is served from one shared snapshot, and is told what has changed
//! since the one it got last. A client that does not read makes its own next update
//! larger, and costs the program nothing; nothing is queued for it. This and the
//! dashboard's client are the only places that name wire types.

mod announce;
mod collect;
mod connections;
mod convert;
mod service;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    thread,
    time::Duration,
};

pub(crate) use announce::withdraw;
use asyncwatch_wire::{DESCRIPTOR, v1};
use tonic::transport::Server;
use v1::async_watch_server::AsyncWatchServer;

use crate::report::Reporter;

/// Ports after a taken one that are tried.
const PORTS_TRIED: u16 = 64;
/// A connection that sends nothing for so long is asked for a sign of life.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// Calls that one connection may have open at a time.
const STREAMS_PER_CONNECTION: u32 = 8;

/// Starts the server's thread; what goes wrong is reported as a warning.
pub(crate) fn start(wanted: SocketAddr, reporter: Reporter) {
    let started = thread::Builder::new()
        .name("asyncwatch-srv".to_owned())
        .spawn({
            let reporter = reporter.clone();
            move || {
                #[cfg(feature = "layer")]
                crate::layer::ignore_this_thread();
                if let Err(why) = serve(wanted, &reporter) {
                    reporter.warn(format!("no dashboard can connect: {why}"));
                }
            }
        });
    if let Err(why) = started {
        reporter.warn(format!("no dashboard can connect: no thread: {why}"));
    }
}

fn serve(wanted: SocketAddr, reporter: &Reporter) -> Result<(), Box<dyn std::error::Error>> {
    let listener = bind(wanted)?;
    let addr = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    if let Err(why) = announce::announce(&addr.to_string(), &reporter.process()) {
        reporter.warn(format!(
            "`asyncwatch` finds this program only by its address {addr}: {why}"
        ));
    }
    reporter.address(addr.to_string());
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(run(listener, reporter.clone()))
}

/// The wanted address, or the next free port after it.
fn bind(wanted: SocketAddr) -> io::Result<TcpListener> {
    let mut addr = wanted;
    loop {
        match TcpListener::bind(addr) {
            Err(why)
                if why.kind() == io::ErrorKind::AddrInUse
                    && addr.port() < wanted.port().saturating_add(PORTS_TRIED) =>
            {
                addr.set_port(addr.port() + 1);
            }
            Err(why) => return Err(io::Error::new(why.kind(), format!("{addr}: {why}"))),
            Ok(listener) => return Ok(listener),
        }
    }
}

async fn run(listener: TcpListener, reporter: Reporter) -> Result<(), Box<dyn std::error::Error>> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health
        .set_serving::<AsyncWatchServer<service::Service>>()
        .await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTOR)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let incoming = connections::admitted(tokio::net::TcpListener::from_std(listener)?);
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .max_concurrent_streams(STREAMS_PER_CONNECTION)
        .add_service(health_service)
        .add_service(reflection)
        .add_service(AsyncWatchServer::new(service::Service::new(reporter)))
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_gives_the_next() {
        let taken = bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("any port");
        let wanted = taken.local_addr().expect("bound");
        let next = bind(wanted).expect("a later port");
        assert!(next.local_addr().expect("bound").port() > wanted.port());
    }
}
