//! SQLite, the right way: a few connections, used on threads that may block.
//!
//! What is asked stands with who asks it; this file knows the tables, not the queries.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::error::ShopError;

/// As many queries run at once as there are connections.
const CONNECTIONS: usize = 3;

const CUSTOMERS: u32 = 5_000;
const ORDERS: u32 = 600_000;

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE accounts (name TEXT PRIMARY KEY, digest TEXT NOT NULL);
    CREATE TABLE orders (
        id INTEGER PRIMARY KEY,
        customer TEXT NOT NULL,
        book INTEGER NOT NULL,
        cents INTEGER NOT NULL
    );
";

/// The customers' orders of the last years.
const HISTORY: &str = "
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
    INSERT INTO orders (customer, book, cents)
    SELECT 'customer-' || (i * 7919 % ?2), i * 104729 % 20000, 500 + i * 31 % 4500 FROM n
";

/// A pool of connections to one database file.
pub struct Database {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Database {
    /// Creates the file with its tables and some years of orders.
    pub async fn create(path: PathBuf) -> crate::Result<Arc<Self>> {
        let database = Arc::new(Self {
            path,
            idle: Mutex::default(),
            permits: Semaphore::new(CONNECTIONS),
        });
        let new = Arc::clone(&database);
        tokio::task::spawn_blocking(move || new.fill()).await??;
        Ok(database)
    }

    /// Runs `query` on a thread that may block, with a connection of the pool.
    pub async fn call<T, Q>(self: &Arc<Self>, query: Q) -> Result<T, ShopError>
    where
        T: Send + 'static,
        Q: FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let _permit = self.permits.acquire().await.expect("the pool never closes");
        let pool = Arc::clone(self);
        let answer = tokio::task::spawn_blocking(move || {
            let mut connection = pool.take()?;
            let answer = query(&mut connection);
            pool.put_back(connection);
            answer
        });
        Ok(answer.await??)
    }

    /// A connection outside the pool, for whoever knows what they do.
    pub fn open(&self) -> rusqlite::Result<Connection> {
        Connection::open(&self.path)
    }

    fn fill(&self) -> rusqlite::Result<()> {
        let connection = self.open()?;
        connection.execute_batch(SCHEMA)?;
        connection.execute(HISTORY, [ORDERS, CUSTOMERS])?;
        self.put_back(connection);
        Ok(())
    }

    fn take(&self) -> rusqlite::Result<Connection> {
        let idle = self.idle.lock().expect("nobody panics with the pool").pop();
        idle.map_or_else(|| self.open(), Ok)
    }

    fn put_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().expect("nobody panics with the pool");
        idle.push(connection);
    }
}
