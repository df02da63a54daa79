//! The sampler's own thread: looks at every thread of every watched process, again and
//! again.
//!
//! A thread that has not run for a while is asked where it sleeps; one that runs without
//! a rest, or sleeps again and again, is held on to for one poll ([`Pin`]). Everything
//! that needs names is left to [`super::name`], on a thread of its own.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, mpsc},
    time::{Duration, Instant},
};

use asyncwatch_findings::{Scene, waits_for_memory_map};
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
    News, Outcome as Sampled, Program, Unwatched,
    episode::{Episode, Sample, is_followed},
    follow::{Follower, Gait, Reading},
    marks::{Marks, after_root, scene_of},
    pin::{Outcome, Pin, ends_of_poll},
    sleep::{Delays, PREVIEW_AFTER, PREVIEW_EVERY, Sleep, end_of_pin},
    tree::{Kin, Tree, is_tool},
};
use crate::gather;

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
/// How long one poll is held on to.
const PIN_TIME_MAX: Duration = Duration::from_secs(10);
/// Looks after which what a process has loaded is read again.
const REFRESHES: [u32; 3] = [1, 4, 16];
/// By then an instrumented program has mostly begun to watch itself.
const ANNOUNCED_AFTER: u32 = REFRESHES[2];
/// Programs that are remembered after their end.
const PROGRAMS_MAX: usize = 4_096;
/// Episodes waiting for their names. One that computed has 128 stacks of some hundred
/// places at most, of 16 bytes each: 200 KB.
pub(super) const EPISODES_MAX: usize = 256;

/// From one look to the next, if they do not cost too much.
pub(super) fn period_of(limit: Duration) -> Duration {
    (limit / LOOKS_PER_LIMIT).clamp(PERIOD_MIN, PERIOD_MAX)
}

/// The symbol table of one image, once it has been read.
pub(super) type SharedMarks = Arc<OnceLock<Marks>>;

/// An image whose table is to be read, and where to put what it says.
pub(super) type MarksOrder = (Arc<Image>, SharedMarks);

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
    /// Of all threads.
    delays: Delays,
    pins: usize,
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

struct Watched {
    process: Process,
    exe: PathBuf,
    marks: Vec<MarksOrder>,
    threads: HashMap<u32, Followed>,
    looks: u32,
    threads_met: u64,
    /// It watches itself, from inside.
    instrumented: bool,
    /// A copy of its parent, as long as it runs no other program.
    inherited: bool,
    announced: bool,
}

struct Followed {
    thread: Thread,
    /// Its name, as it was when it was last in a poll: it may be gone when that is told.
    name: String,
    follower: Follower,
    /// It has been asked where it sleeps, this time.
    asked: bool,
    sleep: Option<Sleep>,
    pin: Option<(Pin, Delays)>,
    /// When it may be pinned next, and how long to wait after that.
    pin_after: Instant,
    pause: Duration,
    /// Looks in a row at which it was asleep and had run since the one before.
    naps: u32,
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
            pins: 0,
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
            let left = let_go_of_left();
            let now = Instant::now();
            let nap = match self.pins + left {
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
                let mut watched = Watched {
                    process,
                    exe: kin.exe,
                    marks: Vec::new(),
                    threads: HashMap::new(),
                    looks: 0,
                    threads_met: 0,
                    instrumented: false,
                    inherited: kin.inherited,
                    announced: false,
                };
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
        if let Some(sleep) = followed.sleep.take() {
            let episode = sleep.end(&followed.thread, &followed.name, self.limit, &self.delays);
            self.tell(episode);
        }
        if let Some((pin, before)) = followed.pin.take() {
            self.pins -= 1;
            let episode = end_of_pin(
                pin,
                &followed.thread,
                &followed.name,
                self.limit,
                &before,
                &self.delays,
                false,
            );
            self.tell(episode);
        }
        self.delays.remove(&followed.thread.tid());
    }

