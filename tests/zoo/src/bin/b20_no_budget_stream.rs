//! id: b20_no_budget_stream
//! kind: loop over an always-ready source that does not take part in tokio's coop budget: one endless-looking poll made of
//!   tens of thousands of cheap iterations
//! source: hoprnet/hoprnet#8252, paradigmxyz/reth#1155, slatedb/slatedb#1998, tokio-rs/tokio#2542
//! runtime: current_thread
//! expect: report
//! class: cpu
//! culprit: no single hot call; the loop in b20_no_budget_stream::dispatch_loop at MARK:culprit (handle_packet is the hottest callee)
//! async_fn: b20_no_budget_stream::dispatch_loop, at MARK:async_fn
//! help: yield_now
//! min_ms: 150
//! finishes: yes
use futures::StreamExt;
use std::{collections::HashMap, time::Duration};

fn handle_packet(sessions: &mut HashMap<u32, u64>, id: u32) {
    for hop in 0..4 {
        *sessions.entry(id.rotate_left(hop * 7) % 4096).or_default() += u64::from(id).pow(2) % 97;
    }
}

// MARK:async_fn
async fn dispatch_loop(mut rx: futures::channel::mpsc::UnboundedReceiver<u32>) -> usize {
    let mut sessions = HashMap::new();
    let p = zoo::probe(); // valid here: the loop never really suspends
    let mut n = 0;
    while let Some(id) = rx.next().await {
        handle_packet(&mut sessions, id); // MARK:culprit
        n += 1;
    }
    let (_wall, cpu) = p.done("dispatch_loop(one poll)");
    zoo::verdict("b20_no_budget_stream", cpu >= 150);
    n
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // HOOK
    let (tx, rx) = futures::channel::mpsc::unbounded();
    for i in 0..if cfg!(debug_assertions) { 400_000 } else { 6_000_000u32 } {
        tx.unbounded_send(i).unwrap();
    }
    drop(tx);
    let lag = tokio::spawn(zoo::victim(Duration::from_millis(5), Duration::from_millis(60)));
    let n = tokio::spawn(dispatch_loop(rx)).await.unwrap();
    zoo::fact("packets", n);
    zoo::fact("victim_worst_lateness_ms", lag.await.unwrap().as_millis());
}
