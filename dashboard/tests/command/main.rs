//! The `asyncwatch` command as a whole, over fake instrumented programs.

#![cfg(unix)]

mod check;
mod doctor;
mod fake;
mod run;
