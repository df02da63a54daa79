//! id: b08_std_mutex_contended
//! kind: std::sync::Mutex contended by a long critical section on a non-async thread
//! source: tikv/tikv#9398, openai/codex#3850, clnv/etcd-rs#21
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: lock (futex wait; no CPU on the worker)
//! culprit: std::sync::Mutex::lock (sys::sync::mutex::futex::Mutex::lock_contended), at MARK:culprit; a perfect report also
//!   names the holder: b08_std_mutex_contended::compact at MARK:holder
//! async_fn: b08_std_mutex_contended::lookup, at MARK:async_fn
//! help: mutex
//! min_ms: 200
//! finishes: yes
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

type Index = Arc<Mutex<BTreeMap<u64, u64>>>;

fn compact(index: &Index) {
    let mut map = index.lock().unwrap(); // MARK:holder
    zoo::burn(Duration::from_millis(300));
    map.retain(|k, _| k % 3 != 0);
}

// MARK:async_fn
async fn lookup(index: Index, key: u64) -> Option<u64> {
    let p = zoo::probe();
    let found = index.lock().unwrap().get(&key).copied(); // MARK:culprit
    let (wall, cpu) = p.done("lookup");
    zoo::verdict("b08_std_mutex_contended", wall >= 200 && cpu < 50);
    found
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let index: Index = Arc::new(Mutex::new((0..10_000).map(|k| (k, k * k)).collect()));
    let bg = index.clone();
    let compactor = std::thread::Builder::new().name("compactor".into()).spawn(move || compact(&bg)).unwrap();
    tokio::time::sleep(Duration::from_millis(40)).await;
    let a = tokio::spawn(lookup(index.clone(), 7));
    let b = tokio::spawn(lookup(index.clone(), 8));
    assert_eq!(a.await.unwrap(), Some(49));
    assert_eq!(b.await.unwrap(), Some(64));
    compactor.join().unwrap();
}
