//! The waker of a watched future: when it is called, by whom, and who holds it.
//!
//! A watched future is polled with a waker of ours, which wakes the task's own. It
//! serves three ends:
//!
//! - **Scheduled time**: how long a woken future waited for its poll. That costs a
//!   clock reading, so it is noted for every one of the first polls and then for one
//!   in [`SAMPLE_EVERY`], with that weight: long-lived tasks get a good estimate, short
//!   ones exact numbers.
//! - **Lost wakers**: after a poll that returned `Pending`, nobody holds the waker, and
//!   nobody has called it. Whether that means what it seems to is for
//!   [`waits`](crate::waits) to find out.
//! - **Storms**: the future calls the waker during its own poll, and again in the next
//!   one, thousands of times in a row.
//!
//! The last two need every poll, and are left out where their findings are allowed.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{
            AtomicBool, AtomicU8, AtomicU32, AtomicU64,
            Ordering::{Acquire, Relaxed},
        },
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use asyncwatch_findings::Code;

use super::join_state::{self, TaskState};
use crate::{
    clock::{self, Ticks},
    large::Function,
    registry::{
        slot::Slot,
        slots,
        task::{Short, Task},
    },
    settings, waits,
};

const SAMPLE_ALL_FIRST: u32 = 32;
const SAMPLE_EVERY: u32 = 16;

/// From this self-woken poll in a row on a storm is measured: shorter streaks cost no
/// clock reading.
const STREAK_BEGINS: u32 = 32;
/// A storm is looked at once in so many polls.
const STREAK_LOOK: u32 = 256;
/// Shorter streaks are no storm, however many polls they have.
const STORM_MIN: Duration = Duration::from_millis(100);
/// In a storm, most polls are shorter than this: longer ones do some work.
const POLL_MAX: Duration = Duration::from_micros(10);

thread_local! {
    static WAITS_IN: Cell<WaitsIn> = const { Cell::new(WaitsIn::NotAsked) };
}

/// Which watched function the poll that runs waits in.
#[derive(Clone, Copy)]
enum WaitsIn {
    NotAsked,
    /// In none so far.
    Asked,
    /// The innermost one that returned `Pending`.
    Function(&'static Function),
}

/// A future of `function` returned `Pending`; the first one of a poll is the innermost.
#[inline]
pub(crate) fn waits_in(function: &'static Function) {
    if let WaitsIn::Asked = WAITS_IN.get() {
        WAITS_IN.set(WaitsIn::Function(function));
    }
}

/// Whether any poll has to be followed for its wakes.
fn tracks() -> bool {
    settings::wants(Code::LostWaker) || settings::wants(Code::SelfWake)
}

/// The waker of one watched future.
pub(crate) struct Wakes {
    note: Arc<Note>,
    waker: Waker,
    /// Scheduled time is measured.
    timed: bool,
    /// Every poll is followed.
    tracked: bool,
    polls: u32,
    /// Weight of the wake that is awaited; 0 if none is.
    awaited: u32,
    streak: Streak,
    /// The watched function that it is of, if it is of one.
    function: Option<&'static Function>,
}

/// References to a [`Note`] that [`Wakes`] itself holds.
const OWN_REFERENCES: usize = 2;

/// What a waker notes. Shared with whoever was given a clone of it.
pub(crate) struct Note {
    task: &'static Task,
    id: u64,
    /// The waker of the task that the future was first polled in.
    inner: OnceLock<Waker>,
    /// The next wake is to be timed.
    timed: AtomicBool,
    /// [`WOKEN`] and [`BY_ITSELF`] since the last poll began.
    woken: AtomicU8,
    /// Number of the slot whose thread polls it, plus one; 0 between polls.
    polled_by: AtomicU32,
    /// Grows with each poll.
    generation: AtomicU32,
    /// It is on the list of [`waits`].
    pub(crate) suspected: AtomicBool,
    /// The stack of the next wake by itself is asked for.
    capture: AtomicBool,
    /// Of the streak whose stack is asked for.
    streak: AtomicU32,
    streak_ticks: AtomicU64,
}

const WOKEN: u8 = 1;
const BY_ITSELF: u8 = 2;

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_or(WOKEN, Relaxed);
        self.pass_on();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_polled_here() {
            self.woken.fetch_or(WOKEN | BY_ITSELF, Relaxed);
            if self.capture.load(Relaxed) {
                self.tell_of_storm();
            }
        } else {
            self.woken.fetch_or(WOKEN, Relaxed);
        }
        self.pass_on();
    }
}

