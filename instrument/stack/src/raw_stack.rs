//! A stack as it was found: addresses only.

use crate::{Address, Syscall};

/// The stack of a thread at one moment, innermost frame first, without names.
/// [`Symboliser`](crate::Symboliser) gives it names later, elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawStack {
    /// The frames, innermost first. Inlined functions have no frame of their
    /// own; they come out of the symboliser.
    pub addresses: Vec<Address>,
    /// How the stack was taken, and so what the thread was doing.
    pub how: How,
    /// Whether it reaches to where the thread began. Otherwise the outer
    /// frames are missing: the stack is deeper than what is copied, or some
    /// code on it carries no unwind information.
    pub complete: bool,
}

/// How a stack was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum How {
    /// From memory, while the thread slept in this system call.
    Syscall(Syscall),
    /// By a signal, while the thread ran.
    Signal,
    /// From memory, while the thread waited for a page fault or was stopped.
    Fault,
    /// By the thread itself ([`own_trace`](crate::own_trace)).
    Itself,
}
