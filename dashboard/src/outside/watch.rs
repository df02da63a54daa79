//! The sampler's own thread: looks at every thread of every watched process, again and
//! again.
//!
//! A thread that has not run for a while is asked where it sleeps; one that runs without
//! a rest, or sleeps again and again, is held on to for one poll ([`Pin`]). Everything
//! that needs names is left to [`super::name`], on a thread of its own.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    path::PathBuf,
    sync::{Arc, mpsc},
    thread::sleep,
    time::{Duration, Instant},
};

use asyncwatch_findings::Scene;
use asyncwatch_stack::{
    Activity, CaptureError, How, RawStack, Syscall,
    outside::{Image, Images, Process, Thread, let_go_of_left},
};
use rustix::{
    process::{Pid, PidfdFlags, pidfd_open, setpriority_process},
    thread::gettid,
    time::{ClockId, clock_gettime},
};

use super::{
    Outcome as Sampled, Program, Unwatched,
    episode::{Episode, Sample, is_followed, is_for_memory_map},
    follow::Gait,
    marks::{after_root, scene_of},
    pin::{Outcome, Pin, ends_of_poll},
    sleep::{Delays, Held, PREVIEW_AFTER, PREVIEW_EVERY, Sleep},
    tree::{Kin, Tree, is_tool},
    watched::{Followed, MarksOrder, SharedMarks, Watched, may_have_tokio, read, read_marks},
};
use crate::{gather, news::News};

/// Of the sampler's thread, which takes a small part of a CPU.
const NICE: i32 = -10;
/// Looks per limit. A sleep is seen for certain if it is longer than the limit by two.
const LOOKS_PER_LIMIT: u32 = 5;
const PERIOD_MIN: Duration = Duration::from_millis(2);
const PERIOD_MAX: Duration = Duration::from_millis(20);
/// Looks may take this part of a CPU at most; with more threads they become rarer.
const COST_DIVISOR: u32 = 25;
/// How often pinned polls are looked after: one that has reached its end waits so long.
const PIN_NAP: Duration = Duration::from_micros(200);
/// Processes are looked for this often.
const TREE_PERIOD: Duration = Duration::from_millis(10);
/// Polls held on to at a time.
const PINS_MAX: usize = 8;
/// How long the end waits for threads that cannot be let go yet.
const LEAVE_TIME_MAX: Duration = Duration::from_secs(1);
/// Looks after which what a process has loaded is read again.
const REFRESHES: [u32; 3] = [1, 4, 16];
/// By then an instrumented program has mostly begun to watch itself.
const ANNOUNCED_AFTER: u32 = REFRESHES[2];
/// Threads that have ended, and are remembered for whoever waited for them.
const ENDED_MAX: usize = 256;
/// Programs that are remembered after their end.
const PROGRAMS_MAX: usize = 4_096;
/// Episodes waiting for their names. One that computed has 128 stacks of some hundred
/// places at most, of 16 bytes each: 200 KB.
pub(super) const EPISODES_MAX: usize = 256;

/// From one look to the next, if they do not cost too much.
pub(super) fn period_of(limit: Duration) -> Duration {
    (limit / LOOKS_PER_LIMIT).clamp(PERIOD_MIN, PERIOD_MAX)
}

pub(super) struct Watch {
    root: u32,
    /// Where instrumented programs report.
    reports: PathBuf,
    limit: Duration,
    period: Duration,
    tree: Tree,
    images: Images,
    known: Vec<MarksOrder>,
    processes: HashMap<u32, Watched>,
    /// Of all threads, and of those that ended last.
    delays: Delays,
    ended: VecDeque<u32>,
    /// Somebody sleeps in a poll or is held on to: what others wait for matters.
    judges: bool,
    pins: usize,
    /// Threads that are still to be let go.
    left: usize,
    /// The main thread of the command itself can be attached to without its end being
    /// taken for a stop by whoever waits for it.
    may_pin_root: bool,
    marks_wanted: mpsc::Sender<MarksOrder>,
    episodes: mpsc::SyncSender<Episode>,
    news: mpsc::SyncSender<News>,
    /// Processes of which slow polls were told.
    told: HashSet<u32>,
    sampled: Sampled,
}

