//! A thread of another process.

use super::super::accounts::{self, Place};
use crate::{Activity, CaptureError, Syscall};
use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

const PROC_TEXT_BYTES_MAX: usize = 256;

/// A thread of another process: who it is, and the file that tells whether it ran.
#[derive(Debug)]
pub struct Thread {
    pid: u32,
    tid: u32,
    schedstat: Option<File>,
    /// The call that it was in when it was last stopped: if that goes on, the kernel
    /// shows it under another number.
    stopped_in: Cell<Option<i64>>,
}

/// What a thread has used since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Account {
    /// Time on a CPU, up to the kernel's last tick.
    pub cpu: Duration,
    /// Time ready to run while others had the CPU, up to the last time it got one.
    pub run_delay: Duration,
    /// How often it got a CPU. As long as this does not change, it has not run.
    pub turns: u64,
}

impl Thread {
    /// The thread `tid` of the process `pid`.
    ///
    /// # Errors
    ///
    /// If it is gone, or the kernel counts nothing.
    pub fn open(pid: u32, tid: u32) -> io::Result<Thread> {
        let schedstat = File::open(format!("/proc/{pid}/task/{tid}/schedstat"));
        Ok(Thread {
            pid,
            tid,
            schedstat: match schedstat {
                Err(error) if error.raw_os_error() == Some(libc::EMFILE) => None,
                file => Some(file?),
            },
            stopped_in: Cell::new(None),
        })
    }

    /// Its id.
    #[must_use]
    pub fn tid(&self) -> u32 {
        self.tid
    }

    /// Its process's id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it is the one that its process began with.
    #[must_use]
    pub fn is_main(&self) -> bool {
        self.pid == self.tid
    }

    /// Its name; empty if it is gone.
    #[must_use]
    pub fn name(&self) -> String {
        let name = fs::read_to_string(self.file("comm")).unwrap_or_default();
        name.trim_end().to_owned()
    }

    /// What it has used so far; `None` if it is gone, or the kernel does not count.
    #[must_use]
    pub fn account(&self) -> Option<Account> {
        let mut text = [0; PROC_TEXT_BYTES_MAX];
        let read = match &self.schedstat {
            Some(file) => file.read_at(&mut text, 0),
            None => File::open(self.file("schedstat")).and_then(|file| file.read_at(&mut text, 0)),
        };
        accounts::account(&text[..read.ok()?])
    }

    /// What it is doing.
    #[must_use]
    pub fn activity(&self) -> Activity {
        match self.place() {
            Place::Running => Activity::Running,
            Place::Syscall(call) => Activity::Syscall(call),
            Place::Fault { .. } => Activity::Waiting,
            Place::Gone => Activity::Gone,
            Place::Unknown => Activity::Unknown,
        }
    }

    /// Whether the system tells what it does.
    ///
    /// # Errors
    ///
    /// [`CaptureError::Denied`] if it does not, [`CaptureError::Gone`] if it has ended.
    pub fn is_told(&self) -> Result<(), CaptureError> {
        match self.place() {
            Place::Unknown => Err(CaptureError::Denied),
            Place::Gone => Err(CaptureError::Gone),
            _ => Ok(()),
        }
    }

    pub(super) fn set_stopped_in(&self, number: Option<i64>) {
        // Stopped again while it goes on: still the same call.
        if number != Some(libc::SYS_restart_syscall) {
            self.stopped_in.set(number);
        }
    }

    pub(super) fn place(&self) -> Place {
        match fs::read(self.file("syscall")) {
            Ok(text) => match accounts::place(&text) {
                Place::Syscall(call) if call.number == libc::SYS_restart_syscall => {
                    let number = self.stopped_in.get().unwrap_or(call.number);
                    Place::Syscall(Syscall { number, ..call })
                }
                place => place,
            },
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound => Place::Gone,
                _ if error.raw_os_error() == Some(libc::ESRCH) => Place::Gone,
                _ => Place::Unknown,
            },
        }
    }

    fn file(&self, name: &str) -> String {
        format!("/proc/{}/task/{}/{name}", self.pid, self.tid)
    }
}
