//! Stacks of threads, taken from the side.
//!
//! A watchdog wants to know what *another* thread of its own process is doing
//! right now, without help from that thread and without harm to it. There are
//! two ways to its stack, and which one is right depends on where it is:
//!
//! ```text
//!                       Thread::activity()
//!                /proc/self/task/TID/syscall says
//!                               │
//!         ┌─────────────────────┴──────────────────────┐
//!   it sleeps in the kernel                      it runs, or could
//!   number, arguments, SP, PC                          │
//!         │                                            │
//!    1. from memory                              2. by a signal
//!   copy [SP, stack top) with                   rt_tgsigqueueinfo; the handler
//!   process_vm_readv; ask again;                copies PC, SP, FP and [SP, stack
//!   keep it only if nothing moved               top) into a buffer made before
//!   the thread notices nothing                  the thread loses about 1 µs
//!         │                                            │
//!         └─────────────────────┬──────────────────────┘
//!                  unwind offline, on our thread:
//!              .eh_frame of the objects loaded here
//!                               │
//!                           RawStack ──► Symboliser, on yet another thread
//! ```
//!
//! A thread that sits in a system call is never signalled: `poll`, `nanosleep`
//! and reads with a timeout would return early. Neither is one that has only
//! just been woken and is still on its way out of a call: its accounts must show
//! that it has run since the last look and had no time to sleep. Between that
//! look and the signal are a few microseconds, so a thread that goes to sleep
//! right then can still see one `EINTR`. The handler is installed with
//! `SA_RESTART`, and Rust's own sleeps, locks and I/O loops repeat by themselves.
//!
//! The kernel does not tell the frame pointer of a sleeping thread. Most code
//! can be unwound without it; where a rule asks for it, the stack is searched
//! for a return address whose call leads to the function in question, and the
//! guess stands only if the rest unwinds to the place where the thread began.
//!
//! What this crate leaves to others: when to look, at which thread, and what a
//! stack means. It knows nothing of tokio, tasks or polls; a poll is for it a
//! counter that must not change ([`Still`]).
//!
//! # Which call on which thread
//!
//! | call | where | cost |
//! |---|---|---|
//! | [`Thread::usage_here`] | the thread itself | two system calls, 1–2 µs |
//! | [`Thread::usage`], [`Thread::activity`] | a watchdog | 2–3 µs each |
//! | [`Capturer::capture`] | a watchdog | 40–120 µs of a sleeper; 300–400 µs of a runner, mostly asleep |
//! | [`Symboliser::resolve`] | a third thread | up to seconds the first time |
//! | [`Capturer::holder_of`] | a watchdog | 0.1 ms per thread of the process, 64 at most |
//! | [`Neighbours::longest_wait`] | a watchdog | 10 µs per thread of the process, 64 at most |
//! | [`own_trace`] | any thread, not in a signal handler | 2–5 µs |
//!
//! Stacks are supported on Linux on x86_64 and aarch64. Elsewhere everything
//! is there under the same names, and says that it cannot
//! ([`Unsupported::Platform`]).

mod activity;
mod address;
mod debug_info;
mod error;
mod held;
mod lock;
#[cfg(feature = "objects")]
mod objects;
mod own_trace;
mod raw_stack;
mod sources;
mod still;
mod symboliser;
mod syscall;
mod usage;

#[cfg(all(
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
#[path = "linux/mod.rs"]
mod platform;

#[cfg(not(all(
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
#[path = "unsupported.rs"]
mod platform;

pub use activity::Activity;
pub use address::Address;
pub use debug_info::{DebugInfo, has_debuginfo};
pub use error::{CaptureError, Unsupported};
pub use held::{Held, largest_held};
pub use lock::{Holder, Lock};
#[cfg(feature = "objects")]
pub use objects::Objects;
pub use own_trace::own_trace;
#[cfg(all(
    feature = "outside",
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
pub use platform::outside;
pub use platform::{Capturer, Modules, Neighbours, Outline, Thread, read_word};
pub use raw_stack::{How, RawStack};
pub use sources::source_file;
pub use still::Still;
pub use symboliser::{Symbol, Symboliser};
pub use syscall::Syscall;
pub use usage::{Faults, Usage, Waits};
