//! Threads of other processes, seen from outside.
//!
//! A process may read what the kernel tells of its descendants, and their memory. So
//! the stack of a thread that sleeps is copied without its noticing, as
//! [`Capturer`](super::Capturer) does within one process; a thread that runs is stopped
//! for some ten microseconds ([`Tracee`]). Nothing is injected, and no system call is
//! interrupted that would not go on by itself.
//!
//! Names of functions come from the files that the process has mapped ([`Image`]).

mod image;
mod maps;
mod process;
mod thread;
mod tracee;

pub(super) use image::Data;
pub use image::{Function, Image, Images};
pub use process::Process;
pub use thread::{Account, Thread};
pub use tracee::{Stop, Tracee, let_go_of_left};
