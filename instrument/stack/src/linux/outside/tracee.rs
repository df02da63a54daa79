//! A running thread of another process, stopped for a moment.
//!
//! By `ptrace`, attached with `PTRACE_SEIZE`, which sends no signal and stops nothing.
//! All calls about one thread have to come from the thread that attached to it, and
//! somebody has to call [`Tracee::happened`] often while it is attached: signals that
//! arrive for it wait until then.
//!
//! Its breakpoints are the processor's: no byte of the program changes.

#![expect(unsafe_code, reason = "ptrace, and waiting for what it stops")]

use super::super::arch::Interrupted;
use super::process::Process;
use super::thread::Thread;
use crate::{CaptureError, RawStack};
use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::time::{Duration, Instant};
use std::{io, mem, ptr, thread};

/// How long [`Tracee`]'s drop tries to detach, before it leaves that to [`let_go_of_left`].
const DETACH_TIME_MAX: Duration = Duration::from_millis(1);
const NAP: Duration = Duration::from_micros(50);

thread_local! {
    /// Those that could not be detached from yet.
    static LEFT: RefCell<Vec<Tracee>> = const { RefCell::new(Vec::new()) };
}

/// Goes on to detach from threads that this thread is still attached to although their
/// [`Tracee`] was dropped: how many are left. Until then one that slept where nothing
/// interrupts it would stand still as soon as it wakes, and whoever waits for the end of one
/// that has died would wait on. To be called as often as [`Tracee::happened`].
pub fn let_go_of_left() -> usize {
    let mut left = LEFT.take();
    left.retain_mut(|tracee| !tracee.let_go());
    let count = left.len();
    // Dropping those that are done adds none.
    LEFT.set(left);
    count
}

/// A thread that is attached to. Detached from when dropped.
#[derive(Debug)]
pub struct Tracee {
    tid: u32,
    state: State,
    /// Its process's parent is this process: its end is for others to wait for.
    is_own_child: bool,
    has_breakpoints: bool,
    /// It was asked to stop, and has not yet.
    asked: bool,
    /// It is to be detached from as soon as it stands still, whoever stopped it.
    leaving: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// It stands still until it is told to go on.
    Stopped,
    Gone,
}

/// Why a thread stopped, or that it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It was asked to.
    Asked,
    /// It came to a breakpoint.
    Breakpoint,
    /// It has ended, or is no longer ours.
    Gone,
}

impl Tracee {
    /// Attaches to `thread`, which goes on running. `is_own_child`: its process was
    /// started by this one.
    ///
    /// # Errors
    ///
    /// If the system does not allow it, or a debugger is attached already.
    pub fn attach(thread: &Thread, is_own_child: bool) -> io::Result<Tracee> {
        let tid = thread.tid();
        trace(libc::PTRACE_SEIZE, tid, 0, 0)?;
        Ok(Tracee {
            tid,
            state: State::Running,
            is_own_child: is_own_child && thread.is_main(),
            has_breakpoints: false,
            asked: false,
            leaving: false,
        })
    }

    /// Asks it to stop: [`Tracee::happened`] tells when it has.
    ///
    /// Must not be asked of a thread that sleeps in `epoll_wait` or in a call on a
    /// socket with a time limit: those would return early.
    pub fn ask(&mut self) {
        if self.state == State::Running && !self.asked {
            // Fails if it has died: then its end is still to be heard of, as nobody else
            // hears of it before.
            self.asked = trace(libc::PTRACE_INTERRUPT, self.tid, 0, 0).is_ok();
        }
    }

