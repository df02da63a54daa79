//! One measurement, one process: how the parent asks and the child answers.
//!
//! The child is this same program, called with `measure VARIANT LOAD MICROSECONDS`, or
//! the peers' program, called the same way. It prints nanoseconds per operation.

use std::{
    env,
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use crate::{client, load::Load, peers::Peers, variant::Variant};

/// What would have the last word over a variant, were it set.
const SETTINGS: [&str; 5] = [
    "ASYNCWATCH_ADDR",
    "ASYNCWATCH_LEVELS",
    "ASYNCWATCH_MAX_POLL",
    "ASYNCWATCH_REPORT",
    "ASYNCWATCH_TIMING",
];

/// Does what a child is for, if `args` are those of a child.
pub fn run(args: &[String]) -> Option<ExitCode> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let answer = match args[..] {
        ["measure", variant, load, micros] => measure_here(variant, load, micros),
        ["receive", server] => client::receive(server),
        _ => return None,
    };
    Some(match answer {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            eprintln!("{wrong}");
            ExitCode::FAILURE
        }
    })
}

/// Has a child measure `variant` under `load`: nanoseconds per operation.
pub fn measure(
    variant: Variant,
    load: Load,
    duration: Duration,
    peers: &Peers,
) -> Result<f64, String> {
    let mut child = match peers.program().filter(|_| variant.is_peer()) {
        Some(program) => Command::new(program),
        None => this_program()?,
    };
    child
        .args(["measure", variant.name(), load.name()])
        .arg(duration.as_micros().to_string())
        .env(
            "ASYNCWATCH",
            if variant == Variant::Off { "0" } else { "1" },
        )
        .stderr(Stdio::inherit());
    for setting in SETTINGS {
        child.env_remove(setting);
    }
    let output = child.output().map_err(|wrong| wrong.to_string())?;
    if !output.status.success() {
        return Err(format!("the child failed: {}", output.status));
    }
    let answer = String::from_utf8_lossy(&output.stdout);
    answer
        .trim()
        .parse()
        .map_err(|_| format!("the child answered `{}`", answer.trim()))
}

/// This program, to be run as a child.
pub fn this_program() -> Result<Command, String> {
    env::current_exe()
        .map(Command::new)
        .map_err(|wrong| format!("cannot find this program: {wrong}"))
}

fn measure_here(variant: &str, load: &str, micros: &str) -> Result<String, String> {
    let variant = Variant::named(variant).ok_or("no such variant")?;
    let load = Load::named(load).ok_or("no such load")?;
    let micros = micros.parse().map_err(|_| "not a number of microseconds")?;
    let per_operation = variant.measure(load, Duration::from_micros(micros))?;
    Ok(per_operation.to_string())
}
