//! Whether what the caller is interested in still goes on.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter, and the value it has for as long as the stack is wanted.
///
/// The counter is one that the watched thread itself moves, at the beginning
/// and the end of each poll. It is compared before and after a stack is taken,
/// and by the signal handler on the thread itself, so that a request that
/// comes too late is dropped instead of blaming the wrong poll. The counter
/// lives in memory that is never freed because the handler may be late by any
/// amount.
#[derive(Clone, Copy, Debug)]
pub struct Still {
    /// The counter.
    pub seq: &'static AtomicU64,
    /// Its value for the poll in question.
    pub expected: u64,
}

impl Still {
    /// Whether the counter still has its value.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.seq.load(Ordering::Acquire) == self.expected
    }
}
