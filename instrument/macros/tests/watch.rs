//! `watch` over the shapes that `async fn`s come in: each works as before, and
//! each is known when it is dropped without having been polled.

#![allow(missing_docs, reason = "a test program")]

use std::future::Future;
use std::panic::Location;

use asyncwatch::__private::{Report, take_reports};

mod shapes {
    mod arguments;
    mod drops;
    mod functions;
    mod layout;
    mod methods;
    mod outputs;
    mod skips;
    mod stacked;
}

/// Runs a future to its end on a tokio runtime of one thread.
fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("failed to build the runtime");
    runtime.block_on(future)
}

/// Runs a future that must leave no report behind.
#[track_caller]
fn quietly<F: Future>(future: F) -> F::Output {
    let output = run(future);
    let reports = take_reports();
    assert!(reports.is_empty(), "polled, and reported: {reports:?}");
    output
}

/// Drops what `make` makes, which must be reported once, as made in this call
/// and under a name with this end.
#[track_caller]
fn reported<T>(name: &str, make: impl FnOnce() -> T) -> Report {
    take_reports();
    drop(make());
    let reports = take_reports();
    let [report] = &reports[..] else {
        panic!("one report wanted: {reports:?}");
    };
    let called = Location::caller();
    let lines = called.line()..called.line() + 3;
    assert_eq!(report.made.file(), called.file());
    assert!(lines.contains(&report.made.line()), "{report:?}");
    assert!(report.name.ends_with(name), "{report:?}");
    assert!(report.name.starts_with("watch::shapes::"), "{report:?}");
    *report
}
