//! Why there is no stack.

use std::fmt;

/// Why stacks cannot be taken in this process at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsupported {
    /// Not on this operating system or processor.
    Platform,
    /// Every real-time signal already has a handler of the app's own, or the
    /// handler could not be installed.
    NoFreeSignal,
    /// As many capturers exist as this crate has places for.
    TooManyCapturers,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Platform => {
                "stacks are available on Linux on x86_64 and aarch64 only; \
                 durations and locations work here too"
            }
            Self::NoFreeSignal => {
                "no real-time signal is free; leave one between SIGRTMIN and SIGRTMAX unhandled"
            }
            Self::TooManyCapturers => "too many capturers exist; drop one or share it",
        })
    }
}

impl std::error::Error for Unsupported {}

/// Why a particular stack was not taken. None of these is a fault of the
/// caller, and the next attempt may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaptureError {
    /// What the stack was wanted for is over ([`Still`](crate::Still)).
    Stale,
    /// The thread has ended.
    Gone,
    /// The thread is on another stack than the one it began with: a signal
    /// stack or a coroutine's.
    ForeignStack,
    /// The thread moved on each time before its stack was copied.
    Moved,
    /// The thread did not take the signal in time: it blocks it, or it waits
    /// for a CPU.
    NoAnswer,
    /// An earlier request is still being answered.
    Busy,
    /// The system does not say what the thread is doing, or does not let us
    /// read its stack or signal it.
    Denied,
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stale => "the poll ended before its stack was taken",
            Self::Gone => "the thread has ended",
            Self::ForeignStack => "the thread is on a signal stack or a coroutine's stack",
            Self::Moved => "the thread moved on before its stack was copied",
            Self::NoAnswer => "the thread blocks the capture signal or waits for a CPU",
            Self::Busy => "an earlier capture has not been answered yet",
            Self::Denied => {
                "the system hides the thread; allow process_vm_readv, \
                 rt_tgsigqueueinfo and /proc/self/task/*/syscall"
            }
        })
    }
}

impl std::error::Error for CaptureError {}
