//! The calling thread's own stack, raw: for "where was this dropped".

#![expect(unsafe_code, reason = "unwinding without the global lock")]

use crate::{Address, How, RawStack};
use backtrace::Frame;
use std::ffi::c_void;

/// The stack of the calling thread, innermost frame first, at most `max`
/// frames and without this function's own. It takes no lock and resolves no
/// symbols, so it is cheap enough for a destructor; do not call it in a signal
/// handler.
///
/// ```
/// let stack = asyncwatch_stack::own_trace(16);
/// assert!(!stack.addresses.is_empty());
/// ```
#[inline(never)]
#[must_use]
pub fn own_trace(max: usize) -> RawStack {
    let mut addresses = Vec::with_capacity(max.min(64));
    let mut inside = true;
    let mut complete = true;
    walk(|frame| {
        if inside {
            inside = frame.symbol_address() != own_trace as *mut c_void;
            return true;
        }
        if frame.ip().is_null() {
            // Some C libraries end the list with a frame at no address.
            return false;
        }
        if addresses.len() == max {
            complete = false;
            return false;
        }
        addresses.push(Address::Return(frame.ip() as u64));
        true
    });
    RawStack {
        addresses,
        how: How::Itself,
        complete,
    }
}

#[cfg(not(windows))]
fn walk(visit: impl FnMut(&Frame) -> bool) {
    // SAFETY: the lock that is left out orders calls into dbghelp.dll, which
    // exists on Windows only; elsewhere the unwinder is reentrant.
    unsafe { backtrace::trace_unsynchronized(visit) }
}

#[cfg(windows)]
fn walk(visit: impl FnMut(&Frame) -> bool) {
    backtrace::trace(visit);
}

#[cfg(test)]
mod tests {
    use super::own_trace;
    use crate::Symboliser;

    #[inline(never)]
    fn the_place_itself() -> crate::RawStack {
        std::hint::black_box(own_trace(100))
    }

    #[test]
    fn begins_with_the_caller_and_ends_where_the_thread_does() {
        let stack = the_place_itself();
        assert!(stack.complete);
        let mut symboliser = Symboliser::new();
        let innermost = symboliser.resolve(stack.addresses[0]);
        assert!(
            innermost[0].function.ends_with("the_place_itself"),
            "{innermost:?}"
        );
    }

    #[test]
    fn keeps_the_innermost_frames_when_cut() {
        let stack = own_trace(2);
        assert_eq!(stack.addresses.len(), 2);
        assert!(!stack.complete);
        assert!(own_trace(0).addresses.is_empty());
    }
}
