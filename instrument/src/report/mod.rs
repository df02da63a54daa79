//! From what was seen to findings, and on to people.
//!
//! One thread symbolises, judges what needs names (was it `block_in_place`? did a
//! `select!` drop it?), groups by site, and hands findings to the log, the report
//! file and the server. It may take seconds over a first symbolisation; the
//! watchdog goes on meanwhile, and hands over through a bounded queue.

mod arrays;
mod bounds;
mod boxed;
mod compose;
mod detected;
mod dropped;
mod episodes;
mod file;
mod groups;
mod large_future;
mod log;
mod pace;
mod patience;
mod queue;
mod select;
pub(crate) mod sink;
mod symbols;
mod thread;
mod unawaited;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use asyncwatch_findings::{Code, Finding, ProcessInfo};
use asyncwatch_stack::Thread;
pub(crate) use detected::{Detected, OnlyIf, Place};
pub(crate) use large_future::LargeFuture;
pub(crate) use log::to_stderr;
use patience::{Patience, Progress};
pub(crate) use symbols::Symbols;
pub(crate) use unawaited::DroppedUnawaited;

use crate::{config::Builder, detect::Dropped, drops, watchdog::PollReport};

/// What reaches the reporter.
enum Event {
    Poll(Box<PollReport>),
    Unawaited(Box<DroppedUnawaited>),
    Large(Box<LargeFuture>),
    TaskDropped(Box<Dropped>),
    Detected(Box<Detected>),
    Warning(String),
    /// The server listens here.
    Address(String),
    /// Everything before is to be written; then answer.
    Finish(SyncSender<()>),
}

impl Event {
    /// The kind of finding it may become.
    fn code(&self) -> Option<Code> {
        match self {
            Event::Poll(_) => Some(Code::SlowPoll),
            Event::Unawaited(_) => Some(Code::NeverAwaited),
            Event::Large(_) => Some(Code::LargeFuture),
            Event::TaskDropped(_) => Some(Code::TaskDroppedPending),
            Event::Detected(detected) => Some(detected.code),
            Event::Warning(_) | Event::Address(_) | Event::Finish(_) => None,
        }
    }
}

/// Between looks at whether all is done, when the program ends.
const FINISH_LOOK: Duration = Duration::from_millis(50);

/// The way to the reporter's thread.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    events: Option<queue::Sender>,
    shared: Arc<Shared>,
    /// A report is written.
    reports: bool,
}

/// What the server reads, and who waits for the end.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The reporter's thread, once it runs.
    thread: OnceLock<Thread>,
    /// Events that it has looked into.
    done: AtomicU64,
    process: Mutex<ProcessInfo>,
    findings: Mutex<Versioned>,
}

/// Findings, each with the version at which it last changed.
#[derive(Debug, Default)]
pub(crate) struct Versioned {
    pub(crate) version: u64,
    pub(crate) findings: Vec<(u64, Arc<Finding>)>,
}

/// Starts the reporter's thread.
pub(crate) fn start(config: &Builder) -> Reporter {
    let (events, incoming) = queue::queue();
    let shared = Arc::new(Shared::default());
    *lock(&shared.process) = thread::process(config);
    let started = thread::spawn(config, incoming, shared.clone());
    Reporter {
        events: started.is_ok().then_some(events),
        shared,
        reports: config.report.is_some(),
    }
}

impl Reporter {
    /// One that drops everything.
    pub(crate) fn none() -> Reporter {
        Reporter {
            events: None,
            shared: Arc::default(),
            reports: false,
        }
    }

    pub(crate) fn poll(&self, report: PollReport) {
        self.send(Event::Poll(Box::new(report)));
    }

    pub(crate) fn unawaited(&self, dropped: DroppedUnawaited) {
        self.send(Event::Unawaited(Box::new(dropped)));
    }

    pub(crate) fn large_future(&self, large: LargeFuture) {
        self.send(Event::Large(Box::new(large)));
    }

    /// Hands on that tasks were dropped. Never waits; allocates.
    pub(crate) fn task_dropped(&self, dropped: Dropped) {
        self.send(Event::TaskDropped(Box::new(dropped)));
    }

    /// Hands on what a detector found. Never waits; allocates, so not for the poll path.
    pub(crate) fn detected(&self, detected: Detected) {
        self.send(Event::Detected(Box::new(detected)));
    }

    pub(crate) fn warn(&self, message: String) {
        self.send(Event::Warning(message));
    }

    #[cfg(feature = "server")]
    pub(crate) fn address(&self, addr: String) {
        self.send(Event::Address(addr));
    }

    /// Waits until everything sent so far is written, for as long as that gets on, but
    /// not for ever; `started` is when the wait began. Says how much was left undone.
    pub(crate) fn finish(&self, started: Instant) {
        self.finish_with(started, Patience::new(self.reports));
    }

    /// The same for somebody who needs the findings, for as long as it takes.
    pub(crate) fn settle(&self) {
        self.finish_with(Instant::now(), Patience::new(true));
    }

    fn finish_with(&self, started: Instant, mut patience: Patience) {
        let Some(events) = &self.events else { return };
        let (done, wait) = sync_channel(1);
        let mut done = Some(done);
        loop {
            // The queue may be full of what is still to be written.
            done = done.filter(|done| !events.send(Event::Finish(done.clone())));
            // Without the reporter's thread nobody will answer.
            if wait.recv_timeout(FINISH_LOOK) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            if patience.is_over(started.elapsed(), self.shared.progress()) {
                break;
            }
        }
        match events.waiting() {
            0 => {}
            left => log::to_stderr(&format!(
                "warning[asyncwatch]: the program ended before {left} occurrences of findings were looked into\n"
            )),
        }
    }

    #[cfg(feature = "server")]
    pub(crate) fn process(&self) -> ProcessInfo {
        lock(&self.shared.process).clone()
    }

    /// The version of the findings now; it grows with each change.
    #[cfg(feature = "server")]
    pub(crate) fn findings_version(&self) -> u64 {
        lock(&self.shared.findings).version
    }

    /// The findings that changed after `version`, and the version now.
    #[cfg(feature = "server")]
    pub(crate) fn findings_since(&self, version: u64) -> (u64, Vec<Arc<Finding>>) {
        let all = lock(&self.shared.findings);
        let changed = all
            .findings
            .iter()
            .filter(|(changed, _)| *changed > version);
        (
            all.version,
            changed.map(|(_, finding)| finding.clone()).collect(),
        )
    }

    fn send(&self, event: Event) {
        let Some(events) = &self.events else { return };
        let code = event.code();
        if !events.send(event) {
            drops::count(code.map_or(drops::What::Warnings, drops::What::Events));
        }
    }
}

impl Shared {
    fn progress(&self) -> Progress {
        let usage = self.thread.get().and_then(Thread::usage);
        Progress {
            events: self.done.load(Relaxed),
            cpu: usage.map(|usage| usage.cpu).unwrap_or_default(),
        }
    }

    /// Puts a finding in place of the one with its id.
    fn publish(&self, finding: Finding) {
        let mut all = lock(&self.findings);
        all.version += 1;
        let version = all.version;
        let finding = Arc::new(finding);
        match all
            .findings
            .iter_mut()
            .find(|(_, known)| known.id == finding.id)
        {
            Some(entry) => *entry = (version, finding),
            None => all.findings.push((version, finding)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