impl Note {
    #[inline]
    fn pass_on(&self) {
        if self.timed.load(Relaxed) && self.task.id() == self.id {
            self.task.woken(clock::now());
        }
        if let Some(inner) = self.inner.get() {
            inner.wake_by_ref();
        }
    }

    #[inline]
    fn is_polled_here(&self) -> bool {
        let polled_by = self.polled_by.load(Relaxed);
        polled_by != 0 && slots::known().is_some_and(|slot| slot.number + 1 == polled_by)
    }

    #[cold]
    fn tell_of_storm(self: &Arc<Self>) {
        if self.capture.swap(false, Relaxed) && self.task.id() == self.id {
            waits::storm(waits::Storm {
                task: crate::slow::TaskIdentity::of(self.task),
                stack: asyncwatch_stack::own_trace(waits::FRAMES_MAX),
                alone: Arc::strong_count(self) == OWN_REFERENCES,
                polls: self.streak.load(Relaxed),
                lasted: clock::to_duration(self.streak_ticks.load(Relaxed)),
            });
        }
    }

    /// The task it belongs to, as tokio has it; `None` if that is none, or not known.
    pub(crate) fn task_state(&self) -> Option<TaskState> {
        join_state::of(self.inner.get()?)
    }

    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Acquire)
    }

    /// Whether it is not polled, was not called since the last poll, and is held by
    /// nobody but its future and `others`.
    pub(crate) fn is_abandoned(self: &Arc<Self>, others: usize) -> bool {
        self.polled_by.load(Acquire) == 0
            && Arc::strong_count(self) == OWN_REFERENCES + others
            && self.woken.load(Acquire) == 0
    }
}

impl Wakes {
    /// For a future whose numbers are in `task`. `timed` says to measure its
    /// scheduled time. `None` if there is nothing to find out.
    pub(crate) fn new(task: &'static Task, timed: bool) -> Option<Wakes> {
        let tracked = tracks();
        if !timed && !tracked {
            return None;
        }
        let note = Arc::new(Note {
            task,
            id: task.id(),
            inner: OnceLock::new(),
            timed: AtomicBool::new(false),
            woken: AtomicU8::new(0),
            polled_by: AtomicU32::new(0),
            generation: AtomicU32::new(0),
            suspected: AtomicBool::new(false),
            capture: AtomicBool::new(false),
            streak: AtomicU32::new(0),
            streak_ticks: AtomicU64::new(0),
        });
        Some(Wakes {
            waker: Waker::from(note.clone()),
            note,
            timed,
            tracked,
            polls: 0,
            awaited: 0,
            streak: Streak::default(),
            function: None,
        })
    }

    /// Those of a future of `function`.
    pub(crate) fn of(mut self, function: &'static Function) -> Wakes {
        self.function = Some(function);
        self
    }

    /// Polls `future` with the waker.
    #[inline]
    pub(crate) fn poll<F: Future>(
        &mut self,
        future: Pin<&mut F>,
        context: &mut Context<'_>,
        slot: &'static Slot,
    ) -> Poll<F::Output> {
        if !self.begin(context.waker(), slot) {
            return future.poll(context);
        }
        let poll = future.poll(&mut Context::from_waker(&self.waker));
        if self.tracked {
            self.end(poll.is_pending());
            WAITS_IN.set(WaitsIn::NotAsked);
        }
        poll
    }

