//! The load `http`: a small axum service, and clients that keep their connections.
//!
//! Only the service runs on the variant's runtime. The clients have a thread and a bare
//! runtime of their own.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use axum::{Json, Router, extract::Path, routing::get};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    task::JoinSet,
};

use crate::load;

const CONNECTIONS: u32 = 8;
const REQUESTS: u32 = 50;
const REQUEST: &[u8] = b"GET /books/7 HTTP/1.1\r\nhost: bench\r\n\r\n";

/// Nanoseconds a request takes of a service on `runtime`.
pub fn measure(runtime: &Runtime, duration: Duration) -> io::Result<f64> {
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let server = listener.local_addr()?;
    let service = Router::new().route("/books/{id}", get(book));
    runtime.spawn(async move { axum::serve(listener, service).await });

    let clients = Builder::new_current_thread().enable_all().build()?;
    let mut connections = clients.block_on(connect(server))?;
    Ok(load::time(duration, || {
        let asked = clients.block_on(ask(std::mem::take(&mut connections)));
        connections = asked.expect("the service answers");
        CONNECTIONS * REQUESTS
    }))
}

async fn book(Path(id): Path<u32>) -> Json<Value> {
    Json(json!({ "id": id, "title": "The Patient Machine" }))
}

async fn connect(server: SocketAddr) -> io::Result<Vec<TcpStream>> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let connection = TcpStream::connect(server).await?;
        connection.set_nodelay(true)?;
        connections.push(connection);
    }
    Ok(connections)
}

/// Sends each connection's requests, one at a time, and returns the connections.
async fn ask(connections: Vec<TcpStream>) -> io::Result<Vec<TcpStream>> {
    let mut set: JoinSet<io::Result<TcpStream>> = JoinSet::new();
    for mut connection in connections {
        set.spawn(async move {
            for _ in 0..REQUESTS {
                connection.write_all(REQUEST).await?;
                answer(&mut connection).await?;
            }
            Ok(connection)
        });
    }
    set.join_all().await.into_iter().collect()
}

/// Reads one answer. Its body is the only thing in it that ends with a brace.
async fn answer(connection: &mut TcpStream) -> io::Result<()> {
    let mut buffer = [0; 1_024];
    loop {
        match connection.read(&mut buffer).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read if buffer[read - 1] == b'}' => return Ok(()),
            _ => {}
        }
    }
}
