//! A bookshop behind a line protocol: `BOOK COPIES` is answered by a price.

use orders::Orders;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// Serves every connection in a task of its own.
pub async fn serve(listener: TcpListener, orders: Orders) {
    let mut number = 0;
    while let Ok((stream, _)) = listener.accept().await {
        number += 1_000;
        tokio::spawn(session(stream, orders.clone(), number));
    }
}

async fn session(stream: TcpStream, orders: Orders, first: u64) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut number = first;
    while let Ok(Some(line)) = lines.next_line().await {
        let mut words = line.split(' ').map_while(|word| word.parse().ok());
        let (Some(book), Some(copies)) = (words.next(), words.next()) else {
            return;
        };
        number += 1;
        let price = orders.place(number, book, copies).await;
        if write
            .write_all(format!("{price}\n").as_bytes())
            .await
            .is_err()
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::task::{JoinSet, spawn_blocking};

    use super::*;

    async fn ask(stream: &mut BufReader<TcpStream>, book: u32, copies: u32) -> u64 {
        let line = format!("{book} {copies}\n");
        stream.get_mut().write_all(line.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_line(&mut answer).await.unwrap();
        answer.trim().parse().unwrap()
    }

    async fn start() -> (Orders, std::net::SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let orders = Orders::default();
        tokio::spawn(serve(listener, orders.clone()));
        (orders, address)
    }

    #[tokio::test]
    async fn books_have_prices() {
        let (orders, address) = start().await;
        let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
        for book in 1..20 {
            assert_eq!(ask(&mut stream, book, 2).await, u64::from(book) * 200);
        }
        assert_eq!(orders.total().await, 38_000);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_may_order_at_once() {
        let (orders, address) = start().await;
        let mut clients = JoinSet::new();
        for _ in 0..20 {
            clients.spawn(async move {
                let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
                for book in 1..6 {
                    ask(&mut stream, book, 1).await;
                }
            });
        }
        clients.join_all().await;
        assert_eq!(orders.total().await, 30_000);
    }

    #[tokio::test]
    async fn slow_work_goes_elsewhere() {
        let worked = spawn_blocking(|| std::thread::sleep(Duration::from_millis(300)));
        tokio::time::sleep(Duration::from_millis(100)).await;
        worked.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn paused_time_flies() {
        tokio::time::sleep(Duration::from_secs(3_600)).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn short_work_is_fine() {
        let mut busy = JoinSet::new();
        for _ in 0..4 {
            busy.spawn(async {
                for n in 0..2_000_u64 {
                    let sum: u64 = (0..500).fold(n, |sum, n| std::hint::black_box(sum ^ n));
                    assert!(sum < u64::MAX);
                    tokio::task::yield_now().await;
                }
            });
        }
        busy.join_all().await;
    }

    #[test]
    fn threads_may_sleep() {
        std::thread::sleep(Duration::from_millis(300));
    }
}