impl Watch {
    pub(super) fn new(
        root: u32,
        reports: PathBuf,
        limit: Duration,
        marks_wanted: mpsc::Sender<MarksOrder>,
        episodes: mpsc::SyncSender<Episode>,
        news: mpsc::SyncSender<News>,
    ) -> Watch {
        let pid = i32::try_from(root).ok().and_then(Pid::from_raw);
        Watch {
            root,
            reports,
            limit,
            period: period_of(limit),
            tree: Tree::of(root),
            images: Images::new(),
            known: Vec::new(),
            processes: HashMap::new(),
            delays: Delays::new(),
            ended: VecDeque::new(),
            judges: false,
            pins: 0,
            left: 0,
            may_pin_root: pid.is_some_and(|pid| pidfd_open(pid, PidfdFlags::empty()).is_ok()),
            marks_wanted,
            episodes,
            news,
            told: HashSet::new(),
            sampled: Sampled::default(),
        }
    }

    /// Looks until it is told to stop.
    pub(super) fn run(mut self, stop: &mpsc::Receiver<()>) -> Sampled {
        prefer_this_thread();
        let (mut next, mut next_tree) = (Instant::now(), Instant::now());
        let mut usual_cost = Duration::ZERO;
        loop {
            let now = Instant::now();
            if now >= next_tree {
                let cost = cpu_time_of(|| self.look_for_processes());
                next_tree = now + (cost * COST_DIVISOR).clamp(TREE_PERIOD, TREE_PERIOD * 5);
            }
            if now >= next {
                // One look at which many stacks are taken does not make the next ones rare.
                usual_cost = (usual_cost * 15 + cpu_time_of(|| self.look())) / 16;
                let period = self.period.max(usual_cost * COST_DIVISOR);
                next = now + period;
                self.sampled.period = self.sampled.period.max(period);
            }
            self.advance_pins();
            self.left = let_go_of_left();
            let now = Instant::now();
            let nap = match self.pins + self.left {
                0 => next.min(next_tree).saturating_duration_since(now),
                _ => PIN_NAP,
            };
            match stop.recv_timeout(nap) {
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                _ => break,
            }
        }
        let pids: Vec<u32> = self.processes.keys().copied().collect();
        for pid in pids {
            self.forget(pid, false);
        }
        let begun = Instant::now();
        while let_go_of_left() > 0 && begun.elapsed() < LEAVE_TIME_MAX {
            sleep(PIN_NAP);
        }
        self.sampled
    }

    fn look_for_processes(&mut self) {
        let change = self.tree.look();
        for pid in change.went {
            self.forget(pid, false);
        }
        for (pid, kin) in change.came {
            self.forget(pid, true);
            if !is_tool(&kin.exe) {
                self.meet(pid, kin);
            }
        }
    }

    fn meet(&mut self, pid: u32, kin: Kin) {
        match Process::open(pid, &mut self.images) {
            Ok(process) => {
                let mut watched = Watched::new(process, kin);
                self.order_marks(&mut watched);
                self.processes.insert(pid, watched);
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                let why = Unwatched::Denied;
                self.sampled.unwatched.insert((kin.exe, why));
            }
            // It has ended already.
            Err(_) => {}
        }
    }

    /// Has the symbol tables read that are not known yet.
    fn order_marks(&mut self, watched: &mut Watched) {
        for image in watched
            .process
            .images()
            .filter(|image| may_have_tokio(image.path()))
        {
            if watched
                .marks
                .iter()
                .any(|(known, _)| Arc::ptr_eq(known, image))
            {
                continue;
            }
            let known = self
                .known
                .iter()
                .find(|(known, _)| Arc::ptr_eq(known, image));
            let order = known.cloned().unwrap_or_else(|| {
                let order = (image.clone(), SharedMarks::default());
                // Its receiver lives as long as the sampler does.
                let _ = self.marks_wanted.send(order.clone());
                self.known.push(order.clone());
                order
            });
            watched.marks.push(order);
        }
    }

    /// It is gone, or another program is `replacing` it: a copy of its parent that did
    /// nothing but to start that one was no program of its own.
    fn forget(&mut self, pid: u32, replacing: bool) {
        let Some(mut watched) = self.processes.remove(&pid) else {
            return;
        };
        let is_no_program = replacing && watched.inherited && !self.told.contains(&pid);
        if !(watched.instrumented || is_no_program) {
            self.remember(pid, &watched);
        }
        let threads = std::mem::take(&mut watched.threads);
        for followed in threads.into_values() {
            self.close(followed);
        }
        // Tables of programs that nothing runs any more.
        self.known.retain(|(image, _)| Arc::strong_count(image) > 1);
    }

