//! Tasks that have ended while nobody awaited them.
//!
//! A panic that ends a task goes into its `JoinHandle`, and so does its output.
//! [`join_state`](crate::probe::join_state) tells whether that handle still exists:
//!
//! - A task panics after its handle was dropped: nobody will ever know. Told at once.
//! - It panics while its handle is kept but not awaited: that may still come. Told
//!   only if the program ends before it does.
//! - It returns, and its handle is kept: outputs that nobody takes pile up. Some of
//!   each site are looked at again and again; [`is_pile`] judges them.

use std::{
    collections::HashMap,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::Waker,
    time::Duration,
};

use asyncwatch_findings::{Code, message};
use asyncwatch_stack::own_trace;
use crossbeam_queue::ArrayQueue;

use crate::{
    clock::{self, Ticks},
    drops,
    panics::{self, Panicked},
    probe::join_state::{self, TaskState},
    registry::{sites::Site, task::Task},
    report::{Detected, OnlyIf, Place},
    settings,
    slow::TaskIdentity,
    trial,
};

/// Panics whose handle is still kept. Each has two stacks: about 4 KiB.
const PANICS_MAX: usize = 64;
/// Ended tasks on their way to the watchdog, which looks four times a second.
const RETURNED_QUEUE: usize = 512;
/// Ended tasks of one site that are looked at again, at least and at most: as many as
/// the limit asks for. Their memory stays with us for up to a look longer than it would.
const SAMPLES_MIN: u64 = 64;
const SAMPLES_MAX: u64 = 4_096;
/// Sites that are told apart when samples are counted.
const COUNTERS: usize = 256;
/// A task whose end was announced has ended by then, or did not end.
const PATIENCE: Duration = Duration::from_secs(1);
/// While a program runs, outputs may be taken later: only a pile that stands and grows
/// for so long is one.
const STANDING_MIN: Duration = Duration::from_secs(60);

static PANICKED: LazyLock<ArrayQueue<Panic>> = LazyLock::new(|| ArrayQueue::new(PANICS_MAX));
static RETURNED: LazyLock<ArrayQueue<Returned>> = LazyLock::new(|| ArrayQueue::new(RETURNED_QUEUE));
/// Samples of the sites with each [`counter`].
static SAMPLES: [AtomicU32; COUNTERS] = [const { AtomicU32::new(0) }; COUNTERS];
/// Ended tasks that were no samples.
static BEYOND: [AtomicU32; COUNTERS] = [const { AtomicU32::new(0) }; COUNTERS];

/// Makes the queues, so that the poll path never allocates them.
pub(crate) fn prepare() {
    LazyLock::force(&PANICKED);
    LazyLock::force(&RETURNED);
}

/// An ended task, kept by its waker.
struct Ended {
    waker: Waker,
    runtime: u64,
    at: Ticks,
}