    /// A poll begins: settles the awaited wake, and tells whether to poll with the
    /// waker.
    ///
    /// A future that has moved to another task since its first poll is polled with
    /// that task's own waker: nothing is known of its wakes any more.
    #[inline]
    fn begin(&mut self, outer: &Waker, slot: &'static Slot) -> bool {
        if self.awaited > 0 {
            let awaited = u64::from(self.awaited);
            self.note.task.settle_wake(slot.began(), awaited);
        }
        self.awaited = if self.timed { self.weight() } else { 0 };
        self.polls = self.polls.wrapping_add(1);
        if self.awaited == 0 && !self.tracked {
            return false;
        }
        let note = &*self.note;
        if !note.inner.get_or_init(|| outer.clone()).will_wake(outer) {
            return false;
        }
        note.timed.store(self.awaited > 0, Relaxed);
        if self.tracked {
            WAITS_IN.set(WaitsIn::Asked);
            note.woken.store(0, Relaxed);
            note.generation.store(self.polls, Relaxed);
            note.polled_by.store(slot.number + 1, Relaxed);
        }
        true
    }

    /// A poll has ended.
    #[inline]
    fn end(&mut self, pending: bool) {
        self.note.polled_by.store(0, Relaxed);
        if !pending {
            return;
        }
        if self.note.woken.load(Relaxed) & BY_ITSELF != 0 {
            self.streak.length += 1;
            if self.streak.length.is_multiple_of(STREAK_BEGINS) {
                self.go_on();
            }
        } else {
            self.streak.length = 0;
            if self.note.is_abandoned(0) {
                self.suspect();
            }
        }
    }

    /// The streak goes on: is it a storm by now?
    #[cold]
    fn go_on(&mut self) {
        let length = self.streak.length;
        let task = self.note.task;
        if length == STREAK_BEGINS {
            self.streak = Streak {
                length,
                began: clock::now(),
                short: task.short_polls(),
                told: false,
            };
            return;
        }
        let due = length.is_multiple_of(STREAK_LOOK) && !self.streak.told;
        if due && settings::wants(Code::SelfWake) {
            let ticks = clock::now().saturating_sub(self.streak.began);
            let lasted = clock::to_duration(ticks);
            if is_storm(length, lasted, self.streak.short, task.short_polls()) {
                self.streak.told = true;
                self.note.streak.store(length, Relaxed);
                self.note.streak_ticks.store(ticks, Relaxed);
                self.note.capture.store(true, Relaxed);
            }
        }
    }

    #[cold]
    fn suspect(&self) {
        let note = &self.note;
        if settings::wants(Code::LostWaker)
            && note.task.id() == note.id
            && !note.suspected.load(Relaxed)
            && note.task_state().is_some()
        {
            note.suspected.store(true, Relaxed);
            let innermost = match WAITS_IN.get() {
                WaitsIn::Function(function) => Some(function),
                _ => self.function,
            };
            waits::suspect(Arc::downgrade(note), note.task, innermost);
        }
    }

    fn weight(&self) -> u32 {
        if self.polls < SAMPLE_ALL_FIRST {
            1
        } else if self.polls.is_multiple_of(SAMPLE_EVERY) {
            SAMPLE_EVERY
        } else {
            0
        }
    }
}

/// Polls in a row in each of which the future woke itself.
#[derive(Default)]
struct Streak {
    length: u32,
    /// At poll [`STREAK_BEGINS`] of it, like what follows.
    began: Ticks,
    short: Short,
    told: bool,
}

