//! Futures that are made and thrown away, beside futures that are rightly never polled.
//!
//! Expected: one `never-awaited` at each culprit line, three in all, and of that in the
//! list all 3,000. The losers of a `select!` and the tasks that are aborted before their
//! first poll are no mistakes, however many there are.

#[asyncwatch::main(flavor = "current_thread")]
async fn main() {
    #[expect(clippy::let_underscore_future, reason = "what the specimen is about")]
    let _ = record("bound to nothing"); // CULPRIT bound
    for _ in 0..3_000 {
        drop(vec![record("in a list")]); // CULPRIT listed
    }
    closure();
    lose_a_select().await;
    abort_a_task().await;
    record("awaited, as it should be").await;
}

#[asyncwatch::watch]
async fn record(event: &'static str) {
    println!("recorded: {event}");
}

/// The closure is called, but what it returns is not awaited.
fn closure() {
    let later = || record("from a closure"); // CULPRIT closure
    let _never = later();
}

async fn lose_a_select() {
    for _ in 0..1_000 {
        tokio::select! {
            biased;
            () = async {} => {}
            () = record("lost") => unreachable!("the first branch is always ready"),
        }
    }
}

/// On one thread, a new task cannot start before its maker awaits.
async fn abort_a_task() {
    // More often than drops are told with a stack.
    for _ in 0..50 {
        let task = asyncwatch::spawn(record("aborted"));
        task.abort();
        assert!(task.await.expect_err("it never ran").is_cancelled());
    }
}
