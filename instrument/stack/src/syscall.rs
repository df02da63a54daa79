//! A system call that a thread sleeps in.

use crate::platform;
use std::borrow::Cow;

/// A system call as the kernel shows it: number, arguments, and where in user
/// code it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Syscall {
    /// Its number on this processor.
    pub number: i64,
    /// All six argument registers, used or not.
    pub args: [u64; 6],
    /// The stack pointer at the call.
    pub sp: u64,
    /// The address after the call instruction.
    pub pc: u64,
}

impl Syscall {
    /// Its name: `futex`, `clock_nanosleep`; `syscall_N` if it is newer than
    /// this crate.
    #[must_use]
    pub fn name(&self) -> Cow<'static, str> {
        match platform::syscall_name(self.number) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(format!("syscall_{}", self.number)),
        }
    }

    /// Its name and what it works on, where that can be told cheaply:
    /// `fsync("/var/lib/app/log")`, `recvfrom(127.0.0.1:5432)`,
    /// `read(pipe:[4711])`, `clock_nanosleep(1.5s)`, `futex`.
    ///
    /// Meant for a thread of this process that is still in the call: later the
    /// descriptor may be another file and the memory something else. Never
    /// blocks.
    #[must_use]
    pub fn describe(&self) -> String {
        self.with(platform::syscall_object(self, None))
    }

    /// The same for a thread of the process `pid`, as far as the system lets us read it.
    #[cfg(feature = "outside")]
    #[must_use]
    pub fn describe_in(&self, pid: u32) -> String {
        self.with(platform::syscall_object(self, Some(pid)))
    }

    fn with(&self, object: Option<String>) -> String {
        match object {
            Some(object) => format!("{}({object})", self.name()),
            None => self.name().into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Syscall;

    #[test]
    fn a_call_without_a_name_shows_its_number() {
        let call = Syscall {
            number: 99_999,
            args: [0; 6],
            sp: 0,
            pc: 0,
        };
        assert_eq!(call.name(), "syscall_99999");
        assert_eq!(call.describe(), "syscall_99999");
    }
}