    /// What has happened to it; `None` if nothing. After [`Stop::Asked`] and
    /// [`Stop::Breakpoint`] it stands still until [`Tracee::go_on`]. Signals that came
    /// for it are delivered on the way.
    pub fn happened(&mut self) -> Option<Stop> {
        loop {
            match self.state {
                State::Gone => return Some(Stop::Gone),
                State::Stopped => return None,
                State::Running => {}
            }
            match self.wait()? {
                Event::Interrupted => {
                    self.state = State::Stopped;
                    if mem::take(&mut self.asked) {
                        return Some(Stop::Asked);
                    }
                    self.go_on();
                }
                // Stopped as a whole by somebody else: it stays so, detached from or not.
                Event::GroupStopped if self.leaving => {
                    self.state = State::Stopped;
                    return Some(Stop::Asked);
                }
                Event::GroupStopped => {
                    let _ = trace(libc::PTRACE_LISTEN, self.tid, 0, 0);
                }
                Event::Signal(signal) => {
                    if signal == libc::SIGTRAP && self.has_breakpoints && self.was_breakpoint() {
                        self.state = State::Stopped;
                        return Some(Stop::Breakpoint);
                    }
                    self.resume(signal);
                }
                Event::Ended => self.state = State::Gone,
            }
        }
    }

    /// Its stack, while it stands still.
    ///
    /// # Errors
    ///
    /// If it does not, or its memory cannot be read.
    pub fn stack(&self, thread: &Thread, process: &mut Process) -> Result<RawStack, CaptureError> {
        let registers = self.registers()?;
        thread.set_stopped_in(Interrupted::call(&registers));
        process.stack_at(self.tid, Interrupted::from_user(&registers))
    }

    /// Lets it run again.
    pub fn go_on(&mut self) {
        if self.state == State::Stopped {
            self.resume(0);
        }
    }

    fn resume(&mut self, signal: i32) {
        self.state = match trace(libc::PTRACE_CONT, self.tid, 0, signal as u64) {
            Ok(()) => State::Running,
            Err(_) => State::Gone,
        };
    }

    /// Makes it stop when it comes to one of `addresses`, of which there may be four;
    /// while it stands still.
    ///
    /// # Errors
    ///
    /// Where the processor or a virtual machine has no such breakpoints to give.
    pub fn set_breakpoints(&mut self, addresses: &[u64]) -> io::Result<()> {
        // Some may be set when the next one fails.
        self.has_breakpoints = true;
        breakpoint::set(self.tid, addresses)
    }

    /// The opposite; while it stands still.
    pub fn clear_breakpoints(&mut self) {
        if mem::take(&mut self.has_breakpoints) {
            // Fails only if the thread is gone.
            let _ = breakpoint::clear(self.tid);
        }
    }

    fn was_breakpoint(&self) -> bool {
        // SAFETY: a structure of integers and pointers, all of which may be zero.
        let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
        let told = trace(libc::PTRACE_GETSIGINFO, self.tid, 0, (&raw mut info) as u64);
        told.is_ok() && info.si_code == libc::TRAP_HWBKPT
    }

    fn registers(&self) -> Result<libc::user_regs_struct, CaptureError> {
        if self.state != State::Stopped {
            return Err(CaptureError::Moved);
        }
        // SAFETY: a structure of integers.
        let mut registers: libc::user_regs_struct = unsafe { mem::zeroed() };
        let mut parts = libc::iovec {
            iov_base: (&raw mut registers).cast(),
            iov_len: mem::size_of_val(&registers),
        };
        trace(
            libc::PTRACE_GETREGSET,
            self.tid,
            libc::NT_PRSTATUS as u64,
            (&raw mut parts) as u64,
        )
        .map_err(|_| CaptureError::Gone)?;
        Ok(registers)
    }

