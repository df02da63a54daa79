//! The vocabulary of asyncwatch: what a finding is, and how it reads.
//!
//! The instrumented program makes [`Finding`]s, the dashboard and `asyncwatch
//! check` show them; this crate is what both sides mean by one. It knows how a
//! finding is written as JSON (serde). It deliberately knows nothing of threads, of tokio, or
//! of the wire: it is plain data.

mod code;
mod event;
mod finding;

pub use code::{Code, Level, UnknownName};
pub use event::{Coverage, Drop, Event, ProcessInfo, Totals};
pub use finding::{Class, Finding, Frame, Location, Stack, TaskRef};
