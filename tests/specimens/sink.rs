//! A program that takes findings into its own hands, badly: its function panics.
//!
//! Expected: it is called with the slow poll, panics, is not called again, and the
//! program goes on to its end.

use std::{thread, time::Duration};

fn main() {
    asyncwatch::builder()
        .on_finding(|finding| {
            println!("told of {} seen {}", finding.code(), finding.count());
            assert!(finding.to_json().contains("slow-poll"));
            assert!(finding.to_string().contains("sink.rs"), "{finding}");
            panic!("a broken sink");
        })
        .install();
    serve();
    println!("served");
}

#[asyncwatch::main]
async fn serve() {
    for _ in 0..3 {
        let task = asyncwatch::spawn(async {
            thread::sleep(Duration::from_millis(300)); // CULPRIT
        });
        task.await.expect("the task ends well");
    }
}
