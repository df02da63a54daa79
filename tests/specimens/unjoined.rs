//! Tasks that finish while their handles are kept.
//!
//! Expected in mode `left`: one `unjoined` at the culprit line, because the handles
//! outlive `main`. In the other modes nothing: there they are joined in the end.

use std::{env, sync::Mutex, time::Duration};

use tokio::{
    task::{JoinHandle, JoinSet},
    time::sleep,
};

static KEPT: Mutex<Vec<JoinHandle<u64>>> = Mutex::new(Vec::new());

#[asyncwatch::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    match env::args().nth(1).expect("a mode").as_str() {
        "left" => {
            let handles = spawn();
            KEPT.lock().expect("no panic with it").extend(handles);
            sleep(Duration::from_millis(700)).await;
        }
        "joined-late" => {
            let handles = spawn();
            sleep(Duration::from_millis(1_500)).await;
            for handle in handles {
                handle.await.expect("it ends");
            }
        }
        "drained-late" => {
            let mut set = JoinSet::new();
            for n in 0..100 {
                set.spawn(asyncwatch::WatchExt::watched(count(n)));
            }
            sleep(Duration::from_millis(1_500)).await;
            assert_eq!(set.join_all().await.len(), 100);
        }
        "let-go" => {
            drop(spawn());
            sleep(Duration::from_millis(700)).await;
        }
        mode => panic!("no mode {mode}"),
    }
}

fn spawn() -> Vec<JoinHandle<u64>> {
    let one = |n| asyncwatch::spawn(count(n)); // CULPRIT
    (0..100).map(one).collect()
}

async fn count(n: u64) -> u64 {
    sleep(Duration::from_millis(n % 7)).await;
    n
}
