//! One request for a stack, from the thread that asks to the signal handler
//! that answers, and who may touch the memory between them.
//!
//! The state is one word: the number of the request, and its phase.
//!
//! ```text
//!            post                begin                  finish
//!   Idle ───────────► Requested ───────► Copying ───────────────► Done
//!    ▲                    │                                         │
//!    ├────────────────────┘ withdraw                                │
//!    └──────────────────────────────────────────────────────────────┘ take
//! ```
//!
//! 1. Only the asker posts, withdraws and takes; only handlers begin and
//!    finish.
//! 2. In `Idle` the memory belongs to the asker, in `Copying` to the one
//!    handler that began, in `Done` again to the asker. In `Requested` it
//!    belongs to nobody.
//! 3. A handler names the request that its signal came with, and begins only
//!    if that very request is in phase `Requested`. Numbers are never used
//!    twice, so a handler that is late, by any amount, cannot begin.
//! 4. Withdrawing and beginning exclude each other: whichever is first wins,
//!    and the other sees that it has lost.
//! 5. What the asker wrote before posting is seen by the handler that began;
//!    what that handler wrote before finishing is seen by the asker that
//!    takes.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering};

const IDLE: u64 = 0;
const REQUESTED: u64 = 1;
const COPYING: u64 = 2;
const DONE: u64 = 3;
const PHASE_BITS: u32 = 2;

/// The number of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestId(u64);

impl RequestId {
    /// The number in an integer, as a signal carries it.
    pub(super) fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The integer that a signal carries.
    pub(super) fn raw(self) -> u64 {
        self.0
    }

    fn in_phase(self, phase: u64) -> u64 {
        self.0 << PHASE_BITS | phase
    }
}

/// The state of a mailbox.
#[derive(Debug)]
pub(super) struct Request(AtomicU64);

