//! mini-redis as it comes from crates.io, on a watched runtime: nothing else is changed.
//!
//! - `mini_redis clean`: the server under load from its own client. Expected: nothing.
//! - `mini_redis slow`: behind a front that holds its thread on one command. Expected:
//!   one `slow-poll` at the culprit line, and nothing in mini-redis.
//! - `mini_redis serve PORT`: the server alone, until Ctrl-C, for `redis-benchmark`.

use std::{
    env,
    net::{Ipv4Addr, SocketAddr},
    thread,
    time::Duration,
};

use asyncwatch::RuntimeBuilderExt;
use mini_redis::{Connection, Frame, client, server};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Builder,
    task::JoinSet,
};

const CLIENTS: u32 = 20;
const ROUNDS: u32 = 200;

fn main() -> mini_redis::Result<()> {
    let mut args = env::args().skip(1);
    let mode = args.next().unwrap_or_default();
    let port = args.next().map_or(Ok(0), |port| port.parse())?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .watched()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let redis = listener.local_addr()?;
        let server = tokio::spawn(server::run(listener, tokio::signal::ctrl_c()));
        match mode.as_str() {
            "clean" => load(redis).await,
            "slow" => load_with_slow_command(redis).await,
            "serve" => {
                println!("listening on {redis}");
                server.await?
            }
            _ => Err("say what to do: clean, slow, or serve PORT".into()),
        }
    })
}

/// Twenty clients who set, get and expire.
async fn load(redis: SocketAddr) -> mini_redis::Result<()> {
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(client(redis, number));
    }
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    Ok(())
}

async fn client(redis: SocketAddr, number: u32) -> mini_redis::Result<()> {
    let mut client = client::connect(redis).await?;
    let key = format!("key-{number}");
    for round in 0..ROUNDS {
        let value = round.to_string();
        client.set(&key, value.clone().into()).await?;
        let soon = Duration::from_millis(20);
        client
            .set_expires("shared", value.clone().into(), soon)
            .await?;
        let found = client.get(&key).await?;
        if found.is_none_or(|found| found != value) {
            return Err("the server forgot a value".into());
        }
    }
    Ok(())
}

async fn load_with_slow_command(redis: SocketAddr) -> mini_redis::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let front = listener.local_addr()?;
    tokio::spawn(accept(listener, redis));
    load(front).await?;

    let mut connection = Connection::new(TcpStream::connect(front).await?);
    let command = Frame::Array(vec![Frame::Bulk("SLOWCMD".into())]);
    connection.write_frame(&command).await?;
    match connection.read_frame().await? {
        Some(Frame::Simple(answer)) if answer == "OK" => Ok(()),
        other => Err(format!("an unexpected answer: {other:?}").into()),
    }
}

/// The front: one task for each client.
async fn accept(listener: TcpListener, redis: SocketAddr) -> mini_redis::Result<()> {
    loop {
        let (client, _) = listener.accept().await?;
        tokio::spawn(forward(client, redis)); // SPAWN
    }
}

/// Passes commands on to the server, one at a time.
async fn forward(client: TcpStream, redis: SocketAddr) -> mini_redis::Result<()> {
    let mut client = Connection::new(client);
    let mut server = Connection::new(TcpStream::connect(redis).await?);
    while let Some(command) = client.read_frame().await? {
        let answer = if is_slow(&command) {
            thread::sleep(Duration::from_millis(300)); // CULPRIT
            Frame::Simple("OK".into())
        } else {
            server.write_frame(&command).await?;
            server.read_frame().await?.ok_or("the server went away")?
        };
        client.write_frame(&answer).await?;
    }
    Ok(())
}

fn is_slow(command: &Frame) -> bool {
    match command {
        Frame::Array(words) => {
            matches!(words.first(), Some(Frame::Bulk(name)) if name == "SLOWCMD")
        }
        _ => false,
    }
}
