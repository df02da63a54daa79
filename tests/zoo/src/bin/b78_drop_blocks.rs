//! id: b78_drop_blocks
//! kind: a Drop that waits (it joins a thread), where a task lets go of its value
//! source: a common surprise: Drop cannot be async, so clean-up blocks
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: parked (futex wait in pthread_join)
//! culprit: std::thread::JoinHandle::join, at MARK:culprit
//! async_fn: b78_drop_blocks::session, at MARK:async_fn
//! help: join
//! min_ms: 150
//! finishes: yes
use std::{thread, time::Duration};

struct Recorder(Option<thread::JoinHandle<()>>);
impl Recorder {
    fn start() -> Recorder {
        Recorder(Some(thread::spawn(|| thread::sleep(Duration::from_millis(300)))))
    }
}
impl Drop for Recorder {
    fn drop(&mut self) {
        self.0.take().unwrap().join().unwrap(); // MARK:culprit
    }
}

// MARK:async_fn
async fn session() -> u64 {
    let recorder = Recorder::start();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let p = zoo::probe();
    drop(recorder);
    let (wall, cpu) = p.done("drop");
    zoo::verdict("b78_drop_blocks", wall >= 150 && cpu < 20);
    wall
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    tokio::spawn(session()).await.unwrap();
}
