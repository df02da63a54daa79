//! A small bookshop, watched by asyncwatch: the program to try the dashboard on.
//!
//! One process holds the shop (axum, SQLite through rusqlite, bcrypt accounts), the
//! carrier whose prices it asks for over HTTP, and customers who keep both busy.
//! Most of it is as it should be. Six places are not: each is marked `mistake:` and
//! says what is wrong, so that you can compare the source with what asyncwatch finds.
//!
//! ```text
//! cargo run --release --features enabled --example demo
//! asyncwatch
//! ```
//!
//! It ends on Ctrl-C or SIGTERM. What each part is for stands at the top of its file.

#![expect(unreachable_pub, reason = "a program's modules are its own public")]

mod accounts;
mod audit;
mod carrier;
mod carrier_stub;
mod catalog;
mod database;
mod error;
mod http;
mod orders;
mod quotes;
mod sessions;
mod shop;
mod statistics;
mod stop;
mod traffic;

use std::{path::PathBuf, time::Duration};

use tokio::{
    fs,
    time::{sleep, timeout},
};

use crate::{shop::Shop, stop::Stop};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How long open requests may take to end after a signal.
const GRACE: Duration = Duration::from_secs(2);

#[asyncwatch::main(flavor = "multi_thread", worker_threads = 4)]
async fn main() -> Result<()> {
    let data = DataDirectory::create()?;
    let stop = Stop::new();

    let carrier = carrier_stub::start(&stop).await?;
    let shop = Shop::open(&data.0, carrier, &stop).await?;
    let customers = traffic::start(&shop, &stop);
    println!(
        "demo: the shop listens on http://{}; Ctrl-C ends it",
        shop.address
    );

    stop::signal().await?;
    stop.now();
    let closing = async {
        customers.join_all().await;
        shop.closed().await
    };
    let closed = timeout(GRACE, closing).await.unwrap_or_else(|_| {
        println!("demo: some requests took too long and were dropped");
        Ok(())
    });
    data.remove().await;
    closed
}

/// Where this run keeps its files; removed at the end.
struct DataDirectory(PathBuf);

impl DataDirectory {
    /// Beside the executable, because the usual directory for temporary files may
    /// be memory, where a disk's slowness cannot be shown.
    fn create() -> std::io::Result<Self> {
        let name = format!("asyncwatch-demo-{}", std::process::id());
        let beside = std::env::current_exe()?.with_file_name(&name);
        let path = match std::fs::create_dir(&beside) {
            Ok(()) => beside,
            Err(_) => {
                let temporary = std::env::temp_dir().join(&name);
                std::fs::create_dir(&temporary)?;
                temporary
            }
        };
        Ok(Self(path))
    }

    /// Somebody may be writing a last file meanwhile, so once may not be enough.
    async fn remove(self) {
        for _ in 0..10 {
            if fs::remove_dir_all(&self.0).await.is_ok() {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
        println!("demo: {} could not be removed", self.0.display());
    }
}
