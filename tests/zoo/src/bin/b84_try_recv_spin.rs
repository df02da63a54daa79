//! id: b84_try_recv_spin
//! kind: a loop around try_recv that spins until the message is there
//! source: a common mistake; game loops moved into a task
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: cpu
//! culprit: the loop of b84_try_recv_spin::next_frame, at MARK:culprit
//! async_fn: b84_try_recv_spin::game_loop, at MARK:async_fn
//! min_ms: 100
//! finishes: yes
use std::time::Duration;
use tokio::sync::mpsc::{self, error::TryRecvError};

fn next_frame(rx: &mut mpsc::Receiver<u32>) -> Option<u32> {
    loop { // MARK:culprit
        match rx.try_recv() { // MARK:culprit
            Ok(frame) => return Some(frame),
            Err(TryRecvError::Empty) => std::hint::spin_loop(), // MARK:culprit
            Err(TryRecvError::Disconnected) => return None,
        }
    }
}

// MARK:async_fn
async fn game_loop(mut rx: mpsc::Receiver<u32>) -> u32 {
    let mut frames = 0;
    let p = zoo::probe();
    while let Some(_frame) = next_frame(&mut rx) {
        frames += 1;
    }
    let (wall, _) = p.done("frames");
    zoo::verdict("b84_try_recv_spin", wall >= 100);
    frames
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let (tx, rx) = mpsc::channel(4);
    let game = tokio::spawn(game_loop(rx));
    for n in 0..10 {
        tokio::time::sleep(Duration::from_millis(25)).await;
        tx.send(n).await.unwrap();
    }
    drop(tx);
    assert_eq!(game.await.unwrap(), 10);
}
