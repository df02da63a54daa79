//! id: b58_ureq_get
//! kind: a synchronous HTTP client in a task
//! source: a common mistake; webhooks sent "just quickly" with the client that was at hand
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: syscall recvfrom / read / poll (waiting for the answer)
//! culprit: ureq::Request::call, at MARK:culprit
//! async_fn: b58_ureq_get::notify, at MARK:async_fn
//! help: async HTTP client
//! min_ms: 200
//! finishes: yes
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    time::Duration,
};

fn send(addr: SocketAddr) -> u16 {
    ureq::get(&format!("http://{addr}/hook")).call().unwrap().status() // MARK:culprit
}

// MARK:async_fn
async fn notify(addr: SocketAddr) -> u16 {
    tokio::task::yield_now().await;
    let p = zoo::probe();
    let status = send(addr);
    let (wall, cpu) = p.done("notify");
    zoo::verdict("b58_ureq_get", wall >= 200 && cpu < 100);
    status
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let _ = client.read(&mut request).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    });
    assert_eq!(tokio::spawn(notify(addr)).await.unwrap(), 200);
}
