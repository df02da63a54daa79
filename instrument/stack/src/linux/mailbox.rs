//! Where the signal handler leaves a stack.
//!
//! Mailboxes are made once, never freed, and found by their place in a table:
//! a signal that comes late, or from a stranger, can name nothing else. Who
//! may touch their memory is [`super::request`]'s protocol.

#![expect(unsafe_code, reason = "memory shared with a signal handler")]

use super::arch::Interrupted;
use super::request::{Request, RequestId};
use super::stack_copy::{STACK_BYTES_MAX, StackCopy, live_part};
use crate::Still;
use std::cell::UnsafeCell;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// A process needs one; tests in one process run several beside each other.
const MAILBOXES_MAX: usize = 64;
const INDEX_BITS: u32 = MAILBOXES_MAX.ilog2();

static MAILBOXES: [AtomicPtr<Mailbox>; MAILBOXES_MAX] =
    [const { AtomicPtr::new(ptr::null_mut()) }; MAILBOXES_MAX];

/// What is asked of the handler.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// Answer only while this holds.
    pub(super) still: Still,
    /// The stack that the thread is expected to be on.
    pub(super) stack: Range<u64>,
}

/// What the handler found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The registers and the stack were copied.
    Copied,
    /// The order no longer held.
    Stale,
    /// The thread was on another stack.
    ForeignStack,
}

/// The memory between one asker and the handlers.
pub(super) struct Mailbox {
    index: usize,
    owned: AtomicBool,
    request: Request,
    letter: UnsafeCell<Letter>,
}

struct Letter {
    order: Option<Order>,
    outcome: Outcome,
    interrupted: Interrupted,
    copied: Range<u64>,
    bytes: Box<[u8]>,
}

// SAFETY: everything but `letter` is atomic or immutable, and `letter` is
// touched only by the one that `request` says it belongs to.
unsafe impl Sync for Mailbox {}

/// A mailbox held by its only asker.
pub(super) struct Asker(&'static Mailbox);

impl Asker {
    /// A mailbox that nobody holds, made on first use; `None` if all are held.
    pub(super) fn claim() -> Option<Asker> {
        (0..MAILBOXES_MAX).map(mailbox).find_map(Mailbox::claim)
    }

    /// Makes a request public and returns its number, to be sent; `None` while
    /// a handler is still busy with an earlier one.
    pub(super) fn post(&mut self, order: Order) -> Option<u64> {
        self.0.request.take_abandoned();
        let letter = self.letter()?;
        letter.order = Some(order);
        let id = self.0.request.post();
        Some(id.raw() << INDEX_BITS | self.0.index as u64)
    }

    /// Whether the request has been answered.
    pub(super) fn take(&mut self, sent: u64) -> bool {
        self.0.request.take(id_of(sent))
    }

    /// Takes the request back; `false` if a handler is at it.
    pub(super) fn withdraw(&mut self, sent: u64) -> bool {
        self.0.request.withdraw(id_of(sent))
    }

    /// The answer last taken.
    pub(super) fn answer(&mut self) -> Option<(Outcome, Interrupted, StackCopy<'_>)> {
        let letter = self.letter()?;
        let length = (letter.copied.end - letter.copied.start) as usize;
        let copy = StackCopy {
            base: letter.copied.start,
            bytes: &letter.bytes[..length],
            top: letter.order.as_ref().map_or(0, |order| order.stack.end),
        };
        Some((letter.outcome, letter.interrupted, copy))
    }

    /// The buffer, for other uses between requests; `None` while a handler is
    /// still busy with an earlier one.
    pub(super) fn buffer(&mut self) -> Option<&mut [u8]> {
        self.0.request.take_abandoned();
        self.letter().map(|letter| &mut *letter.bytes)
    }

    fn letter(&mut self) -> Option<&mut Letter> {
        if !self.0.request.is_idle() {
            return None;
        }
        // SAFETY: the request is idle, so the letter is the asker's; there is
        // one asker, and it is borrowed for as long as the letter is.
        Some(unsafe { &mut *self.0.letter.get() })
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.0.owned.store(false, Ordering::Release);
    }
}

impl Mailbox {
    fn new(index: usize) -> Mailbox {
        Mailbox {
            index,
            owned: AtomicBool::new(false),
            request: Request::new(),
            letter: UnsafeCell::new(Letter {
                order: None,
                outcome: Outcome::Stale,
                interrupted: Interrupted::default(),
                copied: 0..0,
                bytes: faulted_in(),
            }),
        }
    }

    fn claim(&'static self) -> Option<Asker> {
        self.owned
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .ok()?;
        Some(Asker(self))
    }
}

/// Answers the request that a signal names, on the interrupted thread.
/// Async-signal-safe: no allocation, no lock, no panic, no system call.
pub(super) fn answer(sent: u64, interrupted: Interrupted) {
    let index = (sent & (MAILBOXES_MAX as u64 - 1)) as usize;
    let mailbox = MAILBOXES[index].load(Ordering::Acquire);
    // SAFETY: a mailbox in the table is valid for good.
    let Some(mailbox) = (unsafe { mailbox.as_ref() }) else {
        return;
    };
    let id = id_of(sent);
    if !mailbox.request.begin(id) {
        return;
    }
    // SAFETY: this handler began, so the letter is its own until it finishes.
    let letter = unsafe { &mut *mailbox.letter.get() };
    letter.interrupted = interrupted;
    letter.outcome = fill(letter);
    mailbox.request.finish(id);
}

fn fill(letter: &mut Letter) -> Outcome {
    letter.copied = 0..0;
    let Some(order) = &letter.order else {
        return Outcome::Stale;
    };
    if !order.still.holds() {
        return Outcome::Stale;
    }
    let Some(live) = live_part(&order.stack, letter.interrupted.sp) else {
        return Outcome::ForeignStack;
    };
    let length = ((live.end - live.start) as usize).min(letter.bytes.len());
    // SAFETY: the thread runs on this stack, so the stack is mapped and
    // readable from a little below its stack pointer to its top; the buffer is
    // at least as long; and the handler runs on the alternate stack or below
    // what is read, so the two do not overlap.
    unsafe {
        ptr::copy_nonoverlapping(live.start as *const u8, letter.bytes.as_mut_ptr(), length);
    }
    letter.copied = live.start..live.start + length as u64;
    Outcome::Copied
}

fn id_of(sent: u64) -> RequestId {
    RequestId::from_raw(sent >> INDEX_BITS)
}

/// The mailbox at `index`, made if it is not there yet.
fn mailbox(index: usize) -> &'static Mailbox {
    let place = &MAILBOXES[index];
    let mut there = place.load(Ordering::Acquire);
    if there.is_null() {
        let new = Box::into_raw(Box::new(Mailbox::new(index)));
        match place.compare_exchange(ptr::null_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => there = new,
            Err(other) => {
                // SAFETY: it came from a box just now and was given to nobody.
                drop(unsafe { Box::from_raw(new) });
                there = other;
            }
        }
    }
    // SAFETY: a mailbox in the table is valid for good.
    unsafe { &*there }
}

