//! Takes the stack of another thread, by the way that suits what it is doing.

use super::accounts::Place;
use super::arch::Interrupted;
use super::gait::{self, Gait};
use super::mailbox::{Asker, Order, Outcome};
use super::memory::Memory;
use super::signal::CaptureSignal;
use super::stack_copy::{RED_ZONE_BYTES, StackCopy, live_part};
use super::thread::Thread;
use super::unwind::{Frames, Unwinder};
use crate::{CaptureError, How, RawStack, Still, Unsupported};
use std::fmt;
use std::ops::Range;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often a thread is looked at again that moved on meanwhile.
const ATTEMPTS_MAX: u32 = 8;
/// How long a thread has to take the signal: it was on a CPU just now, but may
/// have lost it.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(20);
/// How much longer when it is in the middle of copying.
const COPY_TIME_MAX: Duration = Duration::from_secs(1);
const FIRST_NAP: Duration = Duration::from_micros(20);
const LONGEST_NAP: Duration = Duration::from_micros(500);

/// Takes stacks of other threads. A watchdog keeps one: it holds the buffers,
/// which are made beforehand, and what is known about the loaded objects.
///
/// ```
/// use asyncwatch_stack::{Capturer, Still, Symboliser, Thread};
/// use std::sync::atomic::AtomicU64;
/// use std::sync::mpsc;
/// use std::{thread, time::Duration};
///
/// // An app's thread moves its counter at each poll; this one never does.
/// static POLLS: AtomicU64 = AtomicU64::new(1);
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (send, receive) = mpsc::channel();
/// thread::spawn(move || {
///     send.send(Thread::current()).unwrap();
///     thread::sleep(Duration::from_secs(60));
/// });
/// let sleeper = receive.recv()?;
/// # while !matches!(sleeper.activity(), asyncwatch_stack::Activity::Syscall(call)
/// #     if call.name().ends_with("nanosleep")) { thread::yield_now(); }
///
/// let mut capturer = Capturer::new()?;
/// let stack = capturer.capture(&sleeper, Still { seq: &POLLS, expected: 1 })?;
/// assert!(stack.complete);
///
/// // Elsewhere, because it is slow:
/// let mut symboliser = Symboliser::new();
/// let names: Vec<_> = stack
///     .addresses
///     .iter()
///     .flat_map(|&address| symboliser.resolve(address).to_vec())
///     .map(|symbol| symbol.function)
///     .collect();
/// assert!(names.iter().any(|name| name == "std::thread::sleep"
///     || name == "std::thread::functions::sleep"), "{names:#?}");
/// # Ok(())
/// # }
/// ```
pub struct Capturer {
    asker: Asker,
    signal: CaptureSignal,
    unwinder: Unwinder,
}

impl Capturer {
    /// Prepares everything: installs the signal handler, once per process,
    /// makes the buffers, and reads the list of loaded objects.
    pub fn new() -> Result<Capturer, Unsupported> {
        Ok(Capturer {
            signal: CaptureSignal::installed()?,
            asker: Asker::claim().ok_or(Unsupported::TooManyCapturers)?,
            unwinder: Unwinder::new(),
        })
    }

    /// The stack of `thread`, if `still` holds before, after, and, for a
    /// running thread, on that thread itself. Mostly takes less than half a millisecond;
    /// 40 ms if the thread is ready to run and gets no CPU, and a second if it
    /// loses its CPU in the middle of copying.
    ///
    /// A thread cannot be asked for its own stack in this way; see
    /// [`own_trace`](crate::own_trace).
    pub fn capture(&mut self, thread: &Thread, still: Still) -> Result<RawStack, CaptureError> {
        self.refresh();
        let found = self.attempts(thread, still, Sought::Stack)?;
        match still.holds() {
            true => Ok(found.stack),
            false => Err(CaptureError::Stale),
        }
    }

    /// Learns of objects that were loaded since.
    pub(super) fn refresh(&mut self) {
        self.unwinder.refresh();
    }

    /// Tries until the thread stood still for it.
    pub(super) fn attempts(
        &mut self,
        thread: &Thread,
        still: Still,
        sought: Sought,
    ) -> Result<Found, CaptureError> {
        for _ in 0..ATTEMPTS_MAX {
            if !still.holds() {
                return Err(CaptureError::Stale);
            }
            let place = thread.place();
            let found = match place {
                Place::Running => self.by_signal(thread, still, sought),
                Place::Syscall(call) => {
                    let at = (call.pc, call.sp);
                    self.by_memory(thread, place, How::Syscall(call), at, sought)
                }
                Place::Fault { sp, pc } => {
                    self.by_memory(thread, place, How::Fault, (pc, sp), sought)
                }
                Place::Gone => return Err(CaptureError::Gone),
                Place::Unknown => return Err(CaptureError::Denied),
            };
            match found {
                Err(CaptureError::Moved) => {}
                found => return found,
            }
        }
        Err(CaptureError::Moved)
    }

    /// Copies the stack of a thread that does not run, and keeps the copy only
    /// if the thread has not moved meanwhile.
    fn by_memory(
        &mut self,
        thread: &Thread,
        place: Place,
        how: How,
        (pc, sp): (u64, u64),
        sought: Sought,
    ) -> Result<Found, CaptureError> {
        let stack = thread.stack_around(sp);
        let live = live_part(&stack, sp).ok_or(CaptureError::ForeignStack)?;
        let buffer = self.asker.buffer().ok_or(CaptureError::Busy)?;
        let length = ((live.end - live.start) as usize).min(buffer.len());
        let read = Memory::Own.read(live.start, &mut buffer[..length]);
        if thread.place() != place {
            return Err(CaptureError::Moved);
        }
        if read == 0 {
            return Err(CaptureError::Denied);
        }
        let copy = StackCopy {
            base: live.start,
            bytes: &buffer[..read],
            top: stack.end,
        };
        let has_word = sought.is_in(&copy);
        let frames = match sought.wants_frames(has_word) {
            true => self.unwinder.in_kernel(pc, sp, &copy),
            false => Frames::default(),
        };
        Ok(found(frames, how, has_word))
    }

