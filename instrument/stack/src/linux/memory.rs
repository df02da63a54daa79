//! Reading memory, of this process or another, at addresses that may not be there.
//!
//! The kernel does the reading, so that an address which is not mapped, or is
//! unmapped meanwhile, is an answer and not a crash.

#![expect(unsafe_code, reason = "process_vm_readv")]

use std::fs::File;
use std::os::unix::fs::FileExt;

/// The memory of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// This one's.
    Own,
    /// Another's, as far as the system lets us read it.
    Of(u32),
}

impl Memory {
    /// Copies the bytes from `address` on into `into`; how many it got. Fewer than
    /// asked for if something in between cannot be read.
    pub(crate) fn read(self, address: u64, into: &mut [u8]) -> usize {
        let local = libc::iovec {
            iov_base: into.as_mut_ptr().cast(),
            iov_len: into.len(),
        };
        let remote = libc::iovec {
            iov_base: address as *mut libc::c_void,
            iov_len: into.len(),
        };
        // SAFETY: `local` is writable for its whole length, and the kernel checks
        // `remote` by itself.
        let copied = unsafe {
            libc::process_vm_readv(self.pid(), &raw const local, 1, &raw const remote, 1, 0)
        };
        usize::try_from(copied).unwrap_or_else(|_| self.read_through_file(address, into))
    }

    /// The eight bytes at `address`.
    pub(super) fn read_u64(self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        (self.read(address, &mut bytes) == bytes.len()).then(|| u64::from_ne_bytes(bytes))
    }

    pub(super) fn pid(self) -> libc::pid_t {
        match self {
            // SAFETY: always succeeds.
            Memory::Own => unsafe { libc::getpid() },
            Memory::Of(pid) => pid as libc::pid_t,
        }
    }

    /// The same where a sandbox forbids the call. Opened each time, because after
    /// a fork the file would still show the parent.
    #[cold]
    fn read_through_file(self, address: u64, into: &mut [u8]) -> usize {
        File::open(format!("/proc/{}/mem", self.pid()))
            .and_then(|memory| memory.read_at(into, address))
            .unwrap_or(0)
    }
}

/// The word at `address`, which may be anything: read by the kernel, so that nothing
/// happens if there is no memory. `None` then, and where the system forbids it.
///
/// ```
/// let word = 7_usize;
/// let read = asyncwatch_stack::read_word((&raw const word).addr());
/// assert!(read.is_none_or(|read| read == 7));
/// assert_eq!(asyncwatch_stack::read_word(16), None);
/// ```
#[must_use]
pub fn read_word(address: usize) -> Option<usize> {
    Memory::Own
        .read_u64(address as u64)
        .map(|word| word as usize)
}

#[cfg(test)]
mod tests {
    use super::Memory;

    #[test]
    fn both_ways_read_the_same() {
        let value = 0x1122_3344_5566_7788_u64;
        let address = &raw const value as u64;
        assert_eq!(Memory::Own.read_u64(address), Some(value));
        let mut bytes = [0; 8];
        assert_eq!(Memory::Own.read_through_file(address, &mut bytes), 8);
        assert_eq!(u64::from_ne_bytes(bytes), value);
    }

    #[test]
    fn what_is_not_mapped_is_not_read() {
        assert_eq!(Memory::Own.read(16, &mut [0; 8]), 0);
        assert_eq!(Memory::Own.read_u64(u64::MAX - 3), None);
    }
}
