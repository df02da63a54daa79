//! Tasks that can never be woken again, and tasks that never stop waking themselves.
//!
//! The wakers of watched futures ([`wakes`](crate::probe::wakes)) tell what they saw
//! through bounded queues; the watchdog judges it here. Who seems to wait in vain is
//! looked at again for as long as nothing changes, and believed after the limit.

use std::{
    sync::{LazyLock, Weak, atomic::Ordering::Relaxed},
    time::Duration,
};

use asyncwatch_findings::{Code, humanise, message};
use asyncwatch_stack::RawStack;
use crossbeam_queue::ArrayQueue;

use crate::{
    clock::{self, Ticks},
    drops,
    large::Function,
    probe::note::{self, Note},
    registry::task::Task,
    report::{Detected, OnlyIf, Place},
    settings,
    slow::TaskIdentity,
};

/// Frames of a wake's stack that are kept.
pub(crate) const FRAMES_MAX: usize = 64;
/// Suspects that the watchdog has not met yet: it looks four times a second.
const SUSPECTS_QUEUE: usize = 256;
/// Suspects that are looked at again; further ones are left out, and counted.
const SUSPECTS_MAX: usize = 1_024;
/// Storms that were not reported yet: a thread can make at most ten in a second.
const STORMS_QUEUE: usize = 32;

static SUSPECTS: LazyLock<ArrayQueue<Suspect>> = LazyLock::new(|| ArrayQueue::new(SUSPECTS_QUEUE));
static STORMS: LazyLock<ArrayQueue<Storm>> = LazyLock::new(|| ArrayQueue::new(STORMS_QUEUE));

/// Makes the queues, so that the poll path never allocates them.
pub(crate) fn prepare() {
    LazyLock::force(&SUSPECTS);
    LazyLock::force(&STORMS);
}

/// A task that waits while nobody holds its waker.
struct Suspect {
    note: Weak<Note>,
    generation: u32,
    since: Ticks,
    task: TaskIdentity,
    lost: Lost,
}

/// How it came about that nobody holds the waker.
pub(crate) enum Lost {
    /// A poll returned `Pending` without having given it away; the innermost watched
    /// function that waits.
    NeverKept(Option<&'static Function>),
    /// The last clone was dropped later, with this stack.
    ThrownAway(RawStack),
}

/// A task that wakes itself all the time.
pub(crate) struct Storm {
    pub(crate) task: TaskIdentity,
    /// Of one of its wakes.
    pub(crate) stack: RawStack,
    /// No clone of its waker existed then.
    pub(crate) alone: bool,
    /// Polls in a row that ended so.
    pub(crate) polls: u32,
    pub(crate) lasted: Duration,
}

/// Has the watchdog look at a future that nobody seems able to wake.
pub(crate) fn suspect(note: Weak<Note>, task: &'static Task, lost: Lost) {
    let suspect = Suspect {
        note,
        generation: 0,
        since: 0,
        task: TaskIdentity::of(task),
        lost,
    };
    if let Err(suspect) = SUSPECTS.push(suspect) {
        suspect.let_go();
        drops::count(drops::What::Events(Code::LostWaker));
    }
}

/// Hands a storm to the watchdog.
pub(crate) fn storm(storm: Storm) {
    if STORMS.push(storm).is_err() {
        drops::count(drops::What::Events(Code::SelfWake));
    }
}

/// The watchdog's memory.
#[derive(Default)]
pub(crate) struct Waits {
    suspects: Vec<Suspect>,
}

impl Waits {
    /// Hands on what has become certain by now.
    pub(crate) fn look(&mut self) {
        while let Some(storm) = STORMS.pop() {
            crate::found(storm.detected());
        }
        while let Some(suspect) = SUSPECTS.pop() {
            if self.suspects.len() < SUSPECTS_MAX {
                self.suspects.push(suspect);
            } else {
                suspect.let_go();
                drops::count(drops::What::Events(Code::LostWaker));
            }
        }
        let now = clock::now();
        let limit = Duration::from_nanos(settings::limit_of(Code::LostWaker));
        self.suspects.retain_mut(|suspect| match suspect.look(now) {
            None => {
                suspect.let_go();
                false
            }
            Some(waited) if waited >= limit => {
                crate::found(suspect.detected(waited));
                // It stays marked: it is told once.
                false
            }
            Some(_) => true,
        });
    }
}

impl Suspect {
    /// For how long it has waited with nobody to wake it; `None` if it does not.
    fn look(&mut self, now: Ticks) -> Option<Duration> {
        let note = self.note.upgrade()?;
        let generation = note.generation();
        if self.generation != generation {
            // Met for the first time, or polled since.
            self.generation = generation;
            self.since = now;
        }
        // The reference counted by the runtime's own look is that of `note`.
        let state = note.task_state()?;
        let forgotten =
            note::is_abandoned(&note, 1) && state.is_asleep() && state.others_of_sleeper() == 1;
        forgotten.then(|| clock::to_duration(now.saturating_sub(self.since)))
    }