    /// One look at everything.
    fn look(&mut self) {
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
        self.delays
            .insert(followed.thread.tid(), reading.account.run_delay);
        let gait = followed.follower.take(reading);
        if let Some((pin, _)) = &mut followed.pin {
            pin.look(&followed.thread, &mut watched.process, self.period);
            return true;
        }
        match gait {
            Gait::Still(quiet) => self.look_at_sleeper(watched, followed, quiet),
            Gait::Busy | Gait::Moved => {
                if let Some(sleep) = followed.sleep.take() {
                    let episode =
                        sleep.end(&followed.thread, &followed.name, self.limit, &self.delays);
                    self.tell(episode);
                }
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
        if waits_for_memory_map(&call.name()) {
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
                followed.pin = Some((pin, self.delays.clone()));
            }
            Err(error) => {
                // Gone, or a debugger has it, or the system forbids it.
                if error.kind() == std::io::ErrorKind::PermissionDenied {
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
        let mut ended = Vec::new();
        for watched in self.processes.values_mut() {
            let Watched {
                process,
                threads,
                marks,
                ..
            } = watched;
            for followed in threads.values_mut() {
                let Some((pin, _)) = &mut followed.pin else {
                    continue;
                };
                let ends = |stack: &RawStack, process: &Process| {
                    let marks = |image: &Image| read_marks(marks, image);
                    let scene = scene_of(stack, process, marks);
                    ends_of_poll(stack, scene, |at| after_root(stack, at, process, marks))
                };
                let mut outcome = pin.advance(&followed.thread, process, ends);
                let mut ongoing = false;
                let is_over = pin.since().elapsed() > PIN_TIME_MAX;
                if outcome.is_none() && is_over && goes_on_if_stopped(&followed.thread) {
                    (outcome, ongoing) = (Some(Outcome::Ended), true);
                }
                let Some(outcome) = outcome else { continue };
                let (pin, before) = followed.pin.take().expect("it was there");
                self.pins -= 1;
                followed.pause(Instant::now(), self.limit);
                match outcome {
                    Outcome::NoPoll => {}
                    Outcome::NoBreakpoint => self.sampled.not_held += 1,
                    Outcome::Ended => {
                        ended.push((process.id(), followed.thread.tid(), pin, before, ongoing));
                    }
                }
            }
        }
        for (pid, tid, pin, before, ongoing) in ended {
            let thread = self
                .processes
                .get(&pid)
                .and_then(|watched| watched.threads.get(&tid));
            let Some(followed) = thread else { continue };
            let episode = end_of_pin(
                pin,
                &followed.thread,
                &followed.name,
                self.limit,
                &before,
                &self.delays,
                ongoing,
            );
            self.tell(episode);
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

impl Watched {
    /// Whether tokio is inside; `None` as long as that is not known.
    fn has_tokio(&self) -> Option<bool> {
        let mut all_read = true;
        for (_, marks) in &self.marks {
            match marks.get() {
                Some(marks) if marks.has_tokio => return Some(true),
                Some(_) => {}
                None => all_read = false,
            }
        }
        all_read.then_some(false)
    }

    fn has_asyncwatch(&self) -> bool {
        let has = |marks: &Marks| marks.has_asyncwatch;
        self.marks
            .iter()
            .any(|(_, marks)| marks.get().is_some_and(has))
    }

    fn meet_threads(&mut self, tids: &[u32]) {
        let pid = self.process.id();
        for &tid in tids {
            if self.threads.contains_key(&tid) {
                continue;
            }
            let Ok(thread) = Thread::open(pid, tid) else {
                continue;
            };
            if let Some(reading) = read(&thread) {
                self.threads_met += 1;
                self.threads.insert(tid, Followed::new(thread, reading));
            }
        }
    }

    /// What the stack says; `None` as long as the symbols have not been read.
    fn scene(&self, stack: &RawStack) -> Option<Scene> {
        self.has_tokio()?;
        Some(scene_of(stack, &self.process, |image| {
            read_marks(&self.marks, image)
        }))
    }
}

fn read_marks<'a>(marks: &'a [MarksOrder], image: &Image) -> Option<&'a Marks> {
    let (_, marks) = marks
        .iter()
        .find(|(known, _)| std::ptr::eq(&raw const **known, image))?;
    marks.get()
}

impl Followed {
    fn new(thread: Thread, reading: Reading) -> Followed {
        Followed {
            thread,
            name: String::new(),
            follower: Follower::new(reading),
            asked: false,
            sleep: None,
            pin: None,
            pin_after: Instant::now(),
            pause: Duration::ZERO,
            naps: 0,
        }
    }

    /// The next time it is pinned is later and later, up to `longest`.
    fn pause(&mut self, now: Instant, longest: Duration) {
        self.pause = (self.pause * 2).clamp(longest / 8, longest);
        self.pin_after = now + self.pause;
        self.naps = 0;
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

/// Libraries of the system are in C, and the kernel's is not even a file.
fn may_have_tokio(path: &Path) -> bool {
    path.is_absolute()
        && !["/lib", "/lib64", "/usr/lib", "/usr/lib64"]
            .iter()
            .any(|system| path.starts_with(system))
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

fn read(thread: &Thread) -> Option<Reading> {
    let before = Instant::now();
    let account = thread.account()?;
    Some(Reading {
        before,
        after: Instant::now(),
        account,
    })
}

/// Reads the symbol tables that are wanted, until nobody wants any.
pub(super) fn read_tables(wanted: &mpsc::Receiver<MarksOrder>) {
    while let Ok((image, marks)) = wanted.recv() {
        let _ = marks.set(Marks::of(&image));
    }
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

    #[test]
    fn libraries_of_the_system_have_no_tokio() {
        assert!(may_have_tokio(Path::new("/home/me/target/debug/app")));
        assert!(may_have_tokio(Path::new("/usr/local/bin/app")));
        assert!(!may_have_tokio(Path::new(
            "/usr/lib/x86_64-linux-gnu/libc.so.6"
        )));
        assert!(!may_have_tokio(Path::new("[vdso]")));
    }
}
