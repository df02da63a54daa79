//! Tasks that nobody is meant to wait for.
//!
//! Expected in mode `quiet`: nothing, though they wait for ever, finish with their handles
//! kept, and are dropped with their runtime. In mode `panics`: one `panic-unobserved` at
//! the culprit line, for that is never meant.

use std::{env, sync::Mutex, time::Duration};

use asyncwatch::WatchExt;
use tokio::{sync::Notify, task::JoinHandle, time::sleep};

static KEPT: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());
static NEVER: Notify = Notify::const_new();

#[asyncwatch::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    match env::args().nth(1).expect("a mode").as_str() {
        "quiet" => {
            for _ in 0..100 {
                tokio::spawn(NEVER.notified().detached("runs as long as the program"));
                let finished = tokio::spawn(note().detached("its outcome is of no use"));
                KEPT.lock().expect("no panic with it").push(finished);
            }
        }
        "panics" => drop(tokio::spawn(fails().detached("best effort"))),
        mode => panic!("no mode {mode}"),
    }
    sleep(Duration::from_millis(900)).await;
}

async fn note() {
    sleep(Duration::from_millis(5)).await;
}

async fn fails() {
    sleep(Duration::from_millis(5)).await;
    panic!("the disk is full"); // CULPRIT
}
