//! id: b63_local_set_sleep
//! kind: std::thread::sleep in a task of a LocalSet: every other local task stops
//! source: a common mistake; single-threaded parts of services that keep Rc
//! runtime: current_thread, LocalSet
//! expect: report
//! class: syscall clock_nanosleep
//! culprit: std::thread::sleep, at MARK:culprit
//! async_fn: b63_local_set_sleep::throttle, at MARK:async_fn
//! help: tokio::time::sleep
//! min_ms: 100
//! finishes: yes
use std::{cell::Cell, rc::Rc, time::Duration};

// MARK:async_fn
async fn throttle(sent: Rc<Cell<u32>>) {
    for _ in 0..2 {
        sent.set(sent.get() + 1);
        let p = zoo::probe();
        std::thread::sleep(Duration::from_millis(150)); // MARK:culprit
        let (wall, cpu) = p.done("throttle");
        assert!(wall >= 100 && cpu < 20);
        tokio::task::yield_now().await;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // HOOK
    let sent = Rc::new(Cell::new(0));
    let local = tokio::task::LocalSet::new();
    local.run_until(async { tokio::task::spawn_local(throttle(sent.clone())).await.unwrap() }).await;
    zoo::verdict("b63_local_set_sleep", sent.get() == 2);
}
