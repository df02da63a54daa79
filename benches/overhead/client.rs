//! A stand-in for the dashboard: it receives all that a program has to tell.
//!
//! It runs in a process of its own, as the dashboard does.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Stdio},
    time::Duration,
};

use asyncwatch_wire::v1::{WatchRequest, async_watch_client::AsyncWatchClient};
use tokio::{runtime::Builder, time::sleep};

use crate::child::this_program;

/// As often as the server allows.
const INTERVAL: Duration = Duration::from_millis(100);
const ATTEMPTS: u32 = 50;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(20);

/// A connected client.
pub struct Client(Child);

impl Client {
    /// Starts the process and waits until it has received something.
    pub fn connect(server: SocketAddr) -> Result<Self, String> {
        let mut child = this_program()?
            .args(["receive", &server.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|wrong| format!("cannot start the client: {wrong}"))?;
        let output = child.stdout.take().expect("it is piped");
        let client = Self(child);
        let mut line = String::new();
        match BufReader::new(output).read_line(&mut line) {
            Ok(read) if read > 0 => Ok(client),
            _ => Err("the client could not connect".to_owned()),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing left to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What that process does: receives until it is killed, or the server is gone.
pub fn receive(server: &str) -> Result<String, String> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|wrong| wrong.to_string())?;
    runtime.block_on(receive_all(format!("http://{server}")))
}

async fn receive_all(server: String) -> Result<String, String> {
    let mut client = connect(server).await?;
    let request = WatchRequest {
        interval_ns: INTERVAL.as_nanos() as u64,
    };
    let updates = client.watch(request).await;
    let mut updates = updates.map_err(|wrong| wrong.to_string())?.into_inner();
    let mut received = 0_u64;
    while let Ok(Some(_)) = updates.message().await {
        received += 1;
        if received == 1 {
            println!("connected");
        }
    }
    Ok(format!("{received} updates"))
}

/// The server starts while we do.
async fn connect(server: String) -> Result<AsyncWatchClient<tonic::transport::Channel>, String> {
    for _ in 0..ATTEMPTS {
        if let Ok(client) = AsyncWatchClient::connect(server.clone()).await {
            return Ok(client);
        }
        sleep(BETWEEN_ATTEMPTS).await;
    }
    Err(format!("nobody listens at {server}"))
}
