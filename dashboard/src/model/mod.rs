//! What the dashboard knows about the watched program: plain data and pure
//! functions over it.
//!
//! [`Model::apply`] takes in one [`Update`] after the other; [`Tasks`](rows) are
//! then sorted, filtered and grouped into [`rows`]. Where updates come from is
//! the client's affair, how they look the terminal's: nothing here names the
//! wire, a terminal, or a clock. Time comes in as an argument.

pub mod histogram;
pub mod rows;

mod connection;
mod entities;
mod findings;
mod state;
mod update;

#[cfg(test)]
mod tests;

pub use connection::{Connection, Trouble};
pub use entities::{
    Kind, Process, Runtime, RuntimeId, Site, SiteId, Task, TaskId, TaskState, Worker, WorkerId,
};
pub use findings::{Count, Findings, Seen};
pub use histogram::Histogram;
pub use state::{LIMITS, Limits, Model};
pub use update::Update;
