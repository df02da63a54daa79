//! One measurement of a tool, or of our layer, that needs tokio's `tracing` feature.
//!
//! `peers measure VARIANT LOAD MICROSECONDS` prints nanoseconds per operation, like the
//! benchmark that calls it. The loads are the benchmark's own file.

#[path = "../../../benches/overhead/load.rs"]
mod load;

use std::{env, net::Ipv4Addr, process::ExitCode, time::Duration};

use tokio::task::JoinHandle;
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

use crate::load::{Load, Spawn};

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match measure(&args) {
        Ok(per_operation) => {
            println!("{per_operation}");
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            eprintln!("error: {wrong}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &[String]) -> Result<f64, String> {
    let [command, variant, load, micros] = args else {
        return Err("say: measure VARIANT LOAD MICROSECONDS".to_owned());
    };
    if command != "measure" {
        return Err(format!("unknown command `{command}`"));
    }
    let load = Load::named(load).filter(|load| *load != Load::Http);
    let load = load.ok_or("no such load here")?;
    let micros = micros.parse().map_err(|_| "not a number of microseconds")?;

    install(variant)?;
    let runtime = load.runtime().build().map_err(|wrong| wrong.to_string())?;
    let duration = Duration::from_micros(micros);
    Ok(load::time(duration, || load::batch(load, &runtime, Traced)))
}

/// Sets the tool up as its documentation says.
fn install(variant: &str) -> Result<(), String> {
    match variant {
        "traced-tokio" => {}
        "layer" => tracing_subscriber::registry()
            .with(asyncwatch::layer())
            .init(),
        "console-subscriber" => {
            let console = console_subscriber::ConsoleLayer::builder()
                .server_addr((Ipv4Addr::LOCALHOST, 0))
                .spawn();
            tracing_subscriber::registry().with(console).init();
        }
        "tokio-blocked" => {
            let blocked = tokio_blocked::TokioBlockedLayer::new()
                .with_warn_busy_single_poll(Some(Duration::from_millis(100)));
            tracing_subscriber::registry().with(blocked).init();
        }
        other => return Err(format!("no such variant here: `{other}`")),
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Traced;

impl Spawn for Traced {
    fn spawn<F>(self, future: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        tokio::spawn(future)
    }
}
