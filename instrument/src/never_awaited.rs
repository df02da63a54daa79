//! Futures that are dropped without ever having been polled.
//!
//! The future of a `#[asyncwatch::watch]`ed function
//! ([`OfFn`](crate::probe::of_fn::OfFn)) holds an [`Unawaited`]: one word that
//! remembers where it was made, and that is forgotten at the first poll. If it is dropped
//! instead, the place and a raw stack of the drop go to the reporter, which tells what is
//! a mistake from what is not: a branch of a `select!` that lost before it was polled, a
//! task that was aborted before it ran. What it thinks of the first drops of a place holds
//! for later ones, which are only counted, however many there are.

use std::{
    collections::HashMap,
    marker::PhantomData,
    mem,
    panic::Location,
    sync::{
        Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use asyncwatch_findings::Code;

use crate::{
    INSTALLED, clock, drops,
    registry::slots,
    report::{DroppedUnawaited, Reporter},
    settings,
    slow::TaskIdentity,
    trial,
};

/// Frames of the drop's stack that are kept.
const FRAMES_MAX: usize = 64;
/// Places that make futures which are dropped: past this many none is reported.
const PLACES_MAX: usize = 1_024;
/// Drops per place that are reported with a stack; later ones are counted only.
const TRACED_PER_PLACE: u32 = 16;
/// Places whose count is handed in at a time: fewer than the reporter's queue has room for.
const HANDED_IN_MAX: usize = 200;

/// A function whose futures are watched; implemented by `#[asyncwatch::watch]`.
pub trait WatchedFn {
    /// Module path, type and function.
    const NAME: &'static str;
    /// File of the definition, as in [`Location::file`].
    const FILE: &'static str;
    /// Line of the function's name.
    const LINE: u32;
    /// The function itself puts its futures into boxes.
    const BOXED: bool = false;
}

/// Held by a watched future until its first poll.
pub(crate) struct Unawaited<F: WatchedFn> {
    made: &'static Location<'static>,
    function: PhantomData<fn() -> F>,
}

impl<F: WatchedFn> Unawaited<F> {
    /// Notes where the future is made.
    #[track_caller]
    #[inline]
    pub(crate) fn new() -> Self {
        Unawaited {
            made: Location::caller(),
            function: PhantomData,
        }
    }

    /// The future is polled: there is nothing to report any more. Tells where it was
    /// made.
    #[inline]
    pub(crate) fn polled(self) -> &'static Location<'static> {
        let made = self.made;
        mem::forget(self);
        made
    }
}

impl<F: WatchedFn> std::fmt::Debug for Unawaited<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Unawaited({} at {})", F::NAME, self.made)
    }
}

impl<F: WatchedFn> Drop for Unawaited<F> {
    fn drop(&mut self) {
        // A thread that panics drops what it holds; that is no mistake of its own.
        if settings::on() && !std::thread::panicking() {
            dropped(F::NAME, F::FILE, F::LINE, self.made);
        }
    }
}

/// A stretch of source whose futures may be dropped unpolled: a `select!`.
#[derive(Debug)]
pub struct SkipRange {
    file: &'static str,
    start: (u32, u32),
    end: (u32, u32),
    registered: AtomicBool,
}

impl SkipRange {
    /// From the first character to the one after the last; lines and columns from 1.
    pub const fn new(file: &'static str, start: (u32, u32), end: (u32, u32)) -> SkipRange {
        SkipRange {
            file,
            start,
            end,
            registered: AtomicBool::new(false),
        }
    }

    fn contains(&self, place: &Location<'_>) -> bool {
        let at = (place.line(), place.column());
        self.file == place.file() && self.start <= at && at < self.end
    }
}

/// Ranges are static items of the program: as many as it has `select!`s.
static RANGES: RwLock<Vec<&'static SkipRange>> = RwLock::new(Vec::new());

/// Futures made inside `range` may be dropped unpolled. Cheap after the first call.
#[inline]
pub fn may_skip(range: &'static SkipRange) {
    if !range.registered.load(Relaxed) {
        register(range);
    }
}

