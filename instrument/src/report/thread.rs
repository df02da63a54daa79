//! The reporter's thread.

use std::{
    io,
    sync::{Arc, atomic::Ordering::Relaxed, mpsc::RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use asyncwatch_findings::{
    Allowed, Code, Drop, Event as Line, Finding, Level, ProcessInfo, SourceFiles, Totals, humanise,
    lines_beside, message,
};

use asyncwatch_stack::Thread;

use super::{
    Detected, DroppedUnawaited, Event, Shared, bounds, compose, dropped,
    episodes::{Episode, Episodes},
    file::ReportFile,
    groups::{Counted, Groups},
    large_future::LargeFutures,
    lock,
    log::Log,
    pace::{LeftOut, Occurrence, Pace},
    queue::Receiver,
    symbols::Symbols,
    unawaited::{self, Places},
};
use crate::{
    clock,
    config::Builder,
    coverage,
    detect::Dropped,
    drops,
    registry::{
        sites, slab, slots,
        task::{BUCKETS, Task},
    },
    self_test, settings, trial,
    watchdog::{PollReport, Stage},
};

/// The program has this long to build its runtimes before coverage is told.
const INTRODUCTION: Duration = Duration::from_millis(300);
/// Between totals in the report stream, and between writes of one busy finding.
const SETTLE: Duration = Duration::from_millis(500);
/// Between tellings of how long polls took: every living task is looked at for it.
const POLL_TIMES_EVERY: Duration = Duration::from_secs(5);
/// Findings written at once between two of these; more are written together then, so
/// that a flood costs the disk no more than some MiB a second.
const AT_ONCE_MAX: u32 = 32;

/// Starts the thread.
pub(super) fn spawn(config: &Builder, incoming: Receiver, shared: Arc<Shared>) -> io::Result<()> {
    let mut worker = Worker::new(config.clone(), shared);
    thread::Builder::new()
        .name("asyncwatch-rep".to_owned())
        .spawn(move || worker.run(&incoming))?;
    Ok(())
}

/// This process, as reports name it.
pub(super) fn process(config: &Builder) -> ProcessInfo {
    let exe = std::env::current_exe().ok();
    ProcessInfo {
        schema: 1,
        pid: std::process::id(),
        ppid: parent_id(),
        name: exe
            .as_deref()
            .and_then(|exe| exe.file_name())
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        args: bounds::args(std::env::args_os().map(|arg| arg.to_string_lossy().into_owned())),
        exe: exe.map(|exe| exe.display().to_string()),
        started_unix_ns: clock::now_unix_ns(),
        asyncwatch_version: env!("CARGO_PKG_VERSION").to_owned(),
        addr: None,
        timing: config.timing.as_str().to_owned(),
        max_poll_ms: config.max_poll.as_secs_f64() * 1_000.0,
        coverage: coverage::list(),
        settings: config.settings(),
    }
}

#[cfg(unix)]
fn parent_id() -> u32 {
    std::os::unix::process::parent_id()
}

#[cfg(not(unix))]
fn parent_id() -> u32 {
    0
}

struct Worker {
    config: Builder,
    shared: Arc<Shared>,
    log: Log,
    file: ReportFile,
    symbols: Option<Symbols>,
    episodes: Episodes,
    places: Places,
    large: LargeFutures,
    dropped_tasks: dropped::Sites,
    groups: Groups,
    pace: Pace,
    /// As it was last said at an end.
    left_out: Vec<LeftOut>,
    dropped: Vec<Drop>,
    introduced: bool,
    /// Findings whose newest state is not in the file yet.
    unwritten: Vec<Finding>,
    written_at_once: u32,
    started_unix_ns: u64,
    totals: Totals,
    drops: Vec<Drop>,
    /// As it was last written.
    process: Option<ProcessInfo>,
    /// Nothing was written since the last `End`.
    ended: bool,
    settled: Instant,
    /// When it was last told how long polls took.
    timed: Option<Instant>,
}

impl Worker {
    fn new(config: Builder, shared: Arc<Shared>) -> Worker {
        let log = Log::new(config.report.is_some());
        let file = match &config.report {
            None => ReportFile::none(),
            Some(directory) => ReportFile::create(directory, &lock(&shared.process))
                .unwrap_or_else(|why| {
                    log.warning(&format!(
                        "no report is written to {}: {why}",
                        directory.display()
                    ));
                    ReportFile::none()
                }),
        };
        Worker {
            config,
            shared,
            log,
            file,
            symbols: None,
            episodes: Episodes::default(),
            places: Places::default(),
            large: LargeFutures::default(),
            dropped_tasks: dropped::Sites::default(),
            groups: Groups::default(),
            pace: Pace::default(),
            left_out: Vec::new(),
            dropped: Vec::new(),
            introduced: false,
            unwritten: Vec::new(),
            written_at_once: 0,
            started_unix_ns: clock::now_unix_ns(),
            totals: Totals::default(),
            drops: Vec::new(),
            process: None,
            ended: false,
            settled: Instant::now(),
            timed: None,
        }
    }

    fn run(&mut self, incoming: &Receiver) {
        let started = Instant::now();
        let _ = self.shared.thread.set(Thread::current());
        for warning in std::mem::take(&mut self.config.warnings) {
            self.log.warning(&warning);
        }
        self.write_process();
        loop {
            let event = incoming.next(SETTLE.min(INTRODUCTION));
            if started.elapsed() >= INTRODUCTION {
                self.introduce();
            }
            match event {
                Ok(event) => {
                    self.take(event);
                    self.shared.done.fetch_add(1, Relaxed);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.settled.elapsed() >= SETTLE {
                self.settle();
            }
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Poll(report) => self.poll(&report),
            Event::Unawaited(dropped) => self.unawaited(&dropped),
            Event::Large(large) => {
                if let Some(detected) = self.large.judge(&large) {
                    self.detected(detected);
                }
            }
            Event::TaskDropped(dropped) => self.task_dropped(&dropped),
            Event::Detected(detected) => self.detected(*detected),
            Event::Warning(message) => self.log.warning(&message),
            Event::Address(addr) => {
                lock(&self.shared.process).addr = Some(addr);
                self.write_process();
            }
            Event::Finish(done) => {
                self.introduced = true;
                self.write_process();
                self.settle();
                self.write_poll_times();
                self.say_what_was_left_out();
                self.write_end();
                // The asker may have given up waiting.
                let _ = done.try_send(());
            }
        }
    }

    fn poll(&mut self, report: &PollReport) {
        let asked = trial::level_on(report.runtime, Code::SlowPoll);
        let level = asked.unwrap_or_else(|| self.config.level_of(Code::SlowPoll));
        let mut preliminary_id = None;
        let seen = !report.samples.is_empty();
        if self.file.exists() && self.symbols.is_none() && report.verdict.is_guilty() && seen {
            // A first symbolisation can take seconds; the program may not live that long.
            let mut symbols = Symbols::new();
            let located = Episode::located(report, &mut symbols);
            self.symbols = Some(symbols);
            let mut preliminary = Finding {
                id: self.groups.next_id(),
                ..compose::slow_poll(report, &located, level)
            };
            trial::excuse(&mut preliminary, report.runtime);
            self.excuse_start(&mut preliminary);
            preliminary_id = Some(preliminary.id);
            self.write_process();
            self.write_totals();
            self.write(&Line::Finding(Box::new(preliminary)));
        }
        let symbols = self.symbols.get_or_insert_with(Symbols::new);
        let mut episode = self.episodes.take(report, symbols);
        let excused = episode.excused(report.wall);
        if report.wall.saturating_sub(excused) >= report.limit {
            let mut report = report.without(excused);
            if excused.is_zero() && episode.never_asleep() {
                report = report.never_asleep();
            }
            let mut finding = compose::slow_poll(&report, &episode, level);
            let never_yielded = compose::never_yielded(&report, &finding);
            let beside = lines_beside(&finding, &episode.seen(), &SourceFiles);
            self.judge(&mut finding, report.runtime);
            self.slow_poll(&report, &mut episode, finding);
            for finding in beside {
                self.count(finding, report.runtime);
            }
            if let Some(mut finding) = never_yielded {
                self.judge(&mut finding, report.runtime);
                self.never_yielded(&mut episode, finding);
            }
        } else if let Some(id) = preliminary_id {
            self.write(&Line::Withdrawn { id });
        } else if let Some(finding) = episode.finding.and_then(|id| self.groups.end(id)) {
            // It was told before anybody saw that it was on purpose.
            self.publish(finding, true);
        }
        self.episodes.keep(report, episode);
    }

    fn slow_poll(&mut self, report: &PollReport, episode: &mut Episode, finding: Finding) {
        let outlasts_grace = episode.excused_at_start && finding.allowed.is_none();
        if let Some(id) = episode.finding.take_if(|_| outlasts_grace)
            && let Some(finding) = self.groups.end(id)
        {
            self.publish(finding, true);
        }
        if let Some(id) = episode.finding {
            if let Some(finding) = self.groups.update(id, finding) {
                if episode.announced {
                    self.follow_up(report, &finding);
                }
                self.publish(finding, false);
            }
            return;
        }
        episode.excused_at_start = finding.allowed.is_some();
        if let Some(counted) = self.groups.count(finding) {
            episode.finding = Some(counted.finding.id);
            episode.announced = self.show(&counted, 1);
            self.publish(counted.finding, counted.due);
        }
    }

    /// Shows an occurrence, or several told as one, if it is its turn; whether it did.
    fn show(&mut self, counted: &Counted, times: u64) -> bool {
        let finding = &counted.finding;
        if finding.level == Level::Allow {
            return false;
        }
        let occurrence = Occurrence {
            code: finding.code,
            place: finding.id,
            times: times.max(1),
            due: counted.due,
            new: counted.new,
        };
        let show = self.pace.take(occurrence, Instant::now());
        if counted.due {
            self.groups.note_shown(finding.id, show);
        }
        if show {
            self.log.finding(finding);
        }
        show
    }

    /// What was seen on `runtime` may be excused, or be what its test must not do.
    fn judge(&self, finding: &mut Finding, runtime: u64) {
        self.excuse_start(finding);
        trial::note(finding, runtime);
    }

    /// What a program does while it starts may be meant: within its grace it is counted
    /// and no more.
    fn excuse_start(&self, finding: &mut Finding) {
        let grace = self.config.grace;
        // Of a poll, the part after the grace has to be slow by itself.
        let until = grace + finding.limit.unwrap_or_default();
        let since = finding.last_unix_ns.saturating_sub(self.started_unix_ns);
        if grace.is_zero() || Duration::from_nanos(since) >= until {
            return;
        }
        let grace = humanise(grace);
        finding.level = Level::Allow;
        finding.allowed = Some(Allowed {
            reason: format!("within {grace} after the start"),
            source: "grace".to_owned(),
        });
        finding.notes.push(format!(
            "allowed: it was seen within {grace} after the start, the grace that was set"
        ));
    }

    /// The same poll as the sign of a task that never yields.
    fn never_yielded(&mut self, episode: &mut Episode, finding: Finding) {
        if let Some(id) = episode.never_yielded {
            if let Some(finding) = self.groups.update(id, finding) {
                self.publish(finding, false);
            }
        } else if let Some(counted) = self.groups.count(finding) {
            episode.never_yielded = Some(counted.finding.id);
            self.show(&counted, 1);
            self.publish(counted.finding, counted.due);
        }
    }

    /// One line when a poll that was shown goes on or ends.
    fn follow_up(&mut self, report: &PollReport, finding: &Finding) {
        if !self.pace.follow_up(finding.code, Instant::now()) {
            return;
        }
        let place = match &finding.culprit {
            Some(culprit) => format!("`{}`", message::frame_label(culprit)),
            None => message::task_name(finding.task.as_ref()),
        };
        let wall = humanise(report.wall);
        self.log.note(&match report.stage {
            Stage::End => format!("{place} let go of {} after {wall}", report.thread),
            _ => format!("{place} still holds {} after {wall}", report.thread),
        });
    }

    fn unawaited(&mut self, dropped: &DroppedUnawaited) {
        let level = self.config.level_of(Code::NeverAwaited);
        let symbols = self.symbols.get_or_insert_with(Symbols::new);
        let Some(finding) = unawaited::judge(dropped, symbols, &mut self.places, level) else {
            return;
        };
        self.count(finding, dropped.runtime);
    }

    fn task_dropped(&mut self, dropped: &Dropped) {
        let symbols = self.symbols.get_or_insert_with(Symbols::new);
        if let Some(finding) = dropped::judge(dropped, symbols, &mut self.dropped_tasks) {
            self.count(finding, dropped.task.runtime);
        }
    }

    fn detected(&mut self, detected: Detected) {
        let symbols = self.symbols.get_or_insert_with(Symbols::new);
        let runtime = detected.runtime();
        if let Some(finding) = detected.into_finding(symbols) {
            self.count(finding, runtime);
        }
    }

    /// Counts what was seen on `runtime`.
    fn count(&mut self, mut finding: Finding, runtime: u64) {
        self.judge(&mut finding, runtime);
        let times = finding.count;
        if let Some(counted) = self.groups.count(finding) {
            self.show(&counted, times);
            self.publish(counted.finding, counted.due);
        }
    }

    /// Makes a finding's new state known; to the file at once if it matters.
    fn publish(&mut self, mut finding: Finding, at_once: bool) {
        bounds::bound(&mut finding);
        self.tell_program(&finding);
        if self.file.exists() {
            self.unwritten.retain(|known| known.id != finding.id);
            let room = self.written_at_once < AT_ONCE_MAX;
            if at_once || (room && !finding.ongoing) {
                self.written_at_once += 1;
                self.write_process();
                self.write_totals();
                self.write(&Line::Finding(Box::new(finding.clone())));
            } else {
                self.unwritten.push(finding.clone());
            }
        }
        self.shared.publish(finding);
    }

    /// Calls the program's function, if there is one that has not panicked yet.
    fn tell_program(&mut self, finding: &Finding) {
        let Some(sink) = &self.config.on_finding else {
            return;
        };
        if finding.level != Level::Allow && !sink.tell(finding) {
            self.config.on_finding = None;
            self.log
                .warning("the function given to `on_finding` panicked and is not called any more");
        }
    }

    /// Says at the beginning what is watched, once runtimes have been built.
    fn introduce(&mut self) {
        if std::mem::replace(&mut self.introduced, true) {
            return;
        }
        self.write_process();
        let process = lock(&self.shared.process).clone();
        let limit = humanise(self.config.max_poll);
        self.log.note(&match &process.addr {
            Some(addr) => format!(
                "watching polls, limit {limit}; run `asyncwatch {addr}` to see tasks and findings live"
            ),
            None => format!("watching polls, limit {limit}"),
        });
        for gap in process.coverage.iter().filter(|aspect| !aspect.covered) {
            self.log.note(&gap.detail);
        }
    }

    fn write_process(&mut self) {
        let process = {
            let mut process = lock(&self.shared.process);
            process.coverage = coverage::list();
            process.clone()
        };
        if self.process.as_ref() != Some(&process) {
            self.write(&Line::Process(process.clone()));
            self.process = Some(process);
        }
    }

    fn write_totals(&mut self) {
        let totals = totals();
        if totals != self.totals {
            self.totals = totals;
            self.write(&Line::Totals(totals));
        }
    }

    fn write_poll_times(&mut self) {
        self.timed = Some(Instant::now());
        if let Some(counts) = poll_times().filter(|_| self.file.exists()) {
            self.write(&Line::PollTimes { counts });
        }
    }

    fn write(&mut self, line: &Line) {
        self.ended = false;
        self.file.write(line);
    }

    /// Findings that the log did not show, if any were added since this was last said.
    fn say_what_was_left_out(&mut self) {
        let left_out = self.pace.since_start();
        for kind in &left_out {
            if !self.left_out.contains(kind) {
                self.log.note(&kind.of_all());
            }
        }
        self.left_out = left_out;
        for drop in drops::list() {
            if !self.dropped.contains(&drop) && drop.what.ends_with("-events") {
                let Drop {
                    what,
                    count,
                    detail,
                } = &drop;
                self.log
                    .note(&format!("left out: {count} {what}: {detail}"));
                self.dropped.push(drop);
            }
        }
    }

    /// The program may say twice that it ends: at the end of `main`, and at exit.
    fn write_end(&mut self) {
        if !self.ended {
            self.write(&Line::End {
                unix_ns: clock::now_unix_ns(),
            });
            self.ended = true;
        }
    }

    /// Writes what has changed but was not worth a line each time.
    fn settle(&mut self) {
        self.settled = Instant::now();
        self.written_at_once = 0;
        for left_out in self.pace.ended(self.settled) {
            let text = left_out.of_a_minute();
            let addr = lock(&self.shared.process).addr.clone();
            self.log.note(&match addr {
                Some(addr) => format!("{text}; `asyncwatch {addr}` shows them all"),
                None => text,
            });
        }
        if !self.file.exists() {
            return;
        }
        for finding in std::mem::take(&mut self.unwritten) {
            self.write(&Line::Finding(Box::new(finding)));
        }
        self.write_totals();
        if self.timed.is_none_or(|at| at.elapsed() >= POLL_TIMES_EVERY) {
            self.write_poll_times();
        }
        let drops = drops::list();
        if drops != self.drops {
            self.drops.clone_from(&drops);
            self.write(&Line::Drops { drops });
        }
    }
}

/// How long polls took so far, in the buckets of [`bucket_of`](crate::registry::task::bucket_of);
/// `None` where they are not timed.
fn poll_times() -> Option<Vec<u64>> {
    if !settings::exact() {
        return None;
    }
    let mut counts = [0_u64; BUCKETS];
    let mut add = |times: &mut dyn Iterator<Item = u64>| {
        for (sum, count) in counts.iter_mut().zip(times) {
            *sum = sum.saturating_add(count);
        }
    };
    for row in sites::rows() {
        add(&mut row.poll_times.into_iter());
    }
    for row in slab::all().filter_map(Task::row) {
        if !self_test::is_own(row.site.location) {
            add(&mut row.poll_times.iter().map(|&count| u64::from(count)));
        }
    }
    let used = counts.iter().rposition(|&count| count > 0)?;
    Some(counts[..=used].to_vec())
}

/// How much was watched so far.
fn totals() -> Totals {
    Totals {
        polls: slots::total_polls(),
        tasks: sites::rows().iter().map(|row| row.spawned).sum(),
        threads: slots::all().count() as u64,
    }
}
