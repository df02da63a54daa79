//! Six thousand slow polls in a few seconds, at twelve lines.
//!
//! Expected: a log of some screens, which says how many it left out, and a report whose
//! counts and drops add up to all of them. Each lasts 3 ms, and the limit is 2 ms.

use std::{thread, time::Duration};

const PLACES: u32 = 12;
const TASKS_PER_PLACE: u32 = 2;
const ROUNDS: u32 = 250;
const HOLD: Duration = Duration::from_millis(3);

#[asyncwatch::main(worker_threads = 8)]
async fn main() {
    let tasks: Vec<_> = (0..PLACES * TASKS_PER_PLACE)
        .map(|task| asyncwatch::spawn(works(task % PLACES)))
        .collect();
    for task in tasks {
        task.await.expect("it ends well");
    }
}

async fn works(place: u32) {
    for _ in 0..ROUNDS {
        blocks(place);
        tokio::task::yield_now().await;
    }
}

fn blocks(place: u32) {
    match place {
        0 => thread::sleep(HOLD),
        1 => thread::sleep(HOLD),
        2 => thread::sleep(HOLD),
        3 => thread::sleep(HOLD),
        4 => thread::sleep(HOLD),
        5 => thread::sleep(HOLD),
        6 => thread::sleep(HOLD),
        7 => thread::sleep(HOLD),
        8 => thread::sleep(HOLD),
        9 => thread::sleep(HOLD),
        10 => thread::sleep(HOLD),
        _ => thread::sleep(HOLD),
    }
}
