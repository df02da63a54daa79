//! A task waits for a `std::sync::Mutex` that another thread holds.
//!
//! Expected: one `slow-poll`, class blocked, in `futex`, at the culprit line; never at
//! the thread that holds the lock, which polls nothing. A note names that thread.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use tokio::sync::oneshot;

#[asyncwatch::main]
async fn main() {
    let balance = Arc::new(Mutex::new(0));
    let (locked, is_locked) = oneshot::channel();
    let holder = thread::Builder::new().name("holder".to_owned()).spawn({
        let balance = Arc::clone(&balance);
        move || {
            let mut balance = balance.lock().expect("nobody panics");
            locked.send(()).expect("main waits for it");
            thread::sleep(Duration::from_millis(400));
            *balance += 1;
        }
    });
    let holder = holder.expect("threads can be had");
    is_locked.await.expect("the holder starts");

    let read = asyncwatch::spawn(read(balance)).await;
    assert_eq!(read.expect("the task ends well"), 1);
    holder.join().expect("the holder ends well");
}

async fn read(balance: Arc<Mutex<u32>>) -> u32 {
    let balance = balance.lock().expect("nobody panics"); // CULPRIT
    *balance
}
