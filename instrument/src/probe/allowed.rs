//! Sections in which blocking is meant.

use crate::{registry::slots, settings};

/// Runs `f`, and counts none of its time against the poll it runs in.
///
/// `reason` says to readers of the code why blocking is right here; it is not
/// evaluated. Outside a poll, or while nothing is watched, it just runs `f`.
/// Costs two clock readings, about 50 ns.
///
/// # Panics
///
/// Only if `f` does; watching goes on rightly then.
///
/// ```
/// let config = asyncwatch_instrument::allow_blocking("once, before we serve", || {
///     std::fs::read_to_string("/etc/hostname")
/// });
/// # let _ = config;
/// ```
pub fn allow_blocking<R>(reason: &'static str, f: impl FnOnce() -> R) -> R {
    let _ = reason;
    if !settings::on() {
        return f();
    }
    let slot = slots::current().filter(|slot| slot.depth() > 0);
    let Some(slot) = slot else { return f() };
    slot.enter(None);
    let _leave = Leave(slot);
    f()
}

/// Leaves the slot, also when a panic passes by.
pub(crate) struct Leave(pub(crate) &'static crate::registry::slot::Slot);

impl Drop for Leave {
    #[inline]
    fn drop(&mut self) {
        self.0.leave();
    }
}
