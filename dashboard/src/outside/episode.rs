//! A poll that took too long, as it was seen from outside.

use std::{path::PathBuf, time::Duration};

use asyncwatch_findings::{Class, Frame};
use asyncwatch_stack::{Address, How, RawStack, outside::Process};

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
    pub(super) unix_ns: u64,
    /// What was seen of it, in the order it was seen.
    pub(super) samples: Vec<Sample>,
}

/// A stack that was taken of it.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// By object file and offset, innermost first.
    pub(super) frames: Vec<Frame>,
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
            frames: stack
                .addresses
                .iter()
                .map(|&address| frame(address, process))
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

fn frame(address: Address, process: &Process) -> Frame {
    let (path, offset) = match process.locate(address) {
        Some((image, stated)) => (image.path().to_owned(), stated),
        None => (PathBuf::new(), address.lookup()),
    };
    Frame {
        module: Some(path.display().to_string()),
        offset: Some(offset),
        ..Frame::default()
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
