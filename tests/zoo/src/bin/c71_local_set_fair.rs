//! id: c71_local_set_fair
//! kind: look-alike on a LocalSet: Rc state, local channels, a spawn_blocking awaited from a local task, a detached ticker
//! source: ordinary practice
//! runtime: current_thread, LocalSet
//! expect: clean
//! class: none
//! culprit: none
//! async_fn: c71_local_set_fair::session
//! min_ms: 0
//! finishes: yes
use std::{cell::Cell, rc::Rc, time::Duration};
use tokio::task::{spawn_local, LocalSet};

async fn ticker(ticks: Rc<Cell<u32>>) {
    let mut every = tokio::time::interval(Duration::from_millis(10));
    loop {
        every.tick().await;
        ticks.set(ticks.get() + 1);
    }
}
async fn session(n: u32) -> u32 {
    tokio::time::sleep(Duration::from_millis(5)).await;
    tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(50));
        n
    })
    .await
    .unwrap()
}

fn main() {
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = LocalSet::new();
    let (sum, ticks) = local.block_on(&rt, async {
        // HOOK
        let ticks = Rc::new(Cell::new(0));
        spawn_local(ticker(ticks.clone()));
        let sessions: Vec<_> = (0..6).map(|n| spawn_local(session(n))).collect();
        let mut sum = 0;
        for s in sessions {
            sum += s.await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        (sum, ticks.get())
    });
    zoo::verdict("c71_local_set_fair", sum == 15 && ticks > 10);
}