impl Ended {
    /// What became of it; `None` if it did not end after all.
    fn fate(&self, now: Ticks) -> Option<Fate> {
        let state = join_state::of(&self.waker)?;
        let age = clock::to_duration(now.saturating_sub(self.at));
        match state.is_complete() {
            true if state.has_handle() => Some(Fate::Kept),
            true => Some(Fate::LetGo),
            false if age < PATIENCE => Some(Fate::Ending),
            false => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// Its last poll still runs.
    Ending,
    /// Its handle exists.
    Kept,
    /// Its handle is gone: its output may have been taken.
    LetGo,
}

struct Panic {
    ended: Ended,
    detected: Detected,
}

struct Returned {
    ended: Ended,
    task: TaskIdentity,
    site: &'static Site,
    /// The test that has a rule for it, as long as that ran when it returned.
    test: u64,
}

/// A panic unwinds through the poll of a watched future, which began at `began`. To be
/// called while it does.
#[cold]
pub(crate) fn panicked(waker: &Waker, task: Option<&'static Task>, began: Ticks) {
    if !settings::wants(Code::PanicUnobserved) {
        return;
    }
    let Some(state) = join_state::of(waker) else {
        return;
    };
    if state.is_awaited() {
        return;
    }
    let detected = unobserved(task, panics::take_since(began), state);
    if !state.has_handle() {
        return crate::found(detected);
    }
    let panic = Panic {
        ended: ended(waker, task),
        detected,
    };
    if PANICKED.push(panic).is_err() {
        drops::count(drops::What::Events(Code::PanicUnobserved));
    }
}

/// A watched future has returned; it may have been the whole of its task.
#[cold]
pub(crate) fn returned(waker: &Waker, task: &'static Task) {
    let kept = join_state::of(waker).is_some_and(TaskState::has_handle);
    let Some(site) = task.site().filter(|_| kept && !task.is_detached()) else {
        return;
    };
    let test = trial::with_rule(task.runtime(), Code::Unjoined);
    let counter = counter(site, test);
    if SAMPLES[counter].fetch_add(1, Relaxed) >= samples_per_site() {
        SAMPLES[counter].fetch_sub(1, Relaxed);
        BEYOND[counter].fetch_add(1, Relaxed);
        return;
    }
    let returned = Returned {
        ended: ended(waker, Some(task)),
        task: TaskIdentity::of(task),
        site,
        test,
    };
    if RETURNED.push(returned).is_err() {
        SAMPLES[counter].fetch_sub(1, Relaxed);
    }
}

/// Which of the [`COUNTERS`] counts the ended tasks of a site, or those that one `test`
/// spawned there.
fn counter(site: &Site, test: u64) -> usize {
    (u64::from(site.id) + test.wrapping_mul(31)) as usize % COUNTERS
}

fn samples_per_site() -> u32 {
    settings::limit_of(Code::Unjoined).clamp(SAMPLES_MIN, SAMPLES_MAX) as u32
}

fn ended(waker: &Waker, task: Option<&'static Task>) -> Ended {
    Ended {
        waker: waker.clone(),
        runtime: task.map_or(0, Task::runtime),
        at: clock::now(),
    }
}

fn unobserved(
    task: Option<&'static Task>,
    panicked: Option<Panicked>,
    state: TaskState,
) -> Detected {
    let task = task.map(TaskIdentity::of);
    let who = message::task_name(task.map(TaskIdentity::to_ref).as_ref());
    let what = match &panicked {
        Some(Panicked { message, .. }) if !message.is_empty() => format!(": {message}"),
        _ => String::new(),
    };
    let spawned = task.and_then(|task| task.spawned_at);
    let (place, label) = match (&panicked, spawned) {
        (None, Some(spawned)) => (Place::At(spawned), "spawned here, and panicked"),
        _ => (Place::Stack, "panicked here"),
    };
    let handle = if state.has_handle() {
        "its `JoinHandle` was kept to the end and never awaited"
    } else {
        "its `JoinHandle` had been dropped, so nobody can learn of it"
    };
    Detected {
        label: Some(label.to_owned()),
        task,
        stacks: panicked
            .into_iter()
            .map(|panicked| (Duration::ZERO, panicked.stack))
            .collect(),
        help: Some(
            "await the `JoinHandle`, or spawn into a `JoinSet` and look at what `join_next` returns"
                .to_owned(),
        ),
        notes: vec![handle.to_owned()],
        only_if: Some(OnlyIf::Frames(
            own_trace(panics::FRAMES_MAX),
            asyncwatch_findings::ends_its_task,
        )),
        ..Detected::new(
            Code::PanicUnobserved,
            format!("{who} panicked and nobody awaits it{what}"),
            place,
        )
    }
}

/// The watchdog's memory.
#[derive(Default)]
pub(crate) struct Endings {
    panics: Vec<Panic>,
    /// By site, and by runtime where a test has a rule for them.
    piles: HashMap<(u32, u64), Pile>,
}

/// Ended tasks of one site whose handles are kept.
struct Pile {
    site: &'static Site,
    counter: usize,
    samples: Vec<Returned>,
    /// Handles of the site that were let go after the task had ended.
    taken: u64,
    /// Ended tasks beyond the samples when the pile first stood.
    beyond: u32,
    /// Since when there have been enough of them.
    standing: Option<Ticks>,
    told: bool,
}

/// What is known of a pile.
#[derive(Clone, Copy, Debug)]
struct Facts {
    /// Ended tasks that wait to be joined, at least.
    waiting: u64,
    taken: u64,
    /// For how long enough of them have waited.
    standing: Duration,
    /// More have ended in that time.
    grows: bool,
}

/// Whether finished tasks are left lying, rather than about to be joined. At the end of
/// the program nobody will; before, only what stands and grows for long, while not one
/// is ever taken, is believed.
fn is_pile(facts: Facts, over: bool, limit: u64) -> bool {
    let left = facts.taken == 0 && facts.standing >= STANDING_MIN && facts.grows;
    facts.waiting >= limit && (over || left)
}

impl Endings {
    /// Looks at the ended tasks again, and hands on what has become certain by now.
    pub(crate) fn look(&mut self) {
        let now = clock::now();
        self.take_in();
        self.panics
            .retain(|panic| !matches!(panic.ended.fate(now), None | Some(Fate::LetGo)));
        let limit = settings::limit_of(Code::Unjoined);
        for pile in self.piles.values_mut() {
            if pile.told {
                pile.let_go();
            }
            pile.look(now, limit);
            if !pile.told && is_pile(pile.facts(now), false, limit) {
                pile.tell();
            }
        }
        self.piles
            .retain(|_, pile| pile.told || !pile.samples.is_empty());
    }

    /// Hands on what nobody will take any more: the root future of `runtime` has
    /// returned, or the process ends.
    pub(crate) fn at_end(&mut self, runtime: Option<u64>) {
        self.look();
        let now = clock::now();
        let over = |ended: &Ended| runtime.is_none_or(|runtime| ended.runtime == runtime);
        for panic in self.panics.extract_if(.., |panic| over(&panic.ended)) {
            if panic.ended.fate(now) == Some(Fate::Kept) {
                crate::found(panic.detected);
            }
        }
        let limit = settings::limit_of(Code::Unjoined);
        for pile in self.piles.values_mut().filter(|pile| !pile.told) {
            let theirs = pile.samples.iter().all(|sample| over(&sample.ended));
            if theirs && is_pile(pile.facts(now), true, limit) {
                pile.tell();
            }
        }
    }

    fn take_in(&mut self) {
        while let Some(panic) = PANICKED.pop() {
            if self.panics.len() < PANICS_MAX {
                self.panics.push(panic);
            } else {
                drops::count(drops::What::Events(Code::PanicUnobserved));
            }
        }
        while let Some(returned) = RETURNED.pop() {
            self.piles
                .entry((returned.site.id, returned.test))
                .or_insert_with(|| Pile::of(returned.site, returned.test))
                .samples
                .push(returned);
        }
    }
}

impl Pile {
    fn of(site: &'static Site, test: u64) -> Pile {
        Pile {
            site,
            counter: counter(site, test),
            samples: Vec::new(),
            taken: 0,
            beyond: 0,
            standing: None,
            told: false,
        }
    }

    /// Lets go of those that were joined, or did not end.
    fn look(&mut self, now: Ticks, limit: u64) {
        let before = self.samples.len();
        let taken = &mut self.taken;
        self.samples.retain(|sample| match sample.ended.fate(now) {
            Some(Fate::LetGo) => {
                *taken += 1;
                false
            }
            fate => fate.is_some(),
        });
        let gone = before - self.samples.len();
        SAMPLES[self.counter].fetch_sub(gone as u32, Relaxed);
        if (self.kept(now) as u64) < limit {
            self.standing = None;
        } else if self.standing.is_none() {
            self.standing = Some(now);
            self.beyond = BEYOND[self.counter].load(Relaxed);
        }
    }

    /// There is nothing more to say of them; others of the site have their turn.
    fn let_go(&mut self) {
        let count = std::mem::take(&mut self.samples).len();
        SAMPLES[self.counter].fetch_sub(count as u32, Relaxed);
    }

    fn kept(&self, now: Ticks) -> usize {
        let kept = |sample: &&Returned| sample.ended.fate(now) == Some(Fate::Kept);
        self.samples.iter().filter(kept).count()
    }

    fn facts(&self, now: Ticks) -> Facts {
        let standing = self.standing.map_or(0, |since| now.saturating_sub(since));
        Facts {
            waiting: self.kept(now) as u64,
            taken: self.taken,
            standing: clock::to_duration(standing),
            grows: BEYOND[self.counter].load(Relaxed) != self.beyond,
        }
    }

    fn tell(&mut self) {
        self.told = true;
        let Some(sample) = self.samples.first() else {
            return;
        };
        let count = self.samples.len();
        let least = if count as u32 >= samples_per_site() {
            "at least "
        } else {
            ""
        };
        let who = message::task_name(Some(&sample.task.to_ref()));
        crate::found(Detected {
            label: Some(format!("spawned here; {least}{count} finished and were never joined")),
            task: Some(sample.task),
            help: Some(
                "take the outputs as tasks finish (`JoinSet::join_next`), or drop the handles of tasks whose outcome nobody needs"
                    .to_owned(),
            ),
            notes: vec![
                "each keeps its output and its memory until its handle is awaited or dropped"
                    .to_owned(),
            ],
            ..Detected::new(
                Code::Unjoined,
                format!("{least}{count} finished tasks such as {who} wait for somebody to take their output"),
                Place::At(self.site.location),
            )
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 32;

    fn facts(waiting: u64) -> Facts {
        Facts {
            waiting,
            taken: 0,
            standing: STANDING_MIN,
            grows: true,
        }
    }

    #[test]
    fn what_stands_and_grows_is_a_pile() {
        assert!(is_pile(facts(LIMIT), false, LIMIT));
        assert!(!is_pile(facts(LIMIT - 1), false, LIMIT));
    }

    #[test]
    fn a_batch_that_may_still_be_joined_is_none() {
        let young = Facts {
            standing: STANDING_MIN / 2,
            ..facts(64)
        };
        assert!(!is_pile(young, false, LIMIT));
        let complete = Facts {
            grows: false,
            ..facts(64)
        };
        assert!(!is_pile(complete, false, LIMIT));
        let drained = Facts {
            taken: 1,
            ..facts(64)
        };
        assert!(!is_pile(drained, false, LIMIT));
    }

    #[test]
    fn at_the_end_nobody_joins_any_more() {
        let facts = Facts {
            standing: Duration::ZERO,
            grows: false,
            taken: 7,
            ..facts(LIMIT)
        };
        assert!(is_pile(facts, true, LIMIT));
        assert!(!is_pile(
            Facts {
                waiting: 31,
                ..facts
            },
            true,
            LIMIT
        ));
    }
}
