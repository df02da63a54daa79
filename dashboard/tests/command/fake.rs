//! Fake instrumented programs: shell scripts that write report streams as the real
//! library would, and whatever else a test needs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use asyncwatch_findings::{
    Class, Code, Event, Finding, Frame, Level, ProcessInfo, Totals, fingerprint,
};
use tempfile::TempDir;

/// A test's own directory, with streams and scripts in it.
pub(crate) struct Scene {
    directory: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Scene {
        Scene {
            directory: tempfile::tempdir().expect("a directory"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A shell command that reports these events as one process would.
    pub(crate) fn reports(&self, name: &str, events: &[Event]) -> String {
        let lines: Vec<String> = events
            .iter()
            .map(|event| serde_json::to_string(event).expect("serialisable") + "\n")
            .collect();
        self.reports_bytes(name, lines.concat().as_bytes())
    }

    /// The same with any bytes.
    pub(crate) fn reports_bytes(&self, name: &str, bytes: &[u8]) -> String {
        let file = self.path(name);
        fs::write(&file, bytes).expect("written");
        format!(
            "cat '{}' > \"$ASYNCWATCH_REPORT\"/$$-{name}.jsonl; ",
            file.display()
        )
    }

    /// Runs `asyncwatch ARGS… -- sh -c SCRIPT` here.
    pub(crate) fn asyncwatch(&self, args: &[&str], script: &str) -> Done {
        self.run(self.command(args).args(["--", "sh", "-c", script]))
    }

    /// `asyncwatch ARGS…`, not started yet.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_asyncwatch"));
        command.args(args).current_dir(self.directory.path());
        for variable in [
            "ASYNCWATCH",
            "ASYNCWATCH_LEVELS",
            "ASYNCWATCH_LIMITS",
            "ASYNCWATCH_GRACE",
            "ASYNCWATCH_CHECK",
            "ASYNCWATCH_MAX_POLL",
            "ASYNCWATCH_REPORT",
            "ASYNCWATCH_ADDR",
            "GITHUB_ACTIONS",
            "GITHUB_STEP_SUMMARY",
        ] {
            command.env_remove(variable);
        }
        command
    }

    pub(crate) fn run(&self, command: &mut Command) -> Done {
        Done::new(command.output().expect("asyncwatch starts"))
    }
}

/// What a finished command left.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    fn new(output: Output) -> Done {
        Done {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Done {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    #[track_caller]
    pub(crate) fn says(self, part: &str) -> Done {
        assert!(
            self.stderr.contains(part),
            "no {part:?} in:\n{}",
            self.stderr
        );
        self
    }

    #[track_caller]
    pub(crate) fn does_not_say(self, part: &str) -> Done {
        assert!(
            !self.stderr.contains(part),
            "{part:?} is in:\n{}",
            self.stderr
        );
        self
    }
}

pub(crate) fn process() -> Event {
    Event::Process(ProcessInfo {
        schema: 1,
        pid: 7_000_001,
        name: "app".to_owned(),
        max_poll_ms: 100.0,
        ..ProcessInfo::default()
    })
}

pub(crate) fn totals() -> Event {
    Event::Totals(Totals {
        polls: 10,
        tasks: 2,
        threads: 1,
    })
}

pub(crate) fn end() -> Event {
    Event::End { unix_ns: 1 }
}

pub(crate) fn slow_poll(level: Level) -> Finding {
    let culprit = Frame {
        function: "app::session::load::{{closure}}".to_owned(),
        file: Some("/build/app/src/session.rs".to_owned()),
        line: Some(42),
        user: true,
        ..Frame::default()
    };
    Finding {
        id: 1,
        code: Code::SlowPoll,
        level,
        message: "task `session` held worker 1 for 512 ms (limit 100 ms)".to_owned(),
        count: 1,
        ongoing: false,
        first_unix_ns: 1,
        last_unix_ns: 2,
        wall: Some(Duration::from_millis(512)),
        cpu: None,
        blocked: Some(Duration::from_millis(511)),
        run_delay: None,
        limit: Some(Duration::from_millis(100)),
        class: Some(Class::Blocked),
        syscall: Some("clock_nanosleep".to_owned()),
        fingerprint: fingerprint(Code::SlowPoll, Some(&culprit), None, None),
        culprit: Some(culprit),
        blocking_frame: None,
        task: None,
        worker: Some("worker 1".to_owned()),
        queued_behind: None,
        waited_behind: None,
        label: None,
        stacks: Vec::new(),
        help: None,
        notes: Vec::new(),
        allowed: None,
        occurrences: Vec::new(),
    }
}

pub(crate) fn found(finding: Finding) -> Event {
    Event::Finding(Box::new(finding))
}

/// Waits until `path` exists and has text; fails after a minute.
pub(crate) fn wait_for(path: &Path) -> String {
    for _ in 0..6_000 {
        if let Ok(text) = fs::read_to_string(path)
            && text.ends_with('\n')
        {
            return text;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{} never appeared", path.display());
}

/// Waits until no process has this id any more; fails after a minute.
pub(crate) fn wait_gone(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
    for _ in 0..6_000 {
        if !runs(pid) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("process {pid:?} still runs");
}

/// A zombie that nobody reaped runs no more.
fn runs(pid: rustix::process::Pid) -> bool {
    let stat =
        fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    let zombie = stat
        .rsplit(") ")
        .next()
        .is_some_and(|rest| rest.starts_with('Z'));
    rustix::process::test_kill_process(pid).is_ok() && !zombie
}
