//! Whether this system lets programs be watched from outside, tried out on one.

use std::{
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use asyncwatch_stack::outside::{Images, Process, Stop, Thread, Tracee};

/// A program that every system has. It only sleeps.
const PROGRAM: [&str; 2] = ["sleep", "30"];
const TIME_MAX: Duration = Duration::from_secs(3);
const NAP: Duration = Duration::from_millis(1);

/// What the system allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TriedOut {
    /// Polls that compute can be held on to.
    pub(crate) breakpoints: bool,
}

/// Watches a program for a moment.
///
/// # Errors
///
/// What does not work, for people.
pub(crate) fn try_out() -> Result<TriedOut, String> {
    let [program, time] = PROGRAM;
    let child = Command::new(program)
        .arg(time)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| format!("`{program}` cannot be started: {error}"))?;
    let mut child = Ended(child);
    let pid = child.0.id();
    // It may not have got to sleep yet, nor even to its program.
    let begun = Instant::now();
    let (thread, mut process) = loop {
        let thread = Thread::open(pid, pid)
            .map_err(|error| format!("its accounts cannot be read: {error}"))?;
        let mut process = Process::open(pid, &mut Images::new())
            .map_err(|error| format!("its memory map cannot be read: {error}"))?;
        match process.stack_of(&thread) {
            Ok(stack) if stack.complete => break (thread, process),
            Err(error) if begun.elapsed() > TIME_MAX => {
                return Err(format!("its stack cannot be read: {error}"));
            }
            _ if begun.elapsed() > TIME_MAX => {
                return Err("its stack cannot be followed to its beginning".to_owned());
            }
            _ => thread::sleep(NAP),
        }
    };
    let Ok(mut tracee) = Tracee::attach(&thread, true) else {
        return Ok(TriedOut { breakpoints: false });
    };
    tracee.ask();
    let begun = Instant::now();
    while tracee.happened() != Some(Stop::Asked) {
        if begun.elapsed() > TIME_MAX {
            return Ok(TriedOut { breakpoints: false });
        }
        thread::sleep(NAP);
    }
    let set = tracee
        .stack(&thread, &mut process)
        .ok()
        .is_some_and(|stack| {
            let outermost = stack.addresses.last();
            outermost.is_some_and(|address| tracee.set_breakpoints(&[address.raw()]).is_ok())
        });
    tracee.clear_breakpoints();
    drop(tracee);
    child.end();
    Ok(TriedOut { breakpoints: set })
}

/// Not left behind, whatever happens.
struct Ended(Child);

impl Ended {
    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_can_be_watched_here() {
        let tried = try_out().expect("stacks of children can be read");
        assert!(tried.breakpoints || cfg!(not(target_arch = "x86_64")));
    }
}
