//! Functions under `#[asyncwatch::watch]`, in tasks that nothing else watches: on a
//! worker, on a `LocalSet`, on a runtime of its own.
//!
//! Expected, with the runtime's hooks and without: one `slow-poll` at each culprit
//! line. None for the function that blocks a thread of the blocking pool, which is
//! there for that.

use std::{thread, time::Duration};

use tokio::{
    runtime::{Builder, Handle},
    task::{LocalSet, spawn_blocking, yield_now},
};

const LONG: Duration = Duration::from_millis(300);

#[asyncwatch::main]
async fn main() {
    let task = tokio::spawn(session(3)); // SPAWN
    task.await.expect("the task ends well");

    let local = LocalSet::new();
    local.spawn_local(on_one_thread());
    local.await;

    let handle = Handle::current();
    let blocking = spawn_blocking(move || handle.block_on(in_nobodys_way()));
    blocking.await.expect("it ends well");

    let other = thread::spawn(|| {
        let runtime = Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(elsewhere());
    });
    // Not awaited on purpose: nothing else is left to do.
    let _ = spawn_blocking(|| other.join()).await;
}

#[asyncwatch::watch]
async fn session(rounds: u32) {
    for round in 0..rounds {
        yield_now().await;
        request(round).await;
    }
}

#[asyncwatch::watch]
async fn request(round: u32) {
    if round == 1 {
        yield_now().await;
        back_off().await;
    }
}

#[asyncwatch::watch]
async fn back_off() {
    thread::sleep(LONG); // CULPRIT session
    yield_now().await;
}

#[asyncwatch::watch]
async fn on_one_thread() {
    let held = std::rc::Rc::new(());
    yield_now().await;
    thread::sleep(LONG); // CULPRIT local
    drop(held);
}

#[asyncwatch::watch]
async fn in_nobodys_way() {
    yield_now().await;
    thread::sleep(LONG);
}

#[asyncwatch::watch]
async fn elsewhere() {
    yield_now().await;
    thread::sleep(LONG); // CULPRIT elsewhere
}
