//! Who holds a lock: the one thread that has its address on its stack.
//!
//! A guard is a reference to its lock, and lives on the stack of whoever holds it.
//! So does many another reference, and some guards live elsewhere: the answer is a
//! guess. It is given only if every other thread could be looked at, and exactly one
//! of them that does not itself wait for the lock has the address.

use std::fs;

use super::accounts::Place;
use super::capturer::Sought;
use super::memory::Memory;
use super::thread::Thread;
use crate::lock::LockWord;
use crate::{CaptureError, Capturer, Holder, Lock, Still, Syscall};

/// With more threads than these the search would take long, some 0.1 ms each.
const THREADS_MAX: usize = 64;

/// Bits of the futex operation.
const WAIT: u64 = 0;
const WAIT_BITSET: u64 = 9;
const COMMAND: u64 = 0x7f;

pub(crate) fn lock_waited_for(call: &Syscall) -> Option<Lock> {
    let [address, operation, expected, ..] = call.args;
    if call.number != libc::SYS_futex || !matches!(operation & COMMAND, WAIT | WAIT_BITSET) {
        return None;
    }
    let expected = expected as u32;
    let lock = |address, word| Some(Lock { address, word });
    if LockWord::Mutex.is_contended(expected) {
        return lock(address, LockWord::Mutex);
    }
    // A parked thread waits for such a value, too, and far more often than a reader of
    // a lock that writers wait for as well.
    if expected != u32::MAX && LockWord::RwLock.is_contended(expected) {
        return lock(address, LockWord::RwLock);
    }
    // A writer waits on the second word of a `RwLock`.
    let before = address.checked_sub(4)?;
    LockWord::RwLock
        .is_contended(read_word(before)?)
        .then_some(Lock {
            address: before,
            word: LockWord::RwLock,
        })
}

fn read_word(address: u64) -> Option<u32> {
    let mut bytes = [0; 4];
    (Memory::Own.read(address, &mut bytes) == bytes.len()).then(|| u32::from_ne_bytes(bytes))
}

impl Capturer {
    /// The thread that seems to hold `lock` while `waiter` waits for it, which `still`
    /// says. `None` if that cannot be told: no thread or several have the address of
    /// the lock on their stacks, or one could not be looked at.
    ///
    /// Threads that sleep are looked at from outside, those that run get the same
    /// signal as for [`capture`](Capturer::capture). Takes some 0.1 ms per thread, and
    /// 64 threads at most.
    pub fn holder_of(&mut self, lock: Lock, waiter: u32, still: Still) -> Option<Holder> {
        let threads = other_threads(waiter)?;
        self.refresh();
        let mut holder = None;
        for thread in threads {
            match self.seek(&thread, lock.address, still) {
                Ok(None) | Err(CaptureError::Gone) => {}
                Ok(Some(stack)) if holder.is_none() => {
                    holder = Some(Holder {
                        tid: thread.tid(),
                        name: thread.name().to_owned(),
                        stack,
                    });
                }
                Ok(Some(_)) | Err(_) => return None,
            }
        }
        let is_held = still.holds() && lock.word.is_contended(read_word(lock.address)?);
        holder.filter(|_| is_held)
    }

    /// The stack of `thread` if it has `address` on it and does not wait for that.
    fn seek(
        &mut self,
        thread: &Thread,
        address: u64,
        still: Still,
    ) -> Result<Option<crate::RawStack>, CaptureError> {
        if let Place::Syscall(call) = thread.place()
            && lock_waited_for(&call).is_some_and(|lock| lock.address == address)
        {
            return Ok(None);
        }
        let sought = Sought::Word(address);
        self.attempts(thread, still, sought)
            .map(|found| found.has_word.then_some(found.stack))
    }
}

/// All threads but the calling one, `waiter` and our own; `None` if they are too many.
fn other_threads(waiter: u32) -> Option<Vec<Thread>> {
    let me = super::here::tid();
    let tids: Vec<u32> = fs::read_dir("/proc/self/task")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&tid| tid != me && tid != waiter)
        .take(THREADS_MAX + 1)
        .collect();
    if tids.len() > THREADS_MAX {
        return None;
    }
    let threads = tids.into_iter().filter_map(Thread::other);
    Some(threads.filter(|thread| !is_own(thread)).collect())
}

/// A watchdog's own helpers hold no lock that its program waits for, and are busy just
/// when something is wrong.
fn is_own(thread: &Thread) -> bool {
    thread.name().starts_with("asyncwatch")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn futex(address: u64, operation: u64, expected: u64) -> Syscall {
        Syscall {
            number: libc::SYS_futex,
            args: [address, operation, expected, 0, 0, 0],
            sp: 0,
            pc: 0,
        }
    }

    #[test]
    fn a_wait_for_a_mutex_is_told_from_other_waits() {
        let address = |call: Syscall| Lock::waited_for(&call).map(|lock| lock.address);
        let quiet = [0_u32; 4];
        let word = &raw const quiet[1] as u64;
        assert_eq!(address(futex(word, 137, 2)), Some(word));
        assert_eq!(address(futex(word, 128, 2)), Some(word));
        // A parked thread, and waking others.
        assert_eq!(address(futex(word, 137, u64::from(u32::MAX))), None);
        assert_eq!(address(futex(word, 129, 2)), None);
        assert_eq!(address(futex(word, 137, 1)), None);
    }

    #[test]
    fn waiting_readers_and_writers_lead_to_the_same_lock() {
        let lock = [1_u32 << 31 | 1, 7];
        let start = &raw const lock as u64;
        let of = |call: Syscall| Lock::waited_for(&call).map(|lock| lock.address);
        assert_eq!(of(futex(start, 137, u64::from(lock[0]))), Some(start));
        assert_eq!(of(futex(start + 4, 137, 7)), Some(start));
    }
}
