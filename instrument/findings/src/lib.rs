//! The vocabulary of asyncwatch: what a finding is, and how it reads.
//!
//! The instrumented program makes [`Finding`]s, the dashboard and `asyncwatch
//! check` show them; this crate is what both sides mean by one: its data, its JSON
//! (serde), its text ([`render`]), whom it blames ([`blame`]), what helps
//! ([`help_for`]), and when two of them are the same ([`fingerprint`]). It
//! deliberately knows nothing of threads, of tokio's types, or of the wire.

mod attribute;
mod beside;
mod careless;
mod code;
mod event;
mod finding;
mod fingerprint;
mod frames;
mod help;
mod lasting;
mod limit;
pub mod message;
mod name;
mod place;
mod render;
mod repeats;
mod scene;
mod source;
mod testimony;

pub use attribute::telling_stack;
pub use beside::{SeenStack, lines_beside};
pub use careless::{Careless, careless_pending};
pub use code::{Code, Level, UnknownName, nearest};
pub use event::{Coverage, Drop, Event, ProcessInfo, Setting, Totals};
pub use finding::{
    Allowed, Class, Finding, Frame, Location, OCCURRENCES_MAX, Occurrence, Stack, TaskRef,
};
pub use fingerprint::fingerprint;
pub use frames::{
    Blame, Owner, aborted_or_shut_down, blame, in_block_in_place, in_blocking_closure, mark, owner,
    trim, trim_outer, waits_for_allocator, waits_for_child_to_begin, waits_for_lock,
    waits_for_memory_map,
};
pub use help::help_for;
pub use limit::{Limit, Unit, bytes};
pub use message::humanise;
pub use name::{complete as complete_name, display_name};
pub use place::below_registry;
pub use render::{RenderOptions, render};
pub use repeats::{Announcement, Repeats};
pub use scene::{Mark, Scene, mark_of, mark_of_symbol, scene};
pub use source::{NoSource, ReadSource, SourceFiles, function_around};
pub use testimony::{ends_its_task, is_below_should_panic, is_own_wake, waits_for_ever};