    /// It may be suspected again.
    fn let_go(&self) {
        if let Some(note) = self.note.upgrade() {
            note.suspected.store(false, Relaxed);
        }
    }

    fn detected(&self, waited: Duration) -> Detected {
        let who = message::task_name(Some(&self.task.to_ref()));
        let message = format!(
            "{who} has waited for {} and nobody is left to wake it",
            humanise(waited)
        );
        let detected = match &self.lost {
            Lost::NeverKept(function) => self.never_kept(*function, message),
            Lost::ThrownAway(stack) => self.thrown_away(stack, message),
        };
        Detected {
            task: Some(self.task),
            wall: Some(waited),
            ..detected
        }
    }

    fn never_kept(&self, function: Option<&'static Function>, message: String) -> Detected {
        let defined = function.and_then(|function| Some((function.name, function.defined?)));
        let place = match (defined, self.task.spawned_at) {
            (Some((name, (file, line))), _) => Place::Forgetful { name, file, line },
            (None, Some(spawned)) => Place::At(spawned),
            (None, None) => Place::Stack,
        };
        Detected {
            label: Some(match defined {
                Some(_) => "what it awaits kept no waker".to_owned(),
                None => "spawned here; what it awaits kept no waker".to_owned(),
            }),
            help: Some(
                "a `poll` that returns `Pending` has to store or pass on `cx.waker()` on every path, and whatever makes progress possible has to wake it"
                    .to_owned(),
            ),
            notes: vec![
                "in its last poll some future returned `Pending` without keeping the waker, and there is no other one: the task sleeps until it is aborted".to_owned(),
            ],
            only_if: defined
                .or(self.task.spawned_at.map(|at| ("", (at.file(), at.line()))))
                .map(|(function, (file, line))| OnlyIf::EndsSomeDay {
                    function,
                    file,
                    line,
                }),
            ..Detected::new(Code::LostWaker, message, place)
        }
    }

    fn thrown_away(&self, stack: &RawStack, message: String) -> Detected {
        Detected {
            label: Some("its last waker is dropped here, and was not called".to_owned()),
            otherwise: self.task.spawned_at,
            stacks: vec![(Duration::ZERO, stack.clone())],
            help: Some(
                "wake a waker before you replace or drop it, or keep one for each task that waits"
                    .to_owned(),
            ),
            notes: vec!["there is no other one: the task sleeps until it is aborted".to_owned()],
            ..Detected::new(Code::LostWaker, message, Place::Stack)
        }
    }
}

impl Storm {
    fn detected(self) -> Detected {
        let who = message::task_name(Some(&self.task.to_ref()));
        let own_wake = if self.alone {
            |frames: &[_]| asyncwatch_findings::is_own_wake(frames, true)
        } else {
            |frames: &[_]| asyncwatch_findings::is_own_wake(frames, false)
        };
        Detected {
            label: Some("wakes itself here, poll after poll".to_owned()),
            task: Some(self.task),
            stacks: vec![(self.lasted, self.stack.clone())],
            help: Some(
                "return `Pending` and leave the wake to what is waited for; wake at once only if the next poll can get further"
                    .to_owned(),
            ),
            notes: vec![
                "it never sleeps: its worker runs it over and over, and gets nothing done"
                    .to_owned(),
            ],
            only_if: Some(OnlyIf::Frames(self.stack, own_wake)),
            ..Detected::new(
                Code::SelfWake,
                format!(
                    "{who} woke itself in {} polls in a row, for {} by now",
                    self.polls,
                    humanise(self.lasted)
                ),
                Place::Stack,
            )
        }
    }
}
