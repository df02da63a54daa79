//! id: b71_waiters_leak
//! kind: a task per request waits for an answer whose sender stays in a map for ever
//! source: a common leak: requests that time out on one side and are never removed on the other
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: leaked (60 live tasks from one spawn site, never woken again, at exit)
//! culprit: tokio::spawn at MARK:culprit
//! async_fn: b71_waiters_leak::await_answer, at MARK:async_fn
//! min_ms: 0
//! finishes: yes
use std::{collections::HashMap, time::Duration};
use tokio::sync::oneshot;

// MARK:async_fn
async fn await_answer(answer: oneshot::Receiver<u32>) {
    if let Ok(v) = answer.await {
        zoo::fact("answer", v);
    }
}

struct Client {
    pending: HashMap<u32, oneshot::Sender<u32>>,
}
impl Client {
    fn request(&mut self, id: u32) {
        let (tx, rx) = oneshot::channel();
        self.pending.insert(id, tx);
        tokio::spawn(await_answer(rx)); // MARK:culprit
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let mut client = Client { pending: HashMap::new() };
    for id in 0..60 {
        client.request(id);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    zoo::fact("alive_tasks(0 expected)", alive);
    zoo::verdict("b71_waiters_leak", alive == 60 && client.pending.len() == 60);
}
