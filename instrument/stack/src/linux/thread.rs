//! A thread of this process.

use super::accounts::{self, Place};
use super::{clock, here};
use crate::{Activity, Faults, Usage, Waits};
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

/// The longest of the files read: `stat`, whose beginning is enough.
const PROC_TEXT_BYTES_MAX: usize = 256;

/// A thread of this process: who it is, and the files that tell what it does.
///
/// It keeps two descriptors open, so that looking at it costs one read and so
/// that a later thread to which the kernel gives the same id is not mistaken
/// for this one.
#[derive(Debug)]
pub struct Thread {
    tid: u32,
    name: String,
    stack: Range<u64>,
    syscall: Option<File>,
    schedstat: Option<File>,
    /// The poorer source, opened only where `syscall` is not to be had.
    stat: Option<File>,
    /// Whether the last signal to it was still on its way when we gave up.
    unanswered: AtomicBool,
}

/// What is worth keeping of a thread that may never have to be looked at: no open files.
#[derive(Clone, Debug)]
pub struct Outline {
    tid: u32,
    name: String,
    stack: Range<u64>,
}

impl Outline {
    /// The calling thread. Takes about a microsecond.
    #[must_use]
    pub fn current() -> Outline {
        Outline {
            tid: here::tid(),
            name: here::name(),
            stack: here::stack(),
        }
    }

    /// Its id, as `ps -L` and `top -H` show it.
    #[must_use]
    pub fn tid(&self) -> u32 {
        self.tid
    }

    /// The thread itself. To be called only while it is certain that it lives: its id
    /// may be another's later.
    #[must_use]
    pub fn open(&self) -> Thread {
        Thread::open(self.clone())
    }
}

impl Thread {
    /// The calling thread. Takes some ten microseconds, most of them for
    /// opening files: once per thread, not once per poll. What cannot be
    /// opened is done without.
    #[must_use]
    pub fn current() -> Thread {
        Thread::open(Outline::current())
    }

    fn open(outline: Outline) -> Thread {
        let Outline { tid, name, stack } = outline;
        let syscall = open(tid, "syscall").filter(|file| read(file, accounts::place).is_ok());
        let stat = open(tid, "stat").filter(|_| syscall.is_none());
        Thread {
            tid,
            name,
            stack,
            syscall,
            schedstat: open(tid, "schedstat"),
            stat,
            unanswered: AtomicBool::new(false),
        }
    }

    /// Another thread, seen from outside; `None` if it is gone. Its stack is known only
    /// while it is looked at.
    pub(super) fn other(tid: u32) -> Option<Thread> {
        let name = fs::read_to_string(format!("/proc/self/task/{tid}/comm")).ok()?;
        Some(Thread {
            tid,
            name: name.trim_end().to_owned(),
            stack: 0..0,
            syscall: open(tid, "syscall"),
            schedstat: open(tid, "schedstat"),
            stat: None,
            unanswered: AtomicBool::new(false),
        })
    }

    /// Its id, as `ps -L` and `top -H` show it.
    #[must_use]
    pub fn tid(&self) -> u32 {
        self.tid
    }

    /// The name it had when [`Thread::current`] was called; empty if none.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it has used so far. To be called on the thread itself, where it
    /// costs two system calls, one or two microseconds, and allocates nothing.
    #[must_use]
    pub fn usage_here(&self) -> Usage {
        Usage {
            cpu: clock::cpu_here(),
            run_delay: self.run_delay().ok().flatten(),
        }
    }

    /// What it has waited for so far. `None` where the system does not count. To be
    /// called on the thread itself; one system call.
    ///
    /// A thread that has not slept was not blocked, even where time has passed that
    /// is neither on a CPU nor waiting for one: a virtual machine's own CPU may have
    /// been taken away.
    #[must_use]
    pub fn waits_here(&self) -> Option<Waits> {
        clock::waits_here()
    }

    /// Its page faults so far, seen from another thread.
    #[must_use]
    pub fn faults(&self) -> Option<Faults> {
        accounts::faults(&self.read_stat()?)
    }

    /// Whether it sleeps uninterruptibly right now, seen from another thread: mostly
    /// for a disk or a network file system.
    #[must_use]
    pub fn waits_for_io(&self) -> bool {
        self.read_stat()
            .is_some_and(|stat| accounts::state(&stat) == Some(b'D'))
    }