#[cold]
fn register(range: &'static SkipRange) {
    if !range.registered.swap(true, Relaxed) {
        RANGES
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(range);
    }
}

static DROPPED: Mutex<Option<HashMap<Place, Counted>>> = Mutex::new(None);

/// Who made the future, and where.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    function: &'static str,
    defined: (&'static str, u32),
    made: &'static Location<'static>,
}

/// What was dropped of a place.
#[derive(Default)]
struct Counted {
    traced: u32,
    /// Without a stack, and not handed in yet.
    untold: u64,
}

#[cold]
fn dropped(
    function: &'static str,
    file: &'static str,
    line: u32,
    made: &'static Location<'static>,
) {
    let Some(installed) = INSTALLED.get() else {
        return;
    };
    if may_be_skipped(made) {
        return;
    }
    let place = Place {
        function,
        defined: (file, line),
        made,
    };
    let runtime = slots::runtime_here();
    match is_traced(place, runtime) {
        Some(true) => installed.reporter.unawaited(DroppedUnawaited {
            stack: Some(asyncwatch_stack::own_trace(FRAMES_MAX)),
            task: slots::known()
                .and_then(|slot| slot.current())
                .map(TaskIdentity::of),
            runtime,
            ..place.dropped(1)
        }),
        Some(false) => {}
        None => drops::count(drops::What::Findings),
    }
}

impl Place {
    /// So many drops, of which nothing else is known.
    fn dropped(self, count: u64) -> DroppedUnawaited {
        DroppedUnawaited {
            function: self.function,
            defined: self.defined,
            made: self.made,
            count,
            stack: None,
            task: None,
            runtime: 0,
            unix_ns: clock::now_unix_ns(),
        }
    }
}

/// Hands on what was only counted since the last call. For the watchdog.
pub(crate) fn hand_in(reporter: &Reporter) {
    let mut dropped = DROPPED.lock().unwrap_or_else(PoisonError::into_inner);
    let untold: Vec<DroppedUnawaited> = dropped
        .iter_mut()
        .flatten()
        .filter(|(_, counted)| counted.untold > 0)
        .take(HANDED_IN_MAX)
        .map(|(place, counted)| place.dropped(mem::take(&mut counted.untold)))
        .collect();
    drop(dropped);
    for dropped in untold {
        reporter.unawaited(dropped);
    }
}

fn may_be_skipped(made: &Location<'_>) -> bool {
    RANGES
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .iter()
        .any(|range| range.contains(made))
}

/// Counts a drop, and tells whether its stack is to be taken; `None` past the bound.
fn is_traced(place: Place, runtime: u64) -> Option<bool> {
    let mut dropped = DROPPED.lock().unwrap_or_else(PoisonError::into_inner);
    let dropped = dropped.get_or_insert_default();
    if dropped.len() >= PLACES_MAX && !dropped.contains_key(&place) {
        return None;
    }
    let counted = dropped.entry(place).or_default();
    let usual = counted.traced < TRACED_PER_PLACE;
    let traced = usual || trial::keeps(runtime, Code::NeverAwaited);
    if usual {
        counted.traced += 1;
    } else if !traced {
        counted.untold += 1;
    }
    Some(traced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_knows_its_inside() {
        let here = Location::caller();
        let (line, column) = (here.line(), here.column());
        let around = SkipRange::new(here.file(), (line, column), (line, column + 1));
        assert!(around.contains(here));
        let before = SkipRange::new(here.file(), (line - 1, 1), (line, column));
        assert!(!before.contains(here));
        let elsewhere = SkipRange::new("other.rs", (1, 1), (9_999, 1));
        assert!(!elsewhere.contains(here));
    }

    #[test]
    fn it_is_one_word() {
        struct F;
        impl WatchedFn for F {
            const NAME: &'static str = "f";
            const FILE: &'static str = file!();
            const LINE: u32 = line!();
        }
        assert_eq!(size_of::<Unawaited<F>>(), size_of::<usize>());
        Unawaited::<F>::new().polled();
    }
}
