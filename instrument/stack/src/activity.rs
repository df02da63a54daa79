//! What a thread is doing at one moment.

use crate::Syscall;

/// What a thread was doing when it was looked at; see
/// [`Thread::activity`](crate::Thread::activity).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It is on a CPU, or ready and waiting for one.
    Running,
    /// It sleeps inside this system call.
    Syscall(Syscall),
    /// It is off the CPU without having called the kernel: a page fault, or it
    /// was stopped.
    Waiting,
    /// The thread has ended.
    Gone,
    /// The system does not tell.
    Unknown,
}
