//! What the C library tells about the calling thread.

#![expect(unsafe_code, reason = "calls into the C library")]

use std::mem::MaybeUninit;
use std::ops::Range;
use std::{ptr, thread};

/// Its id.
pub(super) fn tid() -> u32 {
    // SAFETY: the call takes nothing and cannot fail.
    let tid = unsafe { libc::gettid() };
    tid.unsigned_abs()
}

/// Its name: the one std knows, which is not cut, or else the kernel's.
pub(super) fn name() -> String {
    match thread::current().name() {
        Some(name) => name.to_owned(),
        None => kernel_name(),
    }
}

/// The addresses of its stack; empty if they cannot be told.
pub(super) fn stack() -> Range<u64> {
    let mut attributes = MaybeUninit::uninit();
    // SAFETY: `attributes` is valid for writes, and the thread is alive: it is
    // the one that asks.
    let failed =
        unsafe { libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) } != 0;
    if failed {
        return 0..0;
    }
    // SAFETY: the call succeeded, so it has initialised `attributes`.
    let mut attributes = unsafe { attributes.assume_init() };
    let mut low = ptr::null_mut();
    let mut length = 0;
    // SAFETY: `attributes` is initialised, the others are valid for writes.
    let failed = unsafe { libc::pthread_attr_getstack(&attributes, &mut low, &mut length) } != 0;
    // SAFETY: `attributes` is initialised and not used again.
    unsafe { libc::pthread_attr_destroy(&mut attributes) };
    if failed {
        return 0..0;
    }
    low as u64..low as u64 + length as u64
}

fn kernel_name() -> String {
    let mut name = [0_u8; 16];
    // SAFETY: the kernel writes at most 16 bytes, including the final zero.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    let length = name.iter().position(|&byte| byte == 0).unwrap_or(16);
    String::from_utf8_lossy(&name[..length]).into_owned()
}
