//! The `asyncwatch` command as a whole, over fake instrumented programs.

#![cfg(unix)]

mod check;
mod fake;
mod run;
