//! The app's own signal handlers, which are never replaced.
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
#![expect(unsafe_code, reason = "installing handlers as an app would")]

use asyncwatch_stack::{Capturer, Unsupported};
use std::{mem, ptr};

extern "C" fn the_apps_own(_: libc::c_int) {}

fn handler_of(signal: i32) -> usize {
    // SAFETY: zeroes are valid, and the structure is writable; nothing is
    // installed.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        assert_eq!(libc::sigaction(signal, ptr::null(), &raw mut action), 0);
        action.sa_sigaction
    }
}

fn install(signal: i32) {
    // SAFETY: zeroes are valid, and the handler does nothing.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = the_apps_own as *const () as usize;
        assert_eq!(
            libc::sigaction(signal, &raw const action, ptr::null_mut()),
            0
        );
    }
}

/// One test, because handlers belong to the whole process.
#[test]
fn an_app_that_handles_every_real_time_signal_keeps_them_all() {
    let signals = libc::SIGRTMIN()..=libc::SIGRTMAX();
    signals.clone().for_each(install);
    let error = Capturer::new().expect_err("there is none left");
    assert_eq!(error, Unsupported::NoFreeSignal);
    assert!(error.to_string().contains("SIGRTMAX"), "{error}");
    for signal in signals {
        assert_eq!(handler_of(signal), the_apps_own as *const () as usize);
    }
}
