//! Who is polled where, and how often and how long: tasks, the places that spawn
//! them, and the threads that poll them.
//!
//! The poll path writes here with plain stores; our own threads read. Nothing here
//! decides what is a problem: that is the watchdog's and the reporter's.

pub(crate) mod names;
#[cfg(tokio_unstable)]
pub(crate) mod pages;
pub(crate) mod sites;
pub(crate) mod slab;
pub(crate) mod slot;
pub(crate) mod slots;
pub(crate) mod task;
