//! What watching costs: asyncwatch and its peers against bare tokio.
//!
//! ```text
//! cargo bench --bench overhead --features enabled -- [--quick] [--rounds N] [FILTER]
//! ```
//!
//! `FILTER` picks by name: `yield` (loads), `light` (variants), `spawn/exact` (both).
//! `--quick` only shows that everything runs, in a few seconds; its numbers mean nothing.
//!
//! # How it measures
//!
//! Hooks and subscribers belong to a whole process, so each measurement is a process of
//! its own that this program starts. One round measures every variant of a load once, one
//! after the other; then comes the next round. A variant's ratio is taken within a round,
//! against the bare tokio of that round: what slows the machine for seconds slows both.
//!
//! # How to read it
//!
//! Each row says by how much a variant is slower than bare tokio: the median of the
//! ratios of all rounds, and the quartiles between which half of the rounds lie. Where
//! quartiles of two variants overlap, this run cannot tell them apart; where those of
//! `off` lie far from 1, the machine was too busy to tell anything. Ratios of loads that
//! do nothing but poll are worst cases: a poll of such a load costs some 60 ns, a poll of
//! a real service many times that (see the load `http`).
//!
//! Loads
//! - `yield-1`, `yield-2`: tasks that do nothing but yield, on one and on two threads
//! - `spawn`: tasks that end at once are spawned and joined
//! - `ping-pong`: two tasks send each other messages
//! - `http`: an axum service under eight keep-alive connections
//!
//! Variants
//! - `bare`: tokio as this workspace builds it
//! - `off`: asyncwatch compiled in, switched off by `ASYNCWATCH=0`
//! - `light`, `exact`: the runtime's hooks, in the two ways to keep time
//! - `exact-spawn`: no hooks, but each task spawned by `asyncwatch::spawn`
//! - `exact-client`: `exact` while a client receives everything a dashboard would
//! - `tokio-metrics`: each task in a `TaskMonitor`
//! - `traced-tokio`, `console-subscriber`, `tokio-blocked`: these need tokio's `tracing`
//!   feature, which makes tokio itself slower and so must not reach the others. They are
//!   a program of their own (`tests/peers`), which this one builds where it is found.

#![expect(unreachable_pub, reason = "a program's modules are its own public")]

mod child;
mod client;
mod http;
mod load;
mod options;
mod peers;
mod ratios;
mod variant;

use std::{env, process::ExitCode};

use crate::{load::Load, options::Options, peers::Peers, ratios::Ratios, variant::Variant};

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    if let Some(done) = child::run(&args) {
        return done;
    }
    match Options::parse(&args) {
        Ok(options) => compare(&options),
        Err(wrong) => {
            eprintln!("error: {wrong}");
            ExitCode::from(2)
        }
    }
}

/// Measures all that `options` ask for, load after load.
fn compare(options: &Options) -> ExitCode {
    let peers = Peers::build(options);
    for load in Load::ALL {
        let variants: Vec<Variant> = Variant::ALL
            .into_iter()
            .filter(|variant| variant.can_run(load, &peers) && options.wants(load, *variant))
            .collect();
        if variants.iter().all(|variant| *variant == Variant::Bare) {
            continue;
        }
        let mut ratios = Ratios::new(load);
        for _ in 0..options.rounds {
            for &variant in &variants {
                match child::measure(variant, load, options.duration, &peers) {
                    Ok(per_operation) => ratios.add(variant, per_operation),
                    Err(wrong) => {
                        eprintln!("error: {}/{}: {wrong}", load.name(), variant.name());
                        return ExitCode::FAILURE;
                    }
                }
            }
        }
        println!("{ratios}");
    }
    ExitCode::SUCCESS
}
