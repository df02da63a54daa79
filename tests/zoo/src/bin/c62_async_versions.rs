//! id: c62_async_versions
//! kind: files, a child process, a lookup and a channel from a thread, each the async way
//! source: fix side of b01, b15, b55, b59
//! runtime: multi_thread, 2 workers
//! expect: clean
//! class: none
//! culprit: none
//! async_fn: c62_async_versions::run_all
//! min_ms: 0
//! finishes: yes
use std::time::Duration;
use tokio::io::AsyncWriteExt;

async fn run_all() -> std::io::Result<usize> {
    let path = std::env::temp_dir().join(format!("zoo-c62-{}", std::process::id()));
    let mut file = tokio::fs::File::create(&path).await?;
    for _ in 0..8 {
        file.write_all(&[7; 64 * 1024]).await?;
    }
    file.sync_all().await?;
    let read = tokio::fs::read(&path).await?.len();
    tokio::fs::remove_file(&path).await?;
    let out = tokio::process::Command::new("sh").args(["-c", "sleep 0.2; echo hi"]).output().await?;
    let (tx, rx) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        tx.send(1).unwrap();
    });
    let local = tokio::net::lookup_host("localhost:80").await.map_or(0, |addrs| addrs.count().min(1));
    Ok(read + out.stdout.len() + rx.await.unwrap() + local - local)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let n = tokio::spawn(run_all()).await.unwrap().unwrap();
    zoo::verdict("c62_async_versions", n == 8 * 64 * 1024 + 3 + 1);
}