    fn by_signal(
        &mut self,
        thread: &Thread,
        still: Still,
        sought: Sought,
    ) -> Result<Found, CaptureError> {
        if thread.has_pending(self.signal.number()) {
            return Err(CaptureError::NoAnswer);
        }
        match gait::watch(thread, still) {
            Gait::Running => {}
            Gait::Stopped => return Err(CaptureError::Moved),
            Gait::Starved => return Err(CaptureError::NoAnswer),
            Gait::Stale => return Err(CaptureError::Stale),
        }
        // Of another's thread the stack is known once it has answered from where on it.
        let mut stack = thread.stack();
        if stack.is_empty() {
            let (_, at) = self.ask(thread, still, stack)?;
            stack = thread.stack_around(at.sp);
        }
        let (outcome, interrupted) = self.ask(thread, still, stack)?;
        let (_, _, copy) = self.asker.answer().ok_or(CaptureError::Busy)?;
        match outcome {
            Outcome::Copied => {
                let has_word = sought.is_in(&copy);
                let frames = match sought.wants_frames(has_word) {
                    true => self.unwinder.interrupted(interrupted, &copy),
                    false => Frames::default(),
                };
                Ok(found(frames, How::Signal, has_word))
            }
            Outcome::Stale => Err(CaptureError::Stale),
            Outcome::ForeignStack => Err(CaptureError::ForeignStack),
        }
    }

    /// Has the thread copy its stack, if it lies in `stack`.
    fn ask(
        &mut self,
        thread: &Thread,
        still: Still,
        stack: Range<u64>,
    ) -> Result<(Outcome, Interrupted), CaptureError> {
        let order = Order { still, stack };
        let sent = self.asker.post(order).ok_or(CaptureError::Busy)?;
        if let Err(error) = self.signal.send(thread.tid(), sent) {
            self.asker.withdraw(sent);
            return Err(send_error(&error));
        }
        let answered = self.wait(sent, still);
        thread.set_unanswered(answered.is_err());
        answered?;
        let (outcome, interrupted, _) = self.asker.answer().ok_or(CaptureError::Busy)?;
        Ok((outcome, interrupted))
    }

    /// Sleeps until the request is answered. Gives up when the time is over or
    /// the answer is no longer wanted, unless the handler has begun: then the
    /// buffer is the handler's, and leaving it to it is the last resort.
    fn wait(&mut self, sent: u64, still: Still) -> Result<(), CaptureError> {
        let begun = Instant::now();
        let mut nap = FIRST_NAP;
        loop {
            if self.asker.take(sent) {
                return Ok(());
            }
            let waited = begun.elapsed();
            let given_up = match still.holds() {
                true if waited < ANSWER_TIME_MAX => None,
                true => Some(CaptureError::NoAnswer),
                false => Some(CaptureError::Stale),
            };
            if let Some(reason) = given_up {
                if self.asker.withdraw(sent) {
                    return Err(reason);
                }
                if waited >= COPY_TIME_MAX {
                    return Err(CaptureError::Busy);
                }
            }
            sleep(nap);
            nap = LONGEST_NAP.min(nap * 2);
        }
    }
}

impl fmt::Debug for Capturer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capturer")
            .field("signal", &self.signal)
            .field("unwinder", &self.unwinder)
            .finish_non_exhaustive()
    }
}

/// What is wanted of a thread.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sought {
    /// Its stack.
    Stack,
    /// Its stack, if this word is on it.
    Word(u64),
}

/// What was found.
pub(super) struct Found {
    /// Empty where the word that was sought is not on it.
    pub(super) stack: RawStack,
    pub(super) has_word: bool,
}

impl Sought {
    fn is_in(self, copy: &StackCopy<'_>) -> bool {
        match self {
            Sought::Stack => false,
            Sought::Word(word) => copy
                .words_from(copy.base + RED_ZONE_BYTES)
                .any(|(_, found)| found == word),
        }
    }

    fn wants_frames(self, has_word: bool) -> bool {
        matches!(self, Sought::Stack) || has_word
    }
}

fn found(frames: Frames, how: How, has_word: bool) -> Found {
    Found {
        stack: RawStack {
            addresses: frames.addresses,
            how,
            complete: frames.complete,
        },
        has_word,
    }
}

/// The queue of signals is full, or the thread ended, or a sandbox minds.
fn send_error(error: &std::io::Error) -> CaptureError {
    match error.raw_os_error() {
        Some(libc::ESRCH) => CaptureError::Gone,
        Some(libc::EAGAIN) => CaptureError::NoAnswer,
        _ => CaptureError::Denied,
    }
}

#[cfg(test)]
mod tests {
    use super::Capturer;
    use crate::{Symboliser, Thread};

    fn can_move<T: Send>() {}
    fn can_be_shared<T: Sync>() {}

    #[test]
    fn a_watchdog_can_take_everything_along() {
        can_move::<Capturer>();
        can_move::<Symboliser>();
        can_move::<Thread>();
        can_be_shared::<Thread>();
    }

    #[test]
    fn more_capturers_than_one_may_be_made_and_given_back() {
        for _ in 0..100 {
            drop(Capturer::new().expect("those before were given back"));
        }
    }
}