    fn remember(&mut self, pid: u32, watched: &Watched) {
        if self.sampled.programs.len() >= PROGRAMS_MAX {
            return;
        }
        self.sampled.programs.push(Program {
            pid,
            exe: watched.exe.clone(),
            threads: watched.threads_met,
            marks: watched
                .marks
                .iter()
                .map(|(_, marks)| marks.clone())
                .collect(),
        });
    }

    /// Tells what is left to be told of a thread that has ended.
    fn close(&mut self, mut followed: Followed) {
        let slept = followed.end_of_sleep(self.limit, &self.delays);
        self.tell(slept);
        if let Some(held) = followed.pin.take() {
            self.pins -= 1;
            let (thread, name) = (&followed.thread, &followed.name);
            let episode = held.end(thread, name, self.limit, &self.delays, false);
            self.tell(episode);
        }
        self.ended.push_back(followed.thread.tid());
        if self.ended.len() > ENDED_MAX
            && let Some(tid) = self.ended.pop_front()
        {
            // Numbers of threads are used again.
            let mut all = self.processes.values();
            if !all.any(|watched| watched.threads.contains_key(&tid)) {
                self.delays.remove(&tid);
            }
        }
    }

    /// One look at everything.
    fn look(&mut self) {
        let mut all = self
            .processes
            .values()
            .flat_map(|watched| watched.threads.values());
        self.judges = all.any(|followed| followed.sleep.is_some() || followed.pin.is_some());
        let pids: Vec<u32> = self.processes.keys().copied().collect();
        for pid in pids {
            let Some(mut watched) = self.processes.remove(&pid) else {
                continue;
            };
            let alive = self.look_at(&mut watched);
            self.processes.insert(pid, watched);
            if !alive {
                self.forget(pid, false);
            }
        }
    }

    fn look_at(&mut self, watched: &mut Watched) -> bool {
        watched.looks = watched.looks.saturating_add(1);
        if REFRESHES.contains(&watched.looks) && watched.process.refresh(&mut self.images).is_ok() {
            self.order_marks(watched);
            self.ask_whether_instrumented(watched);
        }
        if watched.instrumented || watched.has_tokio() == Some(false) {
            return true;
        }
        if !watched.announced && watched.looks > ANNOUNCED_AFTER && watched.has_tokio().is_some() {
            watched.announced = true;
            let pid = watched.process.id();
            let info = super::info(pid, &watched.exe, self.period, self.limit);
            // Nobody watches, or too slowly.
            let _ = self.news.try_send(News::Program(Box::new(info)));
        }
        if watched.looks % 2 == 1 {
            match watched.process.threads() {
                Ok(tids) => watched.meet_threads(&tids),
                Err(_) => return false,
            }
        }
        let mut threads = std::mem::take(&mut watched.threads);
        let ended: Vec<u32> = threads
            .iter_mut()
            .filter_map(|(tid, followed)| (!self.look_at_thread(watched, followed)).then_some(*tid))
            .collect();
        for tid in ended {
            if let Some(followed) = threads.remove(&tid) {
                self.close(followed);
            }
        }
        watched.threads = threads;
        true
    }

    /// Whether it still lives.
    fn look_at_thread(&mut self, watched: &mut Watched, followed: &mut Followed) -> bool {
        let Some(reading) = read(&followed.thread) else {
            return false;
        };
        let gait = followed.follower.take(reading);
        if self.judges && matches!(gait, Gait::Still(_)) {
            let at = Instant::now();
            if let Activity::Syscall(_) = followed.thread.activity() {
                followed.follower.sleeps(at);
            }
        }
        let waited = followed.follower.waited();
        self.delays.insert(followed.thread.tid(), waited);
        if let Some(held) = &mut followed.pin {
            held.pin
                .look(&followed.thread, &mut watched.process, self.period);
            return true;
        }
        match gait {
            Gait::Still(quiet) => self.look_at_sleeper(watched, followed, quiet),
            Gait::Busy | Gait::Moved => {
                let slept = followed.end_of_sleep(self.limit, &self.delays);
                self.tell(slept);
                followed.asked = false;
                if self.wants_pin(gait, watched, followed) {
                    self.pin(watched, followed);
                }
            }
        }
        true
    }

