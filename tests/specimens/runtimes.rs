//! Three runtimes in one program: one with a name, one whose threads have one, and one
//! on the thread `main`.
//!
//! Which of them blocks, the argument says. Expected: one `slow-poll` at its culprit line,
//! on the thread and runtime that stand behind it.

use std::{env, thread, time::Duration};

use asyncwatch::RuntimeBuilderExt;
use tokio::{
    runtime::{Builder, Runtime},
    task::LocalSet,
};

fn main() {
    let io = watched(Builder::new_multi_thread().worker_threads(1).name("io"));
    let database = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("database")
        .enable_all()
        .watched()
        .build()
        .expect("a runtime can be built");
    let local = watched(&mut Builder::new_current_thread());
    for runtime in [&io, &database, &local] {
        // So that each is known before the first finding is told.
        let task = runtime.spawn(asyncwatch::WatchExt::watched(std::future::ready(())));
        runtime.block_on(task).expect("the task ends well");
    }
    match env::args().nth(1).as_deref() {
        Some("io") => wait_for(&io, || {
            thread::sleep(Duration::from_millis(300)); // CULPRIT io: worker 0 of runtime `io`
        }),
        Some("database") => wait_for(&database, || {
            thread::sleep(Duration::from_millis(300)); // CULPRIT database: worker 0 of runtime `database`
        }),
        _ => {
            let set = LocalSet::new();
            let task = set.run_until(async {
                let task = asyncwatch::spawn_local(async {
                    thread::sleep(Duration::from_millis(300)); // CULPRIT local: worker 0 of runtime 3
                });
                task.await.expect("the task ends well");
            });
            local.block_on(task);
        }
    }
}

fn watched(builder: &mut Builder) -> Runtime {
    builder
        .enable_all()
        .watched()
        .build()
        .expect("a runtime can be built")
}

fn wait_for(runtime: &Runtime, block: impl FnOnce() + Send + 'static) {
    runtime.block_on(async {
        let task = asyncwatch::spawn(async { block() });
        task.await.expect("the task ends well");
    });
}
