//! What is known of the processes and threads that are looked at.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, mpsc},
    time::{Duration, Instant},
};

use asyncwatch_findings::Scene;
use asyncwatch_stack::{
    RawStack,
    outside::{Image, Process, Thread},
};

use super::{
    episode::Episode,
    follow::{Follower, Reading},
    marks::{Marks, scene_of},
    sleep::{Delays, Held, Sleep},
    tree::Kin,
};

/// The symbol table of one image, once it has been read.
pub(super) type SharedMarks = Arc<OnceLock<Marks>>;

/// An image whose table is to be read, and where to put what it says.
pub(super) type MarksOrder = (Arc<Image>, SharedMarks);

pub(super) struct Watched {
    pub(super) process: Process,
    pub(super) exe: PathBuf,
    pub(super) marks: Vec<MarksOrder>,
    pub(super) threads: HashMap<u32, Followed>,
    pub(super) looks: u32,
    pub(super) threads_met: u64,
    /// It watches itself, from inside.
    pub(super) instrumented: bool,
    /// A copy of its parent, as long as it runs no other program.
    pub(super) inherited: bool,
    pub(super) announced: bool,
}

pub(super) struct Followed {
    pub(super) thread: Thread,
    /// Its name, as it was when it was last in a poll: it may be gone when that is told.
    pub(super) name: String,
    pub(super) follower: Follower,
    /// It has been asked where it sleeps, this time.
    pub(super) asked: bool,
    pub(super) sleep: Option<Sleep>,
    pub(super) pin: Option<Held>,
    /// When it may be pinned next, and how long to wait after that.
    pub(super) pin_after: Instant,
    pub(super) pause: Duration,
    /// Looks in a row at which it was asleep and had run since the one before.
    pub(super) naps: u32,
}

impl Watched {
    pub(super) fn new(process: Process, kin: Kin) -> Watched {
        Watched {
            process,
            exe: kin.exe,
            marks: Vec::new(),
            threads: HashMap::new(),
            looks: 0,
            threads_met: 0,
            instrumented: false,
            inherited: kin.inherited,
            announced: false,
        }
    }

    /// Whether tokio is inside; `None` as long as that is not known.
    pub(super) fn has_tokio(&self) -> Option<bool> {
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

    pub(super) fn has_asyncwatch(&self) -> bool {
        let has = |marks: &Marks| marks.has_asyncwatch;
        self.marks
            .iter()
            .any(|(_, marks)| marks.get().is_some_and(has))
    }

    pub(super) fn meet_threads(&mut self, tids: &[u32]) {
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
    pub(super) fn scene(&self, stack: &RawStack) -> Option<Scene> {
        self.has_tokio()?;
        Some(scene_of(stack, &self.process, |image| {
            read_marks(&self.marks, image)
        }))
    }
}

pub(super) fn read_marks<'a>(marks: &'a [MarksOrder], image: &Image) -> Option<&'a Marks> {
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

    /// What is to be told of its sleep, which is over.
    pub(super) fn end_of_sleep(&mut self, limit: Duration, delays: &Delays) -> Option<Episode> {
        let sleep = self.sleep.take()?;
        sleep.end(&self.thread, &self.name, limit, delays)
    }

    /// The next time it is pinned is later and later, up to `longest`.
    pub(super) fn pause(&mut self, now: Instant, longest: Duration) {
        self.pause = (self.pause * 2).clamp(longest / 8, longest);
        self.pin_after = now + self.pause;
        self.naps = 0;
    }
}

/// Reads the symbol tables that are wanted, until nobody wants any.
pub(super) fn read_tables(wanted: &mpsc::Receiver<MarksOrder>) {
    while let Ok((image, marks)) = wanted.recv() {
        let _ = marks.set(Marks::of(&image));
    }
}

/// Libraries of the system are in C, and the kernel's is not even a file.
pub(super) fn may_have_tokio(path: &Path) -> bool {
    path.is_absolute()
        && !["/lib", "/lib64", "/usr/lib", "/usr/lib64"]
            .iter()
            .any(|system| path.starts_with(system))
}

pub(super) fn read(thread: &Thread) -> Option<Reading> {
    let before = Instant::now();
    let account = thread.account()?;
    Some(Reading {
        before,
        after: Instant::now(),
        account,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
