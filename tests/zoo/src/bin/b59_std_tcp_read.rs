//! id: b59_std_tcp_read
//! kind: std::net::TcpStream::read in a task
//! source: a common mistake; a health check written with the sockets of std
//! runtime: current_thread
//! expect: report
//! class: syscall recvfrom / read
//! culprit: <std::net::TcpStream as Read>::read_exact, at MARK:culprit
//! async_fn: b59_std_tcp_read::banner, at MARK:async_fn
//! help: tokio::net
//! min_ms: 200
//! finishes: yes
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

// MARK:async_fn
async fn banner(addr: SocketAddr) -> [u8; 4] {
    let mut stream = TcpStream::connect(addr).unwrap();
    let mut banner = [0; 4];
    let p = zoo::probe();
    stream.read_exact(&mut banner).unwrap(); // MARK:culprit
    let (wall, cpu) = p.done("banner");
    zoo::verdict("b59_std_tcp_read", wall >= 200 && cpu < 20);
    banner
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // HOOK
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        std::thread::sleep(Duration::from_millis(300));
        client.write_all(b"220 ").unwrap();
    });
    assert_eq!(&tokio::spawn(banner(addr)).await.unwrap(), b"220 ");
}
