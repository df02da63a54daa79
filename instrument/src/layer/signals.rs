//! What the layer tells the watchdog, from threads that must not wait for it.

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use asyncwatch_findings::Code;
use asyncwatch_stack::RawStack;
use crossbeam_queue::ArrayQueue;

use super::{
    locks::{Held, Lock, Who},
    rhythm::Burst,
};
use crate::{clock::Ticks, drops, source::SourceLine};

/// The watchdog empties the queue at least every 50 ms by default: some 80,000 in a
/// second, and only what concerns locks that are queued for is sent.
const QUEUE: usize = 4_096;

static SIGNALS: LazyLock<ArrayQueue<Signal>> = LazyLock::new(|| ArrayQueue::new(QUEUE));
static LOST: AtomicBool = AtomicBool::new(false);

#[derive(Debug)]
pub(crate) enum Signal {
    /// Somebody queues for a lock.
    Waits {
        lock: Arc<Lock>,
        attempt: u64,
        at: Ticks,
        who: Option<Who>,
        stack: Option<Box<RawStack>>,
    },
    /// And does so no more.
    WaitEnds { lock: u64, attempt: u64, at: Ticks },
    /// A lock that is queued for was let go of.
    Released { lock: u64, held: Box<Held> },
    /// An interval made up for missed ticks.
    Burst {
        made: SourceLine,
        who: Option<Who>,
        burst: Burst,
    },
}

/// Makes the queue, so that no thread of the program has to.
pub(super) fn prepare() {
    LazyLock::force(&SIGNALS);
}

pub(super) fn push(signal: Signal) {
    let code = match signal {
        Signal::Burst { .. } => Code::TimerBurst,
        _ => Code::AsyncContention,
    };
    if SIGNALS.push(signal).is_err() {
        LOST.store(true, Relaxed);
        drops::count(drops::What::Events(code));
    }
}

pub(super) fn pop() -> Option<Signal> {
    SIGNALS.pop()
}

/// Whether some were lost since this was asked last: then nothing that was learned of
/// queues before holds.
pub(super) fn were_lost() -> bool {
    LOST.swap(false, Relaxed)
}
