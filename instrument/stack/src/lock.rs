//! Waiting for a lock of the standard library, and who holds it.

use crate::{RawStack, Syscall, platform};

/// A lock that a thread waits for, by its address.
///
/// std's locks begin with the word that the kernel is told to wait on, so the address
/// of that word is the address that a guard of the lock keeps. Only Linux has them in
/// this form; other libraries' locks wait on words of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lock {
    /// Where the lock begins.
    pub address: u64,
    /// The word, as it was when the thread went to sleep: taken, with others waiting.
    pub(crate) word: LockWord,
}

/// Which word of the lock tells that it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LockWord {
    /// `std::sync::Mutex`: 2.
    Mutex,
    /// `std::sync::RwLock`: bits for waiting readers and writers.
    RwLock,
}

impl LockWord {
    pub(crate) fn is_contended(self, word: u32) -> bool {
        const READERS_WAITING: u32 = 1 << 30;
        const WRITERS_WAITING: u32 = 1 << 31;
        match self {
            LockWord::Mutex => word == 2,
            LockWord::RwLock => word & (READERS_WAITING | WRITERS_WAITING) != 0,
        }
    }
}

impl Lock {
    /// The lock that a call waits for, if that is how a lock of std is waited for.
    /// Other things wait in the same way now and then: what the stack says decides.
    #[must_use]
    pub fn waited_for(call: &Syscall) -> Option<Lock> {
        platform::lock_waited_for(call)
    }
}

/// A thread that seems to hold a lock.
#[derive(Clone, Debug)]
pub struct Holder {
    /// Its id.
    pub tid: u32,
    /// Its name, as the kernel has it: cut to 15 bytes.
    pub name: String,
    /// What it is doing.
    pub stack: RawStack,
}
