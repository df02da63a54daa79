//! A runtime built by hand, with hooks of the program's own on its threads and tasks.
//!
//! Expected: one `slow-poll` at the culprit line. The program's own hooks still run,
//! which it checks itself: it fails if one was lost.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use asyncwatch::{Hooks, RuntimeBuilderExt};
use tokio::{runtime::Builder, time::sleep};

static STARTED: AtomicU32 = AtomicU32::new(0);
static STOPPED: AtomicU32 = AtomicU32::new(0);
static PARKED: AtomicU32 = AtomicU32::new(0);
static UNPARKED: AtomicU32 = AtomicU32::new(0);
static SPAWNED: AtomicU32 = AtomicU32::new(0);

fn main() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .on_thread_start(|| count(&STARTED))
        .on_thread_stop(|| count(&STOPPED))
        .on_thread_unpark(|| count(&UNPARKED))
        .watched_with(hooks())
        .build()
        .expect("a runtime can be built");
    runtime.block_on(async {
        sleep(Duration::from_millis(20)).await;
        let task = asyncwatch::spawn(async {
            thread::sleep(Duration::from_millis(300)); // CULPRIT
        });
        task.await.expect("the task ends well");
    });
    drop(runtime);
    let mut hooks = vec![&STARTED, &STOPPED, &PARKED, &UNPARKED];
    if cfg!(tokio_unstable) {
        hooks.push(&SPAWNED);
    }
    for hook in hooks {
        assert_ne!(
            hook.load(Ordering::Relaxed),
            0,
            "a hook of the program was lost"
        );
    }
}

/// Those that asyncwatch wants to have too.
fn hooks() -> Hooks {
    let hooks = Hooks::new().on_thread_park(|| count(&PARKED));
    #[cfg(tokio_unstable)]
    let hooks = hooks.on_task_spawn(|_| count(&SPAWNED));
    hooks
}

fn count(hook: &AtomicU32) {
    hook.fetch_add(1, Ordering::Relaxed);
}
