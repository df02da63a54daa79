//! The real-time signal that makes a running thread copy its own stack.

#![expect(unsafe_code, reason = "installing and sending a signal")]

use super::arch::Interrupted;
use super::mailbox;
use crate::Unsupported;
use std::mem::{self, MaybeUninit};
use std::sync::OnceLock;
use std::{io, ptr};

/// The signal, once its handler is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CaptureSignal(i32);

impl CaptureSignal {
    /// The process's one capture signal; installed on the first call.
    pub(super) fn installed() -> Result<CaptureSignal, Unsupported> {
        static SIGNAL: OnceLock<Option<CaptureSignal>> = OnceLock::new();
        SIGNAL.get_or_init(install).ok_or(Unsupported::NoFreeSignal)
    }

    /// Its number.
    pub(super) fn number(self) -> i32 {
        self.0
    }

    /// Sends it with `value` to one thread of this process.
    pub(super) fn send(self, tid: u32, value: u64) -> io::Result<()> {
        // SAFETY: these calls take nothing and cannot fail.
        let (pid, uid) = unsafe { (libc::getpid(), libc::getuid()) };
        let info = QueuedInfo {
            signal: self.0,
            error: 0,
            code: libc::SI_QUEUE,
            padding: 0,
            pid,
            uid,
            value,
            rest: [0; 12],
        };
        // SAFETY: `info` has the layout and the size of the kernel's structure,
        // and a handler is installed, so the signal cannot end the process.
        let failed = unsafe {
            libc::syscall(
                libc::SYS_rt_tgsigqueueinfo,
                pid,
                tid,
                self.0,
                &raw const info,
            )
        } != 0;
        match failed {
            true => Err(io::Error::last_os_error()),
            false => Ok(()),
        }
    }
}

/// The kernel's `siginfo_t` for a queued signal, on 64-bit systems.
#[repr(C)]
struct QueuedInfo {
    signal: i32,
    error: i32,
    code: i32,
    padding: i32,
    pid: i32,
    uid: u32,
    value: u64,
    rest: [u64; 12],
}

const _: () = assert!(mem::size_of::<QueuedInfo>() == mem::size_of::<libc::siginfo_t>());

/// Takes the first signal that nobody handles, from the top down: apps that
/// use some tend to begin at the bottom.
fn install() -> Option<CaptureSignal> {
    (libc::SIGRTMIN()..=libc::SIGRTMAX())
        .rev()
        .find(|&signal| is_free(signal) && take(signal))
        .map(CaptureSignal)
}

fn is_free(signal: i32) -> bool {
    let mut current = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: nothing is installed, and `current` is valid for writes.
    let failed = unsafe { libc::sigaction(signal, ptr::null(), current.as_mut_ptr()) } != 0;
    // SAFETY: the call succeeded, so it has filled `current`.
    !failed && unsafe { current.assume_init() }.sa_sigaction == libc::SIG_DFL
}

/// Installs the handler; if the app was quicker, its own is put back.
fn take(signal: i32) -> bool {
    let ours = action();
    let mut before = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: `ours` is a valid action whose handler is async-signal-safe, and
    // `before` is valid for writes.
    if unsafe { libc::sigaction(signal, &raw const ours, before.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: the call succeeded, so it has filled `before`.
    let before = unsafe { before.assume_init() };
    if before.sa_sigaction == libc::SIG_DFL {
        return true;
    }
    // SAFETY: `before` is what the app itself had installed.
    unsafe { libc::sigaction(signal, &raw const before, ptr::null_mut()) };
    false
}

fn action() -> libc::sigaction {
    // SAFETY: the structure is made of integers and an optional function
    // pointer, for which zeroes are valid.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handle as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: the mask is valid for writes. All signals are held off, so that
    // no other handler runs in the middle of a copy.
    unsafe { libc::sigfillset(&raw mut action.sa_mask) };
    action
}

/// Runs on the interrupted thread, anywhere in its code; everything it calls
/// is async-signal-safe.
unsafe extern "C" fn handle(_: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the C library's error number of this thread is always there. The
    // interrupted code may be about to read it.
    let error = unsafe { *libc::__errno_location() };
    // SAFETY: the kernel passes a valid structure to an `SA_SIGINFO` handler.
    let info = unsafe { &*info };
    if info.si_code == libc::SI_QUEUE {
        // SAFETY: the kernel passes the interrupted context to such a handler.
        let context = unsafe { &*context.cast::<libc::ucontext_t>() };
        // SAFETY: a queued signal carries a value.
        let sent = unsafe { info.si_value() }.sival_ptr as u64;
        mailbox::answer(sent, Interrupted::new(context));
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = error };
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{CaptureSignal, is_free};

    #[test]
    fn it_is_installed_once_and_is_then_taken() {
        let signal = CaptureSignal::installed().expect("tests use no real-time signals");
        assert_eq!(CaptureSignal::installed(), Ok(signal));
        assert!(!is_free(signal.number()));
    }

    #[test]
    fn a_stray_signal_is_ignored() {
        let signal = CaptureSignal::installed().expect("tests use no real-time signals");
        let tid = crate::Thread::current().tid();
        signal.send(tid, u64::MAX).expect("this thread is alive");
        signal.send(tid, 0).expect("this thread is alive");
    }

    #[test]
    fn a_thread_that_is_not_there_cannot_be_signalled() {
        let signal = CaptureSignal::installed().expect("tests use no real-time signals");
        let error = signal.send(0x3fff_fff0, 0).expect_err("no such thread");
        assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
    }
}
