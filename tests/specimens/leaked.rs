//! Connections whose writers end and whose readers stay: one task is left behind by
//! each, waiting for a peer that has gone silent.
//!
//! Expected: one `task-leaked` at the line that spawns the readers, at the end of `main`.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split},
    time::sleep,
};

#[asyncwatch::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut peers = Vec::new();
    for _ in 0..25 {
        let (connection, peer) = duplex(256);
        peers.push(peer);
        accept(connection).await;
    }
    sleep(Duration::from_millis(1_000)).await;
}

async fn accept(connection: DuplexStream) {
    let (reader, writer) = split(connection);
    asyncwatch::spawn(read(reader)); // CULPRIT
    let greeted = asyncwatch::spawn(greet(writer));
    greeted.await.expect("the task ends well");
}

async fn read(mut reader: ReadHalf<DuplexStream>) {
    let mut buffer = [0; 64];
    while matches!(reader.read(&mut buffer).await, Ok(1..)) {}
}

async fn greet(mut writer: WriteHalf<DuplexStream>) {
    writer.write_all(b"hello").await.expect("the peer is open");
    sleep(Duration::from_millis(20)).await;
}
