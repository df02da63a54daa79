//! A poll that took too long, as it was seen from outside.

use std::{sync::Arc, time::Duration};

use asyncwatch_findings::{Class, Frame, waits_for_memory_map};
use asyncwatch_stack::{
    Address, How, RawStack, Syscall,
    outside::{Image, Process, Thread},
};

use super::follow::Time;

/// One slow poll.
#[derive(Clone, Debug)]
pub(super) struct Episode {
    pub(super) pid: u32,
    /// The thread's name.
    pub(super) thread: String,
    pub(super) time: Time,
    pub(super) class: Class,
    /// It had not ended when it was last seen.
    pub(super) ongoing: bool,
    /// For whoever watches: it still lasts, and is judged when it ends. What other threads
    /// waited for a CPU meanwhile is known only then.
    pub(super) preview: bool,
    pub(super) unix_ns: u64,
    /// What was seen of it, in the order it was seen.
    pub(super) samples: Vec<Sample>,
}

/// A stack that was taken of it.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Innermost first.
    pub(super) places: Vec<Place>,
    /// How long it is taken to have been so.
    pub(super) weight: Duration,
    pub(super) syscall: Option<String>,
    /// The stack reaches to where its thread began.
    pub(super) complete: bool,
}

impl Sample {
    /// Of a stack that was just taken; system calls are described while they last.
    pub(super) fn new(stack: &RawStack, process: &Process) -> Sample {
        Sample {
            places: stack
                .addresses
                .iter()
                .map(|&address| Place::of(address, process))
                .collect(),
            weight: Duration::ZERO,
            syscall: match stack.how {
                How::Syscall(call) => Some(call.describe_in(process.id())),
                _ => None,
            },
            complete: is_followed(stack),
        }
    }
}

/// No thread of a Rust program has as few frames as this. One that seems to sleeps in
/// code without unwind information, as musl's system calls are.
const FRAMES_MIN: usize = 6;

/// Whether the stack shows all that called what its thread sleeps in.
pub(super) fn is_followed(stack: &RawStack) -> bool {
    stack.complete && stack.addresses.len() >= FRAMES_MIN
}

/// Whether a thread in this call waits for the lock of its process's memory map.
pub(super) fn is_for_memory_map(call: &Syscall, thread: &Thread) -> bool {
    // Most names suffice to say no, and cost nothing.
    waits_for_memory_map(&call.name()) && waits_for_memory_map(&call.describe_in(thread.pid()))
}

/// A place in a program's code.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The object file; `None` for code that lies in none.
    image: Option<Arc<Image>>,
    /// What its file states for it, or the address itself.
    offset: u64,
}

impl Place {
    fn of(address: Address, process: &Process) -> Place {
        match process.locate(address) {
            Some((image, stated)) => Place {
                image: Some(image.clone()),
                offset: stated,
            },
            None => Place {
                image: None,
                offset: address.lookup(),
            },
        }
    }

    /// As a frame that has no name yet.
    pub(super) fn frame(&self) -> Frame {
        let path = self.image.as_ref().map(|image| image.path());
        Frame {
            module: Some(path.map_or_else(String::new, |path| path.display().to_string())),
            offset: Some(self.offset),
            ..Frame::default()
        }
    }
}

/// Why `time` counts against `limit`.
pub(super) fn classify(time: Time, limit: Duration) -> Class {
    if time.cpu >= limit {
        Class::Cpu
    } else if time.blocked >= limit {
        Class::Blocked
    } else if time.own() >= limit {
        Class::Mixed
    } else {
        Class::Descheduled
    }
}