    fn look_at_sleeper(&mut self, watched: &mut Watched, followed: &mut Followed, quiet: Duration) {
        if let Some(sleep) = &mut followed.sleep {
            let now = Instant::now();
            if followed.thread.activity() == Activity::Syscall(sleep.call) {
                sleep.until = now;
            }
            if sleep.lasted() >= sleep.next_preview {
                sleep.next_preview = sleep.lasted() + PREVIEW_EVERY;
                sleep.told = true;
                let preview = sleep.preview(&followed.thread, &followed.name, self.limit);
                self.tell(Some(preview));
            }
            return;
        }
        if followed.asked || quiet * 2 < self.limit {
            return;
        }
        let now = Instant::now();
        let stack = match watched.process.stack_of(&followed.thread) {
            Ok(stack) => stack,
            Err(CaptureError::Denied) => {
                followed.asked = true;
                let why = Unwatched::Denied;
                self.sampled.unwatched.insert((watched.exe.clone(), why));
                return;
            }
            Err(CaptureError::ForeignStack) => {
                followed.asked = true;
                self.sampled.unread += 1;
                return;
            }
            // Asked again at the next look.
            Err(_) => return,
        };
        followed.asked = true;
        let How::Syscall(call) = stack.how else {
            // It waits for a page, or was stopped: the machine's affair, or a debugger's.
            return;
        };
        if is_for_memory_map(&call, &followed.thread) {
            return;
        }
        let scene = watched.scene(&stack);
        if matches!(scene, Some(Scene::MayBlock)) || is_plain(scene, &stack) {
            return;
        }
        followed.name = followed.thread.name();
        followed.sleep = Some(Sleep {
            call,
            since: followed.follower.since(),
            until: now,
            sample: Sample::new(&stack, &watched.process),
            delays: self.delays.clone(),
            next_preview: self.limit.max(PREVIEW_AFTER),
            told: false,
        });
    }

    fn wants_pin(&self, gait: Gait, watched: &mut Watched, followed: &mut Followed) -> bool {
        let now = Instant::now();
        let is_root = followed.thread.tid() == self.root;
        if now < followed.pin_after
            || self.pins >= PINS_MAX
            || watched.has_tokio() != Some(true)
            || (is_root && !self.may_pin_root)
        {
            return false;
        }
        match (gait, followed.thread.activity()) {
            (Gait::Busy, Activity::Running) => true,
            (_, Activity::Syscall(call)) if goes_on_after_a_stop(&call) => {
                followed.naps += 1;
                // Twice in a row it may be the same poll; who only parks is not in one.
                followed.naps > 1 && {
                    let stack = watched.process.stack_of(&followed.thread);
                    let scene = stack.ok().and_then(|stack| watched.scene(&stack));
                    let polls = matches!(
                        scene,
                        Some(Scene::Task { .. } | Scene::Root { .. } | Scene::PerhapsRoot { .. })
                    );
                    if !polls {
                        followed.pause(now, self.limit);
                    }
                    polls
                }
            }
            _ => {
                followed.naps = 0;
                false
            }
        }
    }

    fn ask_whether_instrumented(&self, watched: &mut Watched) {
        let told = gather::process_info(&self.reports, watched.process.id());
        watched.instrumented = told.is_some();
    }

    fn pin(&mut self, watched: &mut Watched, followed: &mut Followed) {
        let now = Instant::now();
        if watched.has_asyncwatch() {
            // By now it may have begun to watch itself, and would see that it is stopped.
            self.ask_whether_instrumented(watched);
            if watched.instrumented {
                return;
            }
        }
        followed.naps = 0;
        let is_own_child = watched.process.id() == self.root;
        match Pin::new(&followed.thread, is_own_child, now) {
            Ok(pin) => {
                self.pins += 1;
                followed.name = followed.thread.name();
                followed.pin = Some(Held::new(pin, self.delays.clone(), self.limit));
            }
            Err(error) => {
                // Gone, or a debugger has it, or the system forbids it.
                let is_denied = error.kind() == std::io::ErrorKind::PermissionDenied;
                // Unless it is one that we are still attached to.
                if is_denied && self.left == 0 {
                    self.sampled.not_held += 1;
                }
                followed.pause(now, self.limit * 8);
            }
        }
    }

