//! The thread that looks at the others.
//!
//! It wakes a few times per limit, finds polls that have gone on for long, takes
//! stacks of their threads while they still run, and hands what it saw to the
//! reporter. It never symbolises, writes or waits for anybody: whatever blocks the
//! program must not block it.

mod episode;
mod glance;
mod threads;
mod verdict;

use std::{
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use asyncwatch_stack::Capturer;
pub(crate) use episode::{Looks, PollReport, Sample, Stage};
pub(crate) use threads::ThreadSeen;

use crate::{
    clock::{self, Ticks},
    detect::{Detectors, RootEnd},
    large,
    publish::Reading,
    registry::{
        slot::{ASK_RUNTIME, Levels, Slot},
        slots,
        task::Task,
    },
    report::Reporter,
    runtimes, self_test, settings, slow, trial,
};
use episode::{Episode, Inner};
use glance::Glance;

/// Looks per limit while something is polled: a poll is seen at latest an eighth
/// of the limit after it began.
const LOOKS_PER_LIMIT: u32 = 8;
const PERIOD_MIN: Duration = Duration::from_millis(1);
const PERIOD_MAX: Duration = Duration::from_millis(25);
/// Looks per limit while nothing was polled for a while.
const IDLE_LOOKS_PER_LIMIT: u32 = 3;
const IDLE_PERIOD_MAX: Duration = Duration::from_millis(50);
/// For how long nothing must have been polled to slow down.
const IDLE_AFTER: Duration = Duration::from_millis(500);
/// Between rounds of housekeeping.
const HOUSEKEEPING: Duration = Duration::from_millis(250);

/// A way to ask the watchdog for one more look.
#[derive(Clone, Debug)]
pub(crate) struct Nudge(Sender<Asked>);

/// Why it is asked.
#[derive(Clone, Debug)]
pub(crate) enum Occasion {
    /// What has been found is to be written.
    Finish,
    /// A root future has ended.
    RootEnded(RootEnd),
    /// The process exits.
    Exit,
    /// Somebody wants to know what the threads of a runtime do.
    Threads(u64, Sender<Vec<ThreadSeen>>),
}

#[derive(Debug)]
struct Asked {
    occasion: Occasion,
    done: Sender<()>,
}

impl Nudge {
    /// Has the watchdog look at once.
    pub(crate) fn poke(&self) {
        let (done, _) = channel();
        let occasion = Occasion::Finish;
        // It can only fail when there is no watchdog any more.
        let _ = self.0.send(Asked { occasion, done });
    }

    /// What the threads of `runtime` do now; nothing if the watchdog does not answer.
    pub(crate) fn threads_of(&self, runtime: u64, at_most: Duration) -> Vec<ThreadSeen> {
        let (seen, wait) = channel();
        let (done, _) = channel();
        let occasion = Occasion::Threads(runtime, seen);
        let asked = self.0.send(Asked { occasion, done });
        asked
            .ok()
            .and_then(|()| wait.recv_timeout(at_most).ok())
            .unwrap_or_default()
    }

    /// Has the watchdog look once more and hand on what it sees, and waits for that.
    pub(crate) fn and_wait(&self, occasion: Occasion, at_most: Duration) {
        let (done, wait) = channel();
        if self.0.send(Asked { occasion, done }).is_ok() {
            let _ = wait.recv_timeout(at_most);
        }
    }
}

/// Starts the watchdog's thread.
pub(crate) fn start(reporter: Reporter, capturer: Option<Capturer>) -> std::io::Result<Nudge> {
    let (nudge, nudged) = channel();
    slow::prepare();
    thread::Builder::new()
        .name("asyncwatch".to_owned())
        .spawn(move || {
            Watchdog {
                capturer,
                detectors: Detectors::new(reporter.clone()),
                reporter,
                watches: Vec::new(),
                last_active: clock::now(),
                stall: None,
                searched: 0,
            }
            .run(&nudged);
        })?;
    Ok(Nudge(nudge))
}

struct Watchdog {
    capturer: Option<Capturer>,
    reporter: Reporter,
    detectors: Detectors,
    /// By slot number.
    watches: Vec<Watch>,
    last_active: Ticks,
    /// From when to when a look was late.
    stall: Option<(Ticks, Ticks)>,
    /// When the holder of a lock was last searched for.
    searched: Ticks,
}

/// What is known of one slot.
#[derive(Default)]
struct Watch {
    /// The polls that go on, the outermost first.
    open: Vec<Episode>,
    /// Some before, until their ends have been told.
    before: Vec<Episode>,
}

/// Ends that can be on their way: those of the polls of one thread.
const BEFORE_MAX: usize = 9;

impl Watchdog {
    fn run(&mut self, nudged: &Receiver<Asked>) {
        let mut housekeeping = Instant::now();
        let mut refined = 0;
        loop {
            let period = self.period();
            let planned = Instant::now() + period;
            let nudge = nudged.recv_timeout(period);
            let late = Instant::now().saturating_duration_since(planned);
            self.note_stall(late);
            self.look();
            match nudge {
                Ok(asked) => self.answer(&asked),
                Err(_) => self.detectors.look(self.capturer.as_mut()),
            }
            if housekeeping.elapsed() >= HOUSEKEEPING {
                housekeeping = Instant::now();
                keep_house(&mut refined);
            }
        }
    }

    fn answer(&mut self, asked: &Asked) {
        match &asked.occasion {
            Occasion::Finish => self.detectors.finish(),
            Occasion::RootEnded(root) => self.detectors.root_ended(*root),
            Occasion::Exit => self.detectors.exits(),
            Occasion::Threads(runtime, seen) => {
                let threads = threads::of(*runtime, self.capturer.as_mut());
                let _ = seen.send(threads);
            }
        }
        // The asker may have given up waiting.
        let _ = asked.done.send(());
    }

    fn period(&self) -> Duration {
        let limit = trial::shortest_limit();
        let idle = clock::to_duration(clock::now().saturating_sub(self.last_active)) > IDLE_AFTER;
        if idle {
            (limit / IDLE_LOOKS_PER_LIMIT).clamp(PERIOD_MIN, IDLE_PERIOD_MAX)
        } else {
            (limit / LOOKS_PER_LIMIT).clamp(PERIOD_MIN, PERIOD_MAX)
        }
    }

    /// A look that comes late by half a limit or more may mean that the process was
    /// stopped, or its machine.
    fn note_stall(&mut self, late: Duration) {
        if late >= trial::shortest_limit() / 2 {
            let now = clock::now();
            self.stall = Some((now.saturating_sub(clock::from_duration(late)), now));
        }
    }

    fn look(&mut self) {
        if !settings::looking() {
            return self.look_away();
        }
        self.take_ends();
        for slot in slots::all() {
            self.look_at(slot);
        }
        // Polls that ended while we looked.
        self.take_ends();
        large::hand_in(&self.reporter);
    }

    /// Polls are not looked for: what was seen of those under way is forgotten.
    fn look_away(&mut self) {
        self.watches.clear();
        while slow::pop().is_some() {}
    }

    fn look_at(&mut self, slot: &'static Slot) {
        let number = slot.number as usize;
        if self.watches.len() <= number {
            self.watches.resize_with(number + 1, Watch::default);
        }
        slot.unchain();
        let Some(levels) = slot.levels() else { return };
        let Some(innermost) = levels.iter().flatten().next_back() else {
            return;
        };
        let reading = innermost.reading;
        if is_self_test(reading) {
            if let Some(info) = slot.info() {
                self_test::look(slot, reading, &info.thread, self.capturer.as_mut());
            }
            return;
        }
        let now = clock::now();
        self.last_active = now;
        let watch = &mut self.watches[number];
        watch.follow(slot, &levels, now);
        let mut glance = Glance::new(
            slot,
            reading.sequence,
            self.capturer.as_mut(),
            &mut self.searched,
        );
        for (at, level) in levels.iter().flatten().enumerate() {
            let inner: Inner = levels.iter().flatten().skip(at + 1).collect();
            let Some(episode) = watch.of(level.reading.origin) else {
                continue;
            };
            if let Some(report) = episode.look(level, &inner, now, &mut glance) {
                self.detectors.was_slow(slot.number);
                self.reporter.poll(report);
            }
        }
    }

    /// Hands on the polls that have ended, each with what was seen of it.
    fn take_ends(&mut self) {
        while let Some(end) = slow::pop() {
            self.detectors.was_slow(end.slot);
            if end.task.spawned_at.is_some_and(self_test::is_own) {
                continue;
            }
            let seen = self.watches.get_mut(end.slot as usize).and_then(|watch| {
                watch.told_apart(end.origin);
                watch.take(end.origin)
            });
            let stalled = self.stall.is_some_and(|(began, over)| {
                began < end.end && end.start.is_none_or(|start| start < over)
            });
            if let Some(report) = episode::end(end, seen, stalled) {
                self.reporter.poll(report);
            }
        }
    }
}

fn is_self_test(reading: Reading<Task>) -> bool {
    Task::from_ptr(reading.task)
        .and_then(Task::site)
        .is_some_and(|site| self_test::is_own(site.location))
}

impl Watch {
    /// Begins episodes for the polls that are new, and puts those aside that are over.
    fn follow(&mut self, slot: &'static Slot, levels: &Levels, now: Ticks) {
        let mut known = std::mem::take(&mut self.open);
        for level in levels.iter().flatten() {
            let at = known
                .iter()
                .position(|episode| episode.origin() == level.reading.origin);
            let episode = match at {
                Some(at) => Some(known.remove(at)),
                None => Episode::begin(slot, level.reading, now),
            };
            self.open.extend(episode);
        }
        for over in known {
            if over.is_dated_and_reported() {
                self.open
                    .iter_mut()
                    .for_each(|outer| outer.date_anew(slot, now));
            }
            if over.has_samples() {
                self.before.push(over);
            }
        }
        let too_many = self.before.len().saturating_sub(BEFORE_MAX);
        self.before.drain(..too_many);
    }

    fn of(&mut self, origin: u64) -> Option<&mut Episode> {
        self.open
            .iter_mut()
            .find(|episode| episode.origin() == origin)
    }

    /// The poll is told by itself: what was seen of it is no part of the outer ones.
    fn told_apart(&mut self, origin: u64) {
        for episode in self.open.iter_mut().chain(&mut self.before) {
            episode.forget_inside(origin);
        }
    }

    fn take(&mut self, origin: u64) -> Option<Episode> {
        for episodes in [&mut self.open, &mut self.before] {
            let at = episodes
                .iter()
                .position(|episode| episode.origin() == origin);
            if let Some(at) = at {
                return Some(episodes.remove(at));
            }
        }
        None
    }
}

/// Refines the clock twice, closes pages, lets idle runtimes go.
fn keep_house(refined: &mut u32) {
    if *refined < 8 {
        *refined += 1;
        clock::refine();
        settings::rescale();
    }
    #[cfg(tokio_unstable)]
    crate::registry::pages::sweep();
    ask_for_runtimes();
    runtimes::let_go(|runtime| {
        slots::all()
            .filter(|slot| slot.info().is_some_and(|info| info.runtime() == runtime))
            .map(Slot::polls)
            .sum()
    });
}

/// Threads that poll for a runtime whose handle was given up hand it in again; the
/// others do not notice.
fn ask_for_runtimes() {
    for slot in slots::all() {
        let unknown = slot
            .info()
            .is_some_and(|info| info.runtime() != 0 && !runtimes::is_known(info.runtime()));
        if unknown {
            slot.ask(ASK_RUNTIME);
        }
    }
}
