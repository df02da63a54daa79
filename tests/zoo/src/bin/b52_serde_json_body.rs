//! id: b52_serde_json_body
//! kind: parsing a large JSON document in the poll that received it
//! source: a common mistake; compare the limits that web frameworks put on bodies
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: cpu
//! culprit: serde_json::from_slice, at MARK:culprit
//! async_fn: b52_serde_json_body::import, at MARK:async_fn
//! help: document
//! min_ms: 50
//! finishes: yes
use serde::Deserialize;
use std::collections::HashMap;

#[derive(Deserialize)]
struct Order {
    id: u64,
    lines: Vec<HashMap<String, String>>,
}

// MARK:async_fn
async fn import(mut rx: tokio::sync::mpsc::Receiver<Vec<u8>>) -> usize {
    let mut count = 0;
    while let Some(body) = rx.recv().await {
        let p = zoo::probe();
        let orders: Vec<Order> = serde_json::from_slice(&body).unwrap(); // MARK:culprit
        let (_wall, cpu) = p.done("parse");
        zoo::verdict("b52_serde_json_body", cpu >= 50);
        tokio::task::yield_now().await;
        count += orders.iter().map(|o| o.lines.len() + (o.id == 0) as usize).sum::<usize>();
        std::mem::forget(orders); // freeing a million strings is a second culprit, and not the one meant
    }
    count
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let order = r#"{"id": 7, "lines": [{"sku": "a-1", "qty": "3"}, {"sku": "b-2", "qty": "1"}]}"#;
    let orders = if cfg!(debug_assertions) { 40_000 } else { 150_000 };
    let body = tokio::task::spawn_blocking(move || format!("[{}]", vec![order; orders].join(",")).into_bytes());
    let (tx, rx) = tokio::sync::mpsc::channel(1);
    let import = tokio::spawn(import(rx));
    tx.send(body.await.unwrap()).await.unwrap();
    drop(tx);
    zoo::fact("lines", import.await.unwrap());
}
