//! The layer beside others, by the case that the first argument names: each writes its
//! log to stdout, and then has a task that is slow.

use std::{io, thread, time::Duration};

use tracing::{Subscriber, info, trace};
use tracing_subscriber::{
    EnvFilter, Layer, filter::LevelFilter, fmt, layer::SubscriberExt, registry::LookupSpan,
    util::SubscriberInitExt,
};

fn log<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fmt::layer().with_ansi(false).with_writer(io::stdout)
}

fn main() {
    let registry = tracing_subscriber::registry();
    match &*std::env::args().nth(1).expect("a case") {
        "level" => registry
            .with(asyncwatch::layer())
            .with(log().with_filter(LevelFilter::INFO))
            .init(),
        "after" => registry
            .with(log().with_filter(LevelFilter::INFO))
            .with(asyncwatch::layer())
            .init(),
        "env_filter" => registry
            .with(asyncwatch::layer())
            .with(log().with_filter(EnvFilter::new("subscribers=trace")))
            .init(),
        "twice" => registry
            .with(asyncwatch::layer())
            .with(asyncwatch::layer())
            .with(log().with_filter(LevelFilter::INFO))
            .init(),
        // Keeps tokio's events from everybody.
        "global" => registry
            .with(asyncwatch::layer())
            .with(EnvFilter::new("info"))
            .with(log())
            .init(),
        other => panic!("no such case: {other}"),
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        info!("begins");
        trace!("in detail");
        tokio::spawn(async {
            thread::sleep(Duration::from_secs(1)); // slow task
        })
        .await
        .expect("the task ends well");
    });
    layer::finish();
}
