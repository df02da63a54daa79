//! `asyncwatch` over real programs.
//!
//! No test here says how fast anything is: a machine may be busy for as long as it
//! likes. What a poll takes of its own is well above the limit in each specimen that
//! is to be reported, and well below in each that is not.

mod check;
mod direct;
mod endings;
mod off;
mod outside;
mod run;
mod runtimes;
mod server;
mod tasks;
mod wakes;
