//! Futures that are large: counted where tasks poll them first, told by the watchdog.
//!
//! The first poll of a task is when everything is known: how large the future is, what
//! made it, and where the task was spawned. Places are kept in a fixed table, so that a
//! poll only counts; what is new in it goes to the reporter.

use std::sync::{
    LazyLock, OnceLock,
    atomic::{
        AtomicBool, AtomicU64,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
};

use asyncwatch_findings::Code;
use crossbeam_queue::ArrayQueue;

use crate::{
    drops,
    registry::task::Task,
    report::{LargeFuture, Reporter},
    settings,
    slow::TaskIdentity,
    source::SourceLine,
    trial,
};

/// 256 places of about 200 bytes: 50 KiB. A program that makes large futures at more
/// has been told enough.
const PLACES: usize = 256;

static TABLE: [Place; PLACES] = [const { Place::new() }; PLACES];
/// Those of tests with a rule for them, until the watchdog's next look.
static OF_TESTS: LazyLock<ArrayQueue<First>> = LazyLock::new(|| ArrayQueue::new(PLACES));
/// Something was counted since the last look.
static COUNTED: AtomicBool = AtomicBool::new(false);

/// A place that makes large futures.
struct Place {
    first: OnceLock<First>,
    count: AtomicU64,
    told: AtomicU64,
}

/// The first large future of a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct First {
    pub(crate) function: Function,
    pub(crate) bytes: usize,
    /// Where the future was made.
    pub(crate) made: SourceLine,
    pub(crate) task: TaskIdentity,
}

/// What made a future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its path, or what the type of the future tells of it.
    pub(crate) name: &'static str,
    /// File and line of its definition, where they are known.
    pub(crate) defined: Option<(&'static str, u32)>,
}

/// Makes the queue, so that the poll path never allocates it.
pub(crate) fn prepare() {
    LazyLock::force(&OF_TESTS);
}

/// Counts a future of `bytes` that `task` polls for the first time, if that is large.
#[inline]
pub(crate) fn note(bytes: usize, function: Function, made: SourceLine, task: &'static Task) {
    if bytes as u64 >= settings::limit_of(Code::LargeFuture) && settings::wants(Code::LargeFuture) {
        count(bytes, function, made, task);
    }
}

#[cold]
fn count(bytes: usize, function: Function, made: SourceLine, task: &'static Task) {
    // One that makes very many leaves room for others: the rest counts with the common ones.
    if trial::keeps(task.runtime(), Code::LargeFuture) {
        let task = TaskIdentity::of(task);
        return of_a_test(First {
            function,
            bytes,
            made,
            task,
        });
    }
    let start = made.line() as usize * 31 + made.column() as usize;
    let found = (start..start + PLACES).find_map(|n| {
        let place = &TABLE[n % PLACES];
        let first = place.first.get_or_init(|| First {
            function,
            bytes,
            made,
            task: TaskIdentity::of(task),
        });
        (first.made == made && first.function == function).then_some(place)
    });
    match found {
        Some(place) => {
            place.count.fetch_add(1, AcqRel);
            COUNTED.store(true, Release);
        }
        None => drops::count(drops::What::Findings),
    }
}

/// A test that has a rule for them answers for its own, wherever else they are made.
fn of_a_test(first: First) {
    match OF_TESTS.push(first) {
        Ok(()) => COUNTED.store(true, Release),
        Err(_) => drops::count(drops::What::Findings),
    }
}

/// Hands on what was counted since the last call. For the watchdog.
pub(crate) fn hand_in(reporter: &Reporter) {
    if !COUNTED.swap(false, Acquire) {
        return;
    }
    while let Some(first) = OF_TESTS.pop() {
        reporter.large_future(LargeFuture { first, count: 1 });
    }
    for place in &TABLE {
        let Some(&first) = place.first.get() else {
            continue;
        };
        let count = place.count.load(Acquire);
        let new = count - place.told.swap(count, Relaxed);
        if new > 0 {
            reporter.large_future(LargeFuture { first, count: new });
        }
    }
}

impl Place {
    const fn new() -> Place {
        Place {
            first: OnceLock::new(),
            count: AtomicU64::new(0),
            told: AtomicU64::new(0),
        }
    }
}