    /// What happened first of what has not been told yet.
    fn wait(&mut self) -> Option<Event> {
        // SAFETY: a structure of integers and pointers, all of which may be zero.
        let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
        let mut flags = libc::WSTOPPED | libc::WNOHANG | libc::__WALL;
        if !self.is_own_child {
            // Otherwise whoever waits for the process would never hear of its end.
            flags |= libc::WEXITED;
        }
        // SAFETY: `info` is writable.
        let waited = unsafe { libc::waitid(libc::P_PID, self.tid, &raw mut info, flags) };
        if waited != 0 {
            return Some(Event::Ended);
        }
        // SAFETY: the call filled in these fields, or left them zero.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        if pid == 0 {
            return None;
        }
        Some(match info.si_code {
            libc::CLD_TRAPPED | libc::CLD_STOPPED => match (status >> 8, status & 0xff) {
                (libc::PTRACE_EVENT_STOP, libc::SIGTRAP) => Event::Interrupted,
                (libc::PTRACE_EVENT_STOP, _) => Event::GroupStopped,
                (0, signal) => Event::Signal(signal),
                _ => Event::Signal(0),
            },
            _ => Event::Ended,
        })
    }
}

enum Event {
    Interrupted,
    GroupStopped,
    Signal(i32),
    Ended,
}

impl Tracee {
    /// Tries to detach, which needs a thread that stands still; whether that is done, or
    /// not necessary any more.
    fn let_go(&mut self) -> bool {
        if !mem::replace(&mut self.leaving, true) {
            // One whose process stands still as a whole has not answered, and is asked anew.
            self.asked = false;
        }
        self.ask();
        while self.state == State::Running {
            if self.happened().is_none() {
                return false;
            }
        }
        if self.state == State::Stopped {
            self.clear_breakpoints();
            let _ = trace(libc::PTRACE_DETACH, self.tid, 0, 0);
            self.state = State::Gone;
        }
        true
    }
}

impl Drop for Tracee {
    fn drop(&mut self) {
        let begun = Instant::now();
        while !self.let_go() {
            if begun.elapsed() < DETACH_TIME_MAX {
                thread::sleep(NAP);
                continue;
            }
            let left = ManuallyDrop::new(Tracee { ..*self });
            self.state = State::Gone;
            // At the end of this thread there is no such list any more; the kernel detaches
            // from all then.
            let _ = LEFT.try_with(|all| all.borrow_mut().push(ManuallyDrop::into_inner(left)));
        }
    }
}

fn trace(request: libc::c_uint, tid: u32, address: u64, data: u64) -> io::Result<()> {
    // SAFETY: of the requests made here, those that write to our memory get a pointer
    // to a structure of the kind they fill in, which lives longer than the call.
    let result = unsafe {
        libc::ptrace(
            request,
            tid as libc::pid_t,
            ptr::without_provenance_mut::<libc::c_void>(address as usize),
            ptr::with_exposed_provenance_mut::<libc::c_void>(data as usize),
        )
    };
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[cfg(target_arch = "x86_64")]
mod breakpoint {
    //! Debug registers 0 to 3 hold the addresses; every other of the lowest bits of
    //! register 7 turns one on, and zeros in its upper half say "when executed". Intel,
    //! Software Developer's Manual, volume 3, "Debug Registers".

    use std::io;
    use std::mem::offset_of;

    const ADDRESSES_MAX: usize = 4;

    pub(super) fn set(tid: u32, addresses: &[u64]) -> io::Result<()> {
        if addresses.len() > ADDRESSES_MAX {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        let mut enabled = 0;
        for (register, address) in addresses.iter().enumerate() {
            write(tid, register, *address)?;
            enabled |= 1 << (2 * register);
        }
        write(tid, 7, enabled)
    }

    pub(super) fn clear(tid: u32) -> io::Result<()> {
        write(tid, 7, 0)
    }

    fn write(tid: u32, register: usize, value: u64) -> io::Result<()> {
        let place = offset_of!(libc::user, u_debugreg) + register * size_of::<u64>();
        super::trace(libc::PTRACE_POKEUSER, tid, place as u64, value)
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod breakpoint {
    use std::io;

    pub(super) fn set(_: u32, _: &[u64]) -> io::Result<()> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    pub(super) fn clear(_: u32) -> io::Result<()> {
        Ok(())
    }
}
