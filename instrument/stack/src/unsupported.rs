//! Systems where stacks cannot be taken: the same names, which say so.
//!
//! Durations and locations are measured elsewhere and need nothing from here.

use crate::{
    Activity, CaptureError, DebugInfo, Faults, Holder, Lock, RawStack, Still, Syscall, Unsupported,
    Usage, Waits,
};
use std::path::Path;
use std::thread;

/// A thread of this process. On this system only its name is known.
#[derive(Debug)]
pub struct Thread {
    name: String,
}

/// What is worth keeping of a thread: on this system its name.
#[derive(Clone, Debug)]
pub struct Outline {
    name: String,
}

impl Outline {
    /// The calling thread.
    #[must_use]
    pub fn current() -> Outline {
        let name = thread::current().name().unwrap_or_default().to_owned();
        Outline { name }
    }

    /// Zero: ids are not known on this system.
    #[must_use]
    pub fn tid(&self) -> u32 {
        0
    }

    /// The thread itself.
    #[must_use]
    pub fn open(&self) -> Thread {
        Thread {
            name: self.name.clone(),
        }
    }
}

impl Thread {
    /// The calling thread.
    #[must_use]
    pub fn current() -> Thread {
        let name = thread::current().name().unwrap_or_default().to_owned();
        Thread { name }
    }

    /// Zero: ids are not known on this system.
    #[must_use]
    pub fn tid(&self) -> u32 {
        0
    }

    /// The name it had when [`Thread::current`] was called; empty if none.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `None`: sleeps are not counted on this system.
    #[must_use]
    pub fn waits_here(&self) -> Option<Waits> {
        None
    }

    /// `None`: page faults are not counted on this system.
    #[must_use]
    pub fn faults(&self) -> Option<Faults> {
        None
    }

    /// `false`: this is not known on this system.
    #[must_use]
    pub fn waits_for_io(&self) -> bool {
        false
    }

    /// Nothing: accounts are not kept on this system, which
    /// [`Thread::usage`] tells apart from a thread that has used nothing.
    #[must_use]
    pub fn usage_here(&self) -> Usage {
        Usage::default()
    }

    /// `None`: accounts are not kept on this system.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        None
    }

    /// [`Activity::Unknown`].
    #[must_use]
    pub fn activity(&self) -> Activity {
        Activity::Unknown
    }
}

/// Takes stacks of other threads; there are none on this system.
#[derive(Debug)]
pub struct Capturer(());

impl Capturer {
    /// [`Unsupported::Platform`].
    pub fn new() -> Result<Capturer, Unsupported> {
        Err(Unsupported::Platform)
    }

    /// [`CaptureError::Denied`].
    pub fn capture(&mut self, _: &Thread, _: Still) -> Result<RawStack, CaptureError> {
        Err(CaptureError::Denied)
    }

    /// `None`.
    pub fn holder_of(&mut self, _: Lock, _: u32, _: Still) -> Option<Holder> {
        None
    }
}

/// The other threads of the process; nothing is known of them on this system.
#[derive(Clone, Debug)]
pub struct Neighbours(());

impl Neighbours {
    /// Nobody.
    #[must_use]
    pub fn of(_: u32) -> Neighbours {
        Neighbours(())
    }

    /// No time.
    pub fn longest_wait(&mut self) -> std::time::Duration {
        std::time::Duration::ZERO
    }
}

/// The loaded objects; none are known on this system.
#[derive(Debug)]
pub struct Modules(());

impl Modules {
    /// No objects.
    #[must_use]
    pub fn current() -> Modules {
        Modules(())
    }

    /// `false`: nothing changes.
    pub fn refresh(&mut self) -> bool {
        false
    }

    /// `true`.
    pub(crate) fn is_empty(&self) -> bool {
        true
    }

    /// `None`.
    #[must_use]
    pub fn locate(&self, _: u64) -> Option<(&Path, u64)> {
        None
    }
}

/// `None`: memory is not read on this system.
#[must_use]
pub fn read_word(_: usize) -> Option<usize> {
    None
}

/// Numbers differ from system to system.
pub(crate) fn syscall_name(_: i64) -> Option<&'static str> {
    None
}

/// Locks are waited for in other ways.
pub(crate) fn lock_waited_for(_: &Syscall) -> Option<Lock> {
    None
}

/// Nothing is known about arguments.
pub(crate) fn syscall_object(_: &Syscall, _: Option<u32>) -> Option<String> {
    None
}

/// Whether this very function can be resolved to a name and a line: it was
/// built as the rest of the program was.
pub(crate) fn debug_info() -> DebugInfo {
    let (mut names, mut lines) = (false, false);
    backtrace::resolve(debug_info as *mut std::ffi::c_void, |symbol| {
        names |= symbol.name().is_some();
        lines |= symbol.lineno().is_some();
    });
    match (lines, names) {
        (true, _) => DebugInfo::LineTables,
        (false, true) => DebugInfo::SymbolsOnly,
        (false, false) => DebugInfo::Stripped,
    }
}

/// Symbol tables are not read on this system.
#[derive(Debug, Default)]
pub(crate) struct SymbolTables(());

impl SymbolTables {
    /// `None`.
    pub(crate) fn name(&mut self, _: &Path, _: u64) -> Option<&[u8]> {
        None
    }
}

/// `None`: debug information is not read on this system.
pub(crate) fn largest_held(
    _function: &str,
    _file: Option<&str>,
    _bytes: u64,
) -> Option<crate::Held> {
    None
}

/// `None`: debug information is not read on this system.
pub(crate) fn crate_sources() -> Vec<crate::sources::CrateSource> {
    Vec::new()
}
