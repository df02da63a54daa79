//! A started command: in the foreground as if it ran alone, or in a process group
//! of its own that is stopped as a whole.

use std::{
    ffi::OsString,
    fmt,
    os::unix::process::ExitStatusExt,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, anyhow};
use rustix::process::{Pid, Signal};
use tokio::{
    process::{ChildStderr, ChildStdout, Command},
    signal::unix::{self as signals, SignalKind},
    time,
};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    status: ExitStatus,
    /// We asked it to.
    stopped: bool,
}

impl Ending {
    pub(crate) fn exit_code(&self) -> Option<i32> {
        self.status.code()
    }

    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// How it failed, for people; `None` if it did not.
    pub(crate) fn failure(&self) -> Option<String> {
        (!self.stopped && !self.status.success()).then(|| self.to_string())
    }

    /// The exit code that says how it failed: its own, or 128 and the signal.
    pub(crate) fn failure_code(&self) -> Option<u8> {
        self.failure()?;
        let code = match self.signal() {
            Some(signal) => 128 + signal,
            None => self.exit_code().unwrap_or(1),
        };
        Some(u8::try_from(code).unwrap_or(1))
    }

    /// As a report told it: an exit code, or else a signal.
    pub(crate) fn told(exit_code: Option<i32>, signal: Option<i32>, stopped: bool) -> Ending {
        let status = match (exit_code, signal) {
            (Some(code), _) => (code & 0xff) << 8,
            (None, Some(signal)) => signal & 0x7f,
            (None, None) => 0,
        };
        Ending {
            status: ExitStatus::from_raw(status),
            stopped,
        }
    }

    /// We asked it to end.
    pub(crate) fn was_stopped(&self) -> bool {
        self.stopped
    }

