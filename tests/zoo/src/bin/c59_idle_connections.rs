//! id: c59_idle_connections
//! kind: look-alike of b24: sixty connections whose peers are silent for long, then speak and hang up
//! source: ordinary practice: keep-alive, websockets
//! runtime: multi_thread, 2 workers
//! expect: clean
//! class: none
//! culprit: none
//! async_fn: c59_idle_connections::serve
//! min_ms: 0
//! finishes: yes
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

async fn serve(mut stream: TcpStream) -> usize {
    let mut buffer = [0; 256];
    let mut heard = 0;
    while let Ok(n) = stream.read(&mut buffer).await {
        if n == 0 {
            break;
        }
        heard += n;
    }
    heard
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (mut sessions, mut peers) = (Vec::new(), Vec::new());
    for _ in 0..60 {
        peers.push(TcpStream::connect(addr).await.unwrap());
        let (stream, _) = listener.accept().await.unwrap();
        sessions.push(tokio::spawn(serve(stream)));
    }
    tokio::time::sleep(Duration::from_millis(1200)).await;
    for peer in &mut peers {
        peer.write_all(b"bye").await.unwrap();
    }
    drop(peers);
    let mut heard = 0;
    for session in sessions {
        heard += session.await.unwrap();
    }
    zoo::verdict("c59_idle_connections", heard == 180);
}
