//! What only the layer sees, by the case that the first argument names.
//!
//! Expected: one `slow-poll` at the line marked with the name of the case, of a task
//! of the kind that stands there; nothing in the cases that have none.

use std::{thread, time::Duration};

use tokio::{
    runtime::{Builder, Runtime},
    task::LocalSet,
};
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

const LONG: Duration = Duration::from_secs(1);

fn main() {
    tracing_subscriber::registry()
        .with(asyncwatch::layer())
        .init();
    match &*std::env::args().nth(1).expect("a case") {
        "local" => local(),
        "root" => root(),
        "plain" => plain(),
        "hooked" => hooked(),
        "wrapped" => wrapped(),
        "wrapped_local" => wrapped_local(),
        "watched_root" => watched_root(),
        "closure" => closure(),
        other => panic!("no such case: {other}"),
    }
    layer::finish();
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn local() {
    let local = LocalSet::new();
    runtime().block_on(local.run_until(async {
        let task = tokio::task::spawn_local(async {
            thread::sleep(LONG); // local local
        });
        task.await.expect("the task ends well");
    }));
}

fn root() {
    runtime().block_on(async {
        tokio::task::yield_now().await;
        thread::sleep(LONG); // root block_on
    });
}

fn plain() {
    runtime().block_on(async {
        let task = tokio::spawn(async {
            tokio::task::yield_now().await;
            thread::sleep(LONG); // plain task
        });
        task.await.expect("the task ends well");
    });
}

/// Seen by the hooks too.
fn hooked() {
    use asyncwatch::RuntimeBuilderExt;
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .watched()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let task = tokio::spawn(async {
            tokio::task::yield_now().await;
            thread::sleep(LONG); // hooked task
        });
        task.await.expect("the task ends well");
    });
}

/// Seen by a wrapper too.
fn wrapped() {
    runtime().block_on(async {
        let task = asyncwatch::spawn(async {
            tokio::task::yield_now().await;
            thread::sleep(LONG); // wrapped task
        });
        task.await.expect("the task ends well");
    });
}

fn wrapped_local() {
    runtime().block_on(LocalSet::new().run_until(async {
        let task = asyncwatch::spawn_local(async {
            thread::sleep(LONG); // wrapped_local local
        });
        task.await.expect("the task ends well");
    }));
}

#[asyncwatch::main(flavor = "current_thread")]
async fn watched_root() {
    tokio::task::yield_now().await;
    thread::sleep(LONG); // watched_root block_on
}

/// What runs on the blocking pool may block.
fn closure() {
    runtime().block_on(async {
        tokio::task::spawn_blocking(|| thread::sleep(LONG))
            .await
            .expect("the closure ends well");
    });
}