    #[cfg(test)]
    pub(crate) fn of_wait_status(status: i32) -> Ending {
        Ending {
            status: ExitStatus::from_raw(status),
            stopped: false,
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (
            self.status.code(),
            self.status.signal().and_then(Signal::from_named_raw),
        ) {
            _ if self.stopped => f.write_str("was stopped"),
            (Some(code), _) => write!(f, "exited with code {code}"),
            (None, Some(signal)) => {
                write!(f, "was ended by signal {} ({signal:?})", signal.as_raw())
            }
            (None, None) => write!(f, "ended: {}", self.status),
        }
    }
}

/// A running command.
pub(crate) struct Child {
    process: tokio::process::Child,
    pid: Pid,
    own_group: bool,
    ending: Option<Ending>,
}

impl Child {
    /// With our own input and output. On a terminal it stays in our process group,
    /// so that Ctrl-C and job control reach it as if it ran alone.
    pub(crate) fn in_foreground(
        command: &[OsString],
        environment: Vec<(&'static str, OsString)>,
    ) -> anyhow::Result<Child> {
        Child::spawn(command, environment, !on_foreground_terminal(), |_| {})
    }

    /// With our own output, and no input from a terminal.
    pub(crate) fn headless(
        command: &[OsString],
        environment: Vec<(&'static str, OsString)>,
    ) -> anyhow::Result<Child> {
        Child::spawn(command, environment, true, |command| {
            // In a group of its own, reading from the terminal would stop it.
            if on_foreground_terminal() {
                command.stdin(Stdio::null());
            }
        })
    }

    /// With its output in pipes; the terminal belongs to the dashboard.
    pub(crate) fn piped(
        command: &[OsString],
        environment: Vec<(&'static str, OsString)>,
    ) -> anyhow::Result<Child> {
        Child::spawn(command, environment, true, |command| {
            command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
        })
    }

    fn spawn(
        words: &[OsString],
        environment: Vec<(&'static str, OsString)>,
        own_group: bool,
        configure: impl FnOnce(&mut Command),
    ) -> anyhow::Result<Child> {
        let (program, arguments) = words.split_first().context("no command was given")?;
        let mut command = Command::new(program);
        command.args(arguments).envs(environment);
        if own_group {
            command.process_group(0);
        }
        configure(&mut command);
        let process = command
            .spawn()
            .map_err(|error| cannot_start(program, &error))?;
        let pid = process
            .id()
            .and_then(pid)
            .context("the command has no process id")?;
        Ok(Child {
            process,
            pid,
            own_group,
            ending: None,
        })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.process.stdout.take()
    }

    pub(crate) fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.process.stderr.take()
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<Ending> {
        if let Some(ending) = self.ending {
            return Ok(ending);
        }
        let status = self
            .process
            .wait()
            .await
            .context("cannot wait for the command")?;
        let ending = Ending {
            status,
            stopped: false,
        };
        self.ending = Some(ending);
        Ok(ending)
    }

    /// Waits for its end, and passes on the signals that we get meanwhile.
    pub(crate) async fn wait(mut self) -> anyhow::Result<Ending> {
        let mut interrupts = Interrupts::new()?;
        loop {
            tokio::select! {
                ending = self.ended() => {
                    // What it left running is not ours to stop.
                    self.own_group = false;
                    return ending;
                }
                signal = interrupts.next() => self.pass_on(signal),
            }
        }
    }

    fn pass_on(&self, signal: Signal) {
        // The terminal sends these to the whole group; twice would be "at once".
        let from_terminal = matches!(signal, Signal::INT | Signal::QUIT);
        if self.own_group || !from_terminal {
            self.send(signal);
        }
    }

    fn send(&self, signal: Signal) {
        // It may have ended just now; then nobody needs the signal.
        let _ = if self.own_group {
            rustix::process::kill_process_group(self.pid, signal)
        } else {
            rustix::process::kill_process(self.pid, signal)
        };
    }

    /// Stops it and everything in its group: asks first, and kills what is left
    /// after `grace`.
    pub(crate) async fn stop(mut self, grace: Duration) -> anyhow::Result<Ending> {
        let by_itself = self.ending;
        self.send(Signal::TERM);
        let gone = async {
            let ending = self.ended().await;
            while self.group_lives() {
                time::sleep(Duration::from_millis(20)).await;
            }
            ending
        };
        let in_time = time::timeout(grace, gone).await;
        if in_time.is_err() {
            self.send(Signal::KILL);
        }
        let ending = self.ended().await?;
        self.own_group = false;
        Ok(by_itself.unwrap_or(Ending {
            stopped: true,
            ..ending
        }))
    }

    fn group_lives(&self) -> bool {
        self.own_group && rustix::process::test_kill_process_group(self.pid).is_ok()
    }
}

impl Drop for Child {
    /// Whatever went wrong here: nothing is left behind.
    fn drop(&mut self) {
        if self.own_group && (self.ending.is_none() || self.group_lives()) {
            self.send(Signal::KILL);
        }
    }
}

fn cannot_start(program: &OsString, error: &std::io::Error) -> anyhow::Error {
    let program = program.to_string_lossy();
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            anyhow!("command `{program}` was not found; check its name, or give its path")
        }
        std::io::ErrorKind::PermissionDenied => {
            anyhow!("command `{program}` cannot be executed: permission denied")
        }
        _ => anyhow!("command `{program}` cannot be started: {error}"),
    }
}

fn on_foreground_terminal() -> bool {
    let foreground = rustix::termios::tcgetpgrp(std::io::stdin());
    foreground.is_ok_and(|group| group == rustix::process::getpgrp())
}

fn pid(id: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(id).ok()?)
}

/// Whether a process with this id runs.
pub(crate) fn is_alive(id: u32) -> bool {
    let tested = pid(id).map(rustix::process::test_kill_process);
    // Another user's process is alive too.
    matches!(tested, Some(Ok(()) | Err(rustix::io::Errno::PERM)))
}

/// The command line as text.
pub(crate) fn shown(command: &[OsString]) -> Vec<String> {
    command
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

/// The signals that ask us to end.
pub(crate) struct Interrupts {
    interrupt: signals::Signal,
    terminate: signals::Signal,
    hangup: signals::Signal,
    quit: signals::Signal,
}

impl Interrupts {
    /// From now on they no longer end this process by themselves.
    pub(crate) fn new() -> anyhow::Result<Interrupts> {
        let listen = |kind| signals::signal(kind).context("cannot listen for signals");
        Ok(Interrupts {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
            quit: listen(SignalKind::quit())?,
        })
    }

    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.hangup.recv() => Signal::HUP,
            _ = self.quit.recv() => Signal::QUIT,
        }
    }
}
