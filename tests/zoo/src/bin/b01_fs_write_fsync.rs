//! id: b01_fs_write_fsync
//! kind: std::fs in an async HTTP handler (create_dir_all + write + fsync)
//! source: librefang/librefang#5905, kavehtehrani/cloudflare-speed-cli#19, gabrielkoerich/orch#1821
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: syscall write + fsync (time is in the kernel: page-cache copy = system CPU, then waiting for the disk; almost no user CPU)
//! culprit: std::fs::File::sync_all (fsync) and std::fs::File::write_all, at MARK:culprit
//! async_fn: b01_fs_write_fsync::save_template (axum handler), at MARK:async_fn
//! help: tokio::fs
//! min_ms: 20
//! finishes: yes
use axum::{body::Bytes, routing::post, Router};
use std::{fs, io::Write, path::PathBuf};

struct TemplateStore {
    root: PathBuf,
}

impl TemplateStore {
    fn persist(&self, name: &str, content: &[u8]) -> std::io::Result<()> {
        fs::create_dir_all(&self.root)?;
        let mut f = fs::File::create(self.root.join(name))?;
        for _ in 0..24 {
            f.write_all(content)?; // MARK:culprit
        }
        f.sync_all() // MARK:culprit
    }
}

// MARK:async_fn
async fn save_template(body: Bytes) -> &'static str {
    let store = TemplateStore { root: std::env::temp_dir().join(format!("zoo-b01-{}", std::process::id())) };
    let p = zoo::probe();
    store.persist("template.toml", &body).unwrap();
    let (wall, _) = p.done("save_template");
    WALL.fetch_max(wall, std::sync::atomic::Ordering::Relaxed);
    let _ = fs::remove_dir_all(&store.root);
    "saved"
}
static WALL: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let app = Router::new()
        .route("/template", post(save_template))
        .layer(axum::extract::DefaultBodyLimit::disable());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let body = vec![b'x'; 4 << 20];
    for _ in 0..2 {
        zoo::http(addr, "POST", "/template", &body).await.unwrap();
    }
    zoo::verdict("b01_fs_write_fsync", WALL.load(std::sync::atomic::Ordering::Relaxed) >= 20);
}