    fn advance_pins(&mut self) {
        if self.pins == 0 {
            return;
        }
        let mut seen = Vec::new();
        for watched in self.processes.values_mut() {
            let Watched {
                process,
                threads,
                marks,
                ..
            } = watched;
            for followed in threads.values_mut() {
                let Some(held) = &mut followed.pin else {
                    continue;
                };
                let ends = |stack: &RawStack, process: &Process| {
                    let marks = |image: &Image| read_marks(marks, image);
                    let scene = scene_of(stack, process, marks);
                    ends_of_poll(stack, scene, |at| after_root(stack, at, process, marks))
                };
                let mut outcome = held.pin.advance(&followed.thread, process, ends);
                let mut ongoing = false;
                let may_stop = || goes_on_if_stopped(&followed.thread);
                if outcome.is_none() && held.is_over(Instant::now(), may_stop) {
                    (outcome, ongoing) = (Some(Outcome::Ended), true);
                }
                let Some(outcome) = outcome else {
                    let preview = held.preview(&followed.thread, &followed.name, self.limit);
                    seen.extend(preview);
                    continue;
                };
                let held = followed.pin.take();
                self.pins -= 1;
                followed.pause(Instant::now(), self.limit);
                match outcome {
                    Outcome::NoPoll => {}
                    Outcome::NoBreakpoint => self.sampled.not_held += 1,
                    Outcome::Ended => seen.extend(held.and_then(|held| {
                        let (thread, name) = (&followed.thread, &followed.name);
                        held.end(thread, name, self.limit, &self.delays, ongoing)
                    })),
                }
            }
        }
        for episode in seen {
            self.tell(Some(episode));
        }
    }

    fn tell(&mut self, episode: Option<Episode>) {
        let Some(episode) = episode else { return };
        let (pid, counts) = (episode.pid, !episode.preview);
        match self.episodes.try_send(episode) {
            Ok(()) if counts => drop(self.told.insert(pid)),
            Err(_) if counts => self.sampled.left_out += 1,
            _ => {}
        }
    }
}

/// Calls that go on by themselves after the thread was stopped for a moment, whatever
/// flags and time limits they have (signal(7), "Interruption of system calls").
fn goes_on_after_a_stop(call: &Syscall) -> bool {
    const CALLS: &[&str] = &[
        "clock_nanosleep",
        "copy_file_range",
        "fallocate",
        "fdatasync",
        "flock",
        "fsync",
        "ftruncate",
        "getdents64",
        "mkdir",
        "mkdirat",
        "nanosleep",
        "newfstatat",
        "openat",
        "pread64",
        "pwrite64",
        "rename",
        "renameat2",
        "statx",
        "unlink",
        "unlinkat",
        "wait4",
        "waitid",
    ];
    CALLS.contains(&&*call.name())
}

/// Whether the thread can be let go of, for which it has to stop.
fn goes_on_if_stopped(thread: &Thread) -> bool {
    match thread.activity() {
        Activity::Syscall(call) => goes_on_after_a_stop(&call),
        _ => true,
    }
}

/// A stack that tokio has no part in, as far as it could be followed.
fn is_plain(scene: Option<Scene>, stack: &RawStack) -> bool {
    scene == Some(Scene::Elsewhere) && is_followed(stack)
}

/// Has this thread run before others that are ready, where the system allows it: what it
/// sees late it sees shorter, and a thread that it has stopped waits for it.
fn prefer_this_thread() {
    // Forbidden to ordinary users; it works without.
    let _ = setpriority_process(Some(gettid()), NICE);
}

/// How long `work` had a CPU: on a busy machine it may take much longer.
fn cpu_time_of(work: impl FnOnce()) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default();
    let begun = now();
    work();
    now().saturating_sub(begun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_would_return_early_are_not_stopped() {
        let call = |number| Syscall {
            number,
            args: [0; 6],
            sp: 0,
            pc: 0,
        };
        assert!(goes_on_after_a_stop(&call(libc::SYS_fsync)));
        for returns in [
            libc::SYS_epoll_pwait,
            libc::SYS_recvfrom,
            libc::SYS_read,
            libc::SYS_ppoll,
        ] {
            assert!(!goes_on_after_a_stop(&call(returns)), "{returns}");
        }
    }
}