    /// What it has used so far, seen from another thread; `None` once it has
    /// ended. The CPU time is exact even while it runs.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        let run_delay = match self.run_delay() {
            Err(error) if is_gone(&error) => return None,
            delay => delay.ok().flatten(),
        };
        Some(Usage {
            cpu: clock::cpu_of(self.tid)?,
            run_delay,
        })
    }

    /// What it is doing right now, seen from another thread.
    #[must_use]
    pub fn activity(&self) -> Activity {
        match self.place() {
            Place::Running => Activity::Running,
            Place::Syscall(syscall) => Activity::Syscall(syscall),
            Place::Fault { .. } => Activity::Waiting,
            Place::Gone => Activity::Gone,
            Place::Unknown => Activity::Unknown,
        }
    }

    /// What it is doing, with the registers that the kernel shows.
    pub(super) fn place(&self) -> Place {
        let place = match (&self.syscall, &self.stat) {
            (Some(syscall), _) => read(syscall, accounts::place),
            (None, Some(stat)) => read(stat, running_or_unknown),
            (None, None) => Ok(Place::Unknown),
        };
        place.unwrap_or_else(|error| match is_gone(&error) {
            true => Place::Gone,
            false => Place::Unknown,
        })
    }

    /// Where its stack lies.
    pub(super) fn stack(&self) -> Range<u64> {
        self.stack.clone()
    }

    /// Where its stack lies if its stack pointer is `sp`: as it told itself, else the
    /// mapping around it. Empty if that cannot be told.
    pub(super) fn stack_around(&self, sp: u64) -> Range<u64> {
        match self.stack.is_empty() {
            true => accounts::mapping_around(sp).unwrap_or(0..0),
            false => self.stack.clone(),
        }
    }

    /// Whether an earlier `signal` to it has not even been delivered: another
    /// would only queue up behind.
    pub(super) fn has_pending(&self, signal: i32) -> bool {
        self.unanswered.load(Ordering::Relaxed)
            && fs::read_to_string(format!("/proc/self/task/{}/status", self.tid))
                .is_ok_and(|status| accounts::is_pending(&status, signal))
    }

    /// Remembers whether it answered the last signal.
    pub(super) fn set_unanswered(&self, unanswered: bool) {
        self.unanswered.store(unanswered, Ordering::Relaxed);
    }

    fn read_stat(&self) -> Option<Vec<u8>> {
        fs::read(format!("/proc/self/task/{}/stat", self.tid)).ok()
    }

    fn run_delay(&self) -> io::Result<Option<std::time::Duration>> {
        match &self.schedstat {
            Some(file) => read(file, accounts::run_delay),
            None => Ok(None),
        }
    }
}

fn open(tid: u32, file: &str) -> Option<File> {
    File::open(format!("/proc/self/task/{tid}/{file}")).ok()
}

fn read<T>(file: &File, parse: impl Fn(&[u8]) -> T) -> io::Result<T> {
    let mut text = [0; PROC_TEXT_BYTES_MAX];
    let length = file.read_at(&mut text, 0)?;
    Ok(parse(&text[..length]))
}

fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ESRCH)
}

fn running_or_unknown(stat: &[u8]) -> Place {
    match accounts::state(stat) {
        Some(b'R') => Place::Running,
        Some(b'Z' | b'X') => Place::Gone,
        _ => Place::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::Thread;
    use crate::Activity;
    use std::thread;

    #[test]
    fn a_thread_that_looks_at_itself_finds_itself_reading() {
        let me = Thread::current();
        let Activity::Syscall(call) = me.activity() else {
            panic!("{:?}", me.activity());
        };
        assert_eq!(call.name(), "pread64");
        assert!(me.stack().contains(&call.sp));
        let local = 0_u8;
        assert!(me.stack().contains(&(&raw const local as u64)));
    }

    #[test]
    fn it_bears_the_name_it_was_given() {
        let name = "a name of more than fifteen bytes";
        let named = thread::Builder::new()
            .name(name.into())
            .spawn(Thread::current);
        let thread = named.expect("spawns").join().expect("ends well");
        assert_eq!(thread.name(), name);
    }

    #[test]
    fn a_thread_that_ended_is_gone() {
        let thread = thread::spawn(Thread::current).join().expect("ends well");
        while thread.activity() != Activity::Gone {
            thread::yield_now();
        }
        assert_eq!(thread.usage(), None);
    }
}
