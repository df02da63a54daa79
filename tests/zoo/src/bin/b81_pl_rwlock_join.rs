//! id: b81_pl_rwlock_join
//! kind: parking_lot RwLock: a read in one arm of join! waits for a writer thread
//! source: a common mistake; metrics registries that are rebuilt under their lock
//! runtime: current_thread
//! expect: report
//! class: lock (futex wait; no CPU)
//! culprit: parking_lot::RwLock::read, at MARK:culprit
//! async_fn: b81_pl_rwlock_join::lookup, at MARK:async_fn
//! help: lock
//! min_ms: 100
//! finishes: yes
use parking_lot::RwLock;
use std::{sync::Arc, thread, time::Duration};

// MARK:async_fn
async fn lookup(table: &RwLock<Vec<u64>>, i: usize) -> u64 {
    tokio::time::sleep(Duration::from_millis(20)).await;
    let p = zoo::probe();
    let found = table.read()[i]; // MARK:culprit
    let (wall, cpu) = p.done("lookup");
    zoo::verdict("b81_pl_rwlock_join", wall >= 100 && cpu < 50);
    found
}
async fn heartbeat() {
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // HOOK
    let table = Arc::new(RwLock::new(vec![7u64; 100]));
    let writer = table.clone();
    let rebuild = thread::spawn(move || {
        let mut t = writer.write();
        thread::sleep(Duration::from_millis(250));
        t[0] = 8;
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    let (found, ()) = tokio::join!(lookup(&table, 0), heartbeat());
    assert_eq!(found, 8);
    rebuild.join().unwrap();
}