/// Whether `length` self-woken polls in a row, the last ones in `lasted`, are a storm:
/// so many, for so long, and nothing done in them.
fn is_storm(length: u32, lasted: Duration, before: Short, now: Short) -> bool {
    let polls = now.polls.saturating_sub(before.polls);
    let idle = match (before.short, now.short) {
        // A descheduled thread makes some polls long, not most.
        (Some(before), Some(now)) => now.saturating_sub(before) * 10 >= polls * 9,
        _ => lasted < POLL_MAX * (length - STREAK_BEGINS).max(1),
    };
    u64::from(length) >= settings::limit_of(Code::SelfWake) && lasted >= STORM_MIN && idle
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::*;
    use crate::registry::{
        sites, slab,
        task::{Birth, Kind},
    };

    fn task() -> &'static Task {
        slab::insert(&Birth {
            id: 1 << 59,
            kind: Kind::Task,
            site: sites::of(Location::caller(), Kind::Task),
            name: None,
            parent: 0,
            runtime: 0,
        })
        .expect("room")
    }

    /// Wakes that track, whatever the settings are.
    fn tracking() -> Wakes {
        let mut wakes = Wakes::new(task(), true).expect("it is timed");
        wakes.tracked = true;
        wakes
    }

    struct Nobody;

    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }

    fn poll(wakes: &mut Wakes, work: impl FnMut(&mut Context<'_>) -> Poll<()>) -> Poll<()> {
        let slot = slots::current().expect("a slot");
        let future = std::pin::pin!(std::future::poll_fn(work));
        let new = || Waker::from(Arc::new(Nobody));
        let outer = wakes.note.inner.get_or_init(new).clone();
        wakes.poll(future, &mut Context::from_waker(&outer), slot)
    }

    #[test]
    fn a_waker_that_nobody_kept_is_abandoned() {
        let mut wakes = tracking();
        assert!(poll(&mut wakes, |_| Poll::Pending).is_pending());
        assert!(wakes.note.is_abandoned(0));
    }

    #[test]
    fn a_waker_that_is_kept_or_was_called_is_not() {
        let mut wakes = tracking();
        let mut kept = None;
        let waits = poll(&mut wakes, |context| {
            kept = Some(context.waker().clone());
            Poll::Pending
        });
        assert!(waits.is_pending());
        assert!(!wakes.note.is_abandoned(0));
        kept.take().expect("was kept").wake();
        assert!(!wakes.note.is_abandoned(0), "it was called meanwhile");
        assert!(poll(&mut wakes, |_| Poll::Pending).is_pending());
        assert!(wakes.note.is_abandoned(0), "that was before this poll");
    }

    #[test]
    fn only_wakes_by_reference_in_the_poll_itself_make_a_streak() {
        let mut wakes = tracking();
        for _ in 0..3 {
            let _ = poll(&mut wakes, |context| {
                context.waker().wake_by_ref();
                Poll::Pending
            });
        }
        assert_eq!(wakes.streak.length, 3);
        let mut kept = None;
        let _ = poll(&mut wakes, |context| {
            kept = Some(context.waker().clone());
            Poll::Pending
        });
        kept.take().expect("was kept").wake_by_ref();
        assert_eq!(wakes.streak.length, 0);
        let _ = poll(&mut wakes, |context| {
            let clone = context.waker().clone();
            kept = Some(clone);
            kept.take().expect("was kept").wake();
            Poll::Pending
        });
        assert_eq!(wakes.streak.length, 0, "a clone may be anybody's");
    }

    #[test]
    fn a_storm_is_long_and_does_nothing() {
        let polls = |polls, short| Short {
            polls,
            short: Some(short),
        };
        let lasted = Duration::from_millis(200);
        settings::set(Code::SelfWake, asyncwatch_findings::Level::Warn, 5_000);
        let storm = |length, lasted, now| is_storm(length, lasted, polls(0, 0), now);
        assert!(storm(9_000, lasted, polls(9_000, 8_900)));
        assert!(!storm(9_000, lasted, polls(9_000, 4_000)), "it works");
        assert!(!storm(4_000, lasted, polls(4_000, 4_000)), "too few");
        assert!(!storm(9_000, STORM_MIN / 2, polls(9_000, 9_000)));
        let untimed = Short {
            polls: 0,
            short: None,
        };
        assert!(is_storm(90_000, lasted, untimed, untimed));
        assert!(!is_storm(9_000, lasted, untimed, untimed));
    }
}