/// A buffer whose pages are there already, so that the handler faults on none.
fn faulted_in() -> Box<[u8]> {
    // Written with something other than zero: zeroes would be the kernel's to
    // hand out later.
    vec![0xa5; STACK_BYTES_MAX].into_boxed_slice()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Asker, Order, Outcome, answer};
    use crate::Still;
    use crate::platform::arch::Interrupted;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Pretends to be a thread interrupted on the test's own stack.
    fn interrupted_at(sp: u64) -> Interrupted {
        Interrupted {
            sp,
            ..Interrupted::default()
        }
    }

    fn order(seq: &'static AtomicU64, words: &[u64]) -> Order {
        let range = words.as_ptr_range();
        Order {
            still: Still { seq, expected: 1 },
            stack: range.start as u64..range.end as u64,
        }
    }

    #[test]
    fn an_order_that_holds_is_copied() {
        static SEQ: AtomicU64 = AtomicU64::new(1);
        let words = [1_u64, 2, 3, 4];
        let mut asker = Asker::claim().expect("one is free");
        let sent = asker.post(order(&SEQ, &words)).expect("idle");
        let top = &raw const words[3] as u64;
        answer(sent, interrupted_at(top));
        assert!(asker.take(sent));
        let (outcome, _, copy) = asker.answer().expect("taken");
        assert_eq!(outcome, Outcome::Copied);
        assert_eq!(copy.word(top), Some(4));
        assert_eq!(copy.word(top + 8), None);
    }

    #[test]
    fn an_order_that_no_longer_holds_is_dropped() {
        static SEQ: AtomicU64 = AtomicU64::new(1);
        let words = [0_u64; 4];
        let mut asker = Asker::claim().expect("one is free");
        let sent = asker.post(order(&SEQ, &words)).expect("idle");
        SEQ.store(2, Ordering::Release);
        answer(sent, interrupted_at(words.as_ptr() as u64));
        assert!(asker.take(sent));
        let (outcome, _, copy) = asker.answer().expect("taken");
        assert_eq!(outcome, Outcome::Stale);
        assert!(copy.bytes.is_empty());
    }

    #[test]
    fn a_thread_on_another_stack_is_refused() {
        static SEQ: AtomicU64 = AtomicU64::new(1);
        let words = [0_u64; 4];
        let mut asker = Asker::claim().expect("one is free");
        let sent = asker.post(order(&SEQ, &words)).expect("idle");
        answer(sent, interrupted_at(0x1000));
        assert!(asker.take(sent));
        let (outcome, ..) = asker.answer().expect("taken");
        assert_eq!(outcome, Outcome::ForeignStack);
    }

    #[test]
    fn strangers_and_latecomers_change_nothing() {
        static SEQ: AtomicU64 = AtomicU64::new(1);
        let words = [0_u64; 4];
        let mut asker = Asker::claim().expect("one is free");
        let withdrawn = asker.post(order(&SEQ, &words)).expect("idle");
        assert!(asker.withdraw(withdrawn));
        let sent = asker.post(order(&SEQ, &words)).expect("idle");
        for stranger in [0, withdrawn, sent + 1, sent ^ (1 << 40), u64::MAX] {
            answer(stranger, interrupted_at(words.as_ptr() as u64));
        }
        assert!(!asker.take(sent));
        assert!(asker.answer().is_none(), "not ours while it is requested");
        assert!(asker.withdraw(sent));
    }
}
