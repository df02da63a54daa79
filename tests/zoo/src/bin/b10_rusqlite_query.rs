//! id: b10_rusqlite_query
//! kind: synchronous database query (rusqlite, bundled C SQLite) on a worker: hot frames are C, the caller is Rust
//! source: shaharia-lab/agento#366, MaterializeInc/materialize#12460, msupply-foundation/open-msupply#11856
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: cpu
//! culprit: rusqlite query (sqlite3_step -> sqlite3VdbeExec), at MARK:culprit
//! async_fn: b10_rusqlite_query::report_totals, at MARK:async_fn
//! help: spawn_blocking
//! min_ms: 150
//! finishes: yes
use rusqlite::Connection;
use std::sync::{Arc, Mutex};

struct Repo(Arc<Mutex<Connection>>);
impl Repo {
    fn totals(&self) -> rusqlite::Result<i64> {
        let db = self.0.lock().unwrap();
        db.query_row( // MARK:culprit
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 3000000)
             SELECT sum((i * 2654435761) % 1013) FROM n",
            [],
            |r| r.get(0),
        )
    }
}

// MARK:async_fn
async fn report_totals(repo: Arc<Repo>) -> i64 {
    let p = zoo::probe();
    let v = repo.totals().unwrap();
    let (_wall, cpu) = p.done("report_totals");
    zoo::verdict("b10_rusqlite_query", cpu >= 150);
    v
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let repo = Arc::new(Repo(Arc::new(Mutex::new(Connection::open_in_memory().unwrap()))));
    let v = tokio::spawn(report_totals(repo)).await.unwrap();
    zoo::fact("sum", v);
}