impl Request {
    /// Idle, with no request so far.
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(RequestId(0).in_phase(IDLE)))
    }

    /// Asker: whether the memory is the asker's, to fill in for a request.
    pub(super) fn is_idle(&self) -> bool {
        self.phase(Ordering::Acquire) == IDLE
    }

    /// Asker, when idle: makes a new request public.
    pub(super) fn post(&self) -> RequestId {
        debug_assert!(self.is_idle());
        let id = RequestId((self.0.load(Ordering::Relaxed) >> PHASE_BITS) + 1);
        self.0.store(id.in_phase(REQUESTED), Ordering::Release);
        id
    }

    /// Handler: whether it may answer request `id`, and touch the memory.
    /// Async-signal-safe.
    pub(super) fn begin(&self, id: RequestId) -> bool {
        self.exchange(id, REQUESTED, COPYING)
    }

    /// Handler, after it began: gives the memory back.
    pub(super) fn finish(&self, id: RequestId) {
        self.0.store(id.in_phase(DONE), Ordering::Release);
    }

    /// Asker: whether the request has been answered and the memory is the
    /// asker's again.
    pub(super) fn take(&self, id: RequestId) -> bool {
        self.exchange(id, DONE, IDLE)
    }

    /// Asker: takes the request back, unless a handler has begun.
    pub(super) fn withdraw(&self, id: RequestId) -> bool {
        self.exchange(id, REQUESTED, IDLE)
    }

    /// Asker: takes back what a handler finished after the asker had given up
    /// waiting for it.
    pub(super) fn take_abandoned(&self) {
        if self.phase(Ordering::Acquire) == DONE {
            let id = RequestId(self.0.load(Ordering::Relaxed) >> PHASE_BITS);
            self.take(id);
        }
    }

    fn exchange(&self, id: RequestId, from: u64, to: u64) -> bool {
        self.0
            .compare_exchange(
                id.in_phase(from),
                id.in_phase(to),
                Ordering::AcqRel,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    fn phase(&self, ordering: Ordering) -> u64 {
        self.0.load(ordering) & ((1 << PHASE_BITS) - 1)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Request, RequestId};

    #[test]
    fn an_answered_request_goes_round() {
        let request = Request::new();
        let id = request.post();
        assert!(!request.is_idle());
        assert!(!request.take(id));
        assert!(request.begin(id));
        assert!(!request.take(id));
        request.finish(id);
        assert!(request.take(id));
        assert!(request.is_idle());
    }

    #[test]
    fn a_request_is_begun_once() {
        let request = Request::new();
        let id = request.post();
        assert!(request.begin(id));
        assert!(!request.begin(id));
    }

    #[test]
    fn a_withdrawn_request_is_never_begun() {
        let request = Request::new();
        let old = request.post();
        assert!(request.withdraw(old));
        assert!(!request.begin(old));
        let new = request.post();
        assert!(
            !request.begin(old),
            "a late handler must not answer another"
        );
        assert!(request.begin(new));
        assert!(!request.withdraw(new));
    }

    #[test]
    fn an_abandoned_request_is_taken_back_once_it_is_finished() {
        let request = Request::new();
        let id = request.post();
        assert!(request.begin(id));
        request.take_abandoned();
        assert!(!request.is_idle());
        request.finish(id);
        request.take_abandoned();
        assert!(request.is_idle());
        assert_ne!(request.post(), id);
    }

    #[test]
    fn numbers_survive_the_way_through_a_signal() {
        let id = Request::new().post();
        assert_eq!(RequestId::from_raw(id.raw()), id);
    }
}

/// Every interleaving, with the memory as loom's cell, which notices two
/// threads in it at once and reads that miss a write.
#[cfg(all(test, loom))]
mod loom_tests {
    use super::{Request, RequestId};
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    struct Mailbox {
        request: Request,
        memory: UnsafeCell<u64>,
    }

    // SAFETY: the protocol under test is what makes this true; loom checks.
    #[expect(unsafe_code, reason = "the model shares a cell as the mailbox does")]
    unsafe impl Sync for Mailbox {}

    fn mailbox() -> Arc<Mailbox> {
        Arc::new(Mailbox {
            request: Request::new(),
            memory: UnsafeCell::new(0),
        })
    }

    /// The handler: doubles what the asker wrote.
    fn answer(mailbox: &Mailbox, id: RequestId) {
        if mailbox.request.begin(id) {
            write(mailbox, |memory| *memory *= 2);
            mailbox.request.finish(id);
        }
    }

    #[expect(unsafe_code, reason = "the cell hands out a pointer")]
    fn write(mailbox: &Mailbox, change: impl FnOnce(&mut u64)) -> u64 {
        mailbox.memory.with_mut(|memory| {
            // SAFETY: loom fails the test if anyone else is in the cell.
            let memory = unsafe { &mut *memory };
            change(memory);
            *memory
        })
    }

    /// Rules 2, 4 and 5: the asker gets the answer or its memory back, never
    /// both, and never while the handler is in it.
    #[test]
    fn an_answer_and_a_withdrawal_exclude_each_other() {
        loom::model(|| {
            let mailbox = mailbox();
            write(&mailbox, |memory| *memory = 21);
            let id = mailbox.request.post();
            let handler = {
                let mailbox = Arc::clone(&mailbox);
                thread::spawn(move || answer(&mailbox, id))
            };
            if mailbox.request.withdraw(id) {
                assert_eq!(write(&mailbox, |_| {}), 21);
            } else {
                while !mailbox.request.take(id) {
                    thread::yield_now();
                }
                assert_eq!(write(&mailbox, |_| {}), 42);
            }
            handler.join().unwrap();
            assert!(mailbox.request.is_idle());
        });
    }

    /// Rule 3: the handler of a withdrawn request leaves the next one alone.
    #[test]
    fn a_late_handler_does_not_answer_the_next_request() {
        loom::model(|| {
            let mailbox = mailbox();
            let old = mailbox.request.post();
            let late = {
                let mailbox = Arc::clone(&mailbox);
                thread::spawn(move || answer(&mailbox, old))
            };
            if mailbox.request.withdraw(old) {
                write(&mailbox, |memory| *memory = 7);
                let new = mailbox.request.post();
                late.join().unwrap();
                assert!(mailbox.request.withdraw(new));
                assert_eq!(write(&mailbox, |_| {}), 7);
            } else {
                late.join().unwrap();
            }
        });
    }

    /// Rule 3 again: of two handlers with the same number, one answers.
    #[test]
    fn two_handlers_are_never_in_the_memory_together() {
        loom::model(|| {
            let mailbox = mailbox();
            write(&mailbox, |memory| *memory = 21);
            let id = mailbox.request.post();
            let handlers = [(); 2].map(|()| {
                let mailbox = Arc::clone(&mailbox);
                thread::spawn(move || answer(&mailbox, id))
            });
            for handler in handlers {
                handler.join().unwrap();
            }
            assert!(mailbox.request.take(id));
            assert_eq!(write(&mailbox, |_| {}), 42);
        });
    }
}
