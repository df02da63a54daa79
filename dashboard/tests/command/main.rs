//! The `asyncwatch` command as a whole, over fake instrumented programs.

#![cfg(unix)]

mod auto_limit;
mod baseline;
mod browser;
mod check;
mod doctor;
mod fake;
mod recipes;
mod reports;
mod run;
