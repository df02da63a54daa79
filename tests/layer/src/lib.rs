//! What the specimens share.

/// Waits until everything that was found has its names, also on a busy machine: at its
/// end a program is held up for no longer than [`asyncwatch::FINISH_WAIT`], and
/// `asyncwatch check`, which would look up the rest, is not there.
pub fn finish() {
    for _ in 0..12 {
        asyncwatch::finish();
    }
}
