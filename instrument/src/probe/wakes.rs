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
//!   [`waits`](crate::waits) to find out. The waker itself tells if it is thrown away
//!   later ([`note`](super::note)).
//! - **Storms**: the future calls the waker during its own poll, and again in the next
//!   one, thousands of times in a row.
//!
//! The last two need every poll, and are left out where their findings are allowed.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, Waker},
    time::Duration,
};

use asyncwatch_findings::Code;

use super::note::{self, BY_ITSELF, Note};
use crate::{
    clock::{self, Ticks},
    large::Function,
    registry::{
        slot::Slot,
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

impl Wakes {
    /// For a future whose numbers are in `task`. `timed` says to measure its
    /// scheduled time. `None` if there is nothing to find out.
    pub(crate) fn new(task: &'static Task, timed: bool) -> Option<Wakes> {
        let tracked = tracks();
        if !timed && !tracked {
            return None;
        }
        let note = Arc::new(Note::new(task, tracked));
        Some(Wakes {
            waker: note::waker(note.clone()),
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
            if note::is_abandoned(&self.note, 0) {
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
            && note.task_state().is_some()
            && !note.suspected.swap(true, Relaxed)
        {
            let innermost = match WAITS_IN.get() {
                WaitsIn::Function(function) => Some(function),
                _ => self.function,
            };
            waits::suspect(
                Arc::downgrade(note),
                note.task,
                waits::Lost::NeverKept(innermost),
            );
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
    use std::{panic::Location, task::Wake};

    use super::*;
    use crate::registry::{
        sites, slab, slots,
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
        assert!(note::is_abandoned(&wakes.note, 0));
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
        assert!(!note::is_abandoned(&wakes.note, 0));
        kept.take().expect("was kept").wake();
        assert!(
            !note::is_abandoned(&wakes.note, 0),
            "it was called meanwhile"
        );
        assert!(poll(&mut wakes, |_| Poll::Pending).is_pending());
        assert!(
            note::is_abandoned(&wakes.note, 0),
            "that was before this poll"
        );
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
