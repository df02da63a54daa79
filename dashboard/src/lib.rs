//! The `asyncwatch` command as a library: its terminal dashboard, and the parts
//! that its other commands share.
//!
//! [`main`] is the whole command. In its dashboard, data flows from [`discover`]
//! (where are programs?) through [`client`] (what do they tell?) and [`model`] (what
//! is known?) to [`tui`] (what is seen?).

mod auto_limit;
mod baseline;
mod check;
mod cli;
pub mod client;
mod config;
mod convert;
pub mod discover;
mod doctor;
mod explain;
mod gather;
pub mod model;
mod news;
#[cfg(all(
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod outside;
#[cfg(not(all(
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
#[path = "outside/unsupported.rs"]
mod outside;
mod progress;
mod ps;
mod report;
mod run;
pub mod tui;

pub use cli::main;
