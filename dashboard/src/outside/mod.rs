//! Watches programs that know nothing of asyncwatch, from outside.
//!
//! The command's processes are looked at as an ancestor may look at its descendants:
//! what the kernel tells of each thread, and the memory of its stack. Which stacks are
//! polls follows from tokio's functions on them.
//!
//! ```text
//!  tree ── which processes ──► watch ◄── accounts, stacks ── the kernel
//!                               │  ▲
//!              symbol tables ───┘  └─── pin: one poll until it ends
//!                               │
//!                            episodes ──► name ──► findings
//! ```
//!
//! Why from outside and not by a library that is loaded into every program: static
//! programs can be watched, nothing has to be built or shipped for the watched system,
//! nothing of the program is changed, and a fault of ours is no fault of the program's.

mod episode;
mod follow;
mod marks;
mod name;
mod pin;
mod sleep;
mod tree;
mod trial;
mod watch;
mod watched;

use std::{
    collections::{BTreeSet, HashSet},
    path::{Path, PathBuf},
    sync::mpsc,
    thread::{Builder, JoinHandle},
    time::Duration,
};

use anyhow::Context;
use asyncwatch_findings::{Code, Coverage, Drop, Level, ProcessInfo, Totals};

use self::{
    name::{Named, Terms},
    watch::{EPISODES_MAX, Watch},
    watched::SharedMarks,
};
pub(crate) use self::{sleep::PREVIEW_EVERY, trial::try_out};
use crate::{
    cli::WatchArgs,
    config::Settings,
    gather::{Gathered, Gathering, OUTSIDE, Watched},
    news::News,
    run::child::Child,
};

/// News waiting for those who watch, who look four times a second.
const NEWS_MAX: usize = 256;

/// A sampler at work.
pub(crate) struct Sampler {
    limit: Duration,
    stop: mpsc::Sender<()>,
    watch: JoinHandle<Outcome>,
    names: JoinHandle<Named>,
    symbols: JoinHandle<()>,
    news: mpsc::Receiver<News>,
}

/// What came of it, but for the findings.
#[derive(Debug, Default)]
struct Outcome {
    /// Programs that were looked at, tokio inside or not.
    programs: Vec<Program>,
    /// Executables that could not be looked at.
    unwatched: BTreeSet<(PathBuf, Unwatched)>,
    /// The longest time between two looks.
    period: Duration,
    /// Stacks that could not be taken: on a stack of their own making.
    unread: u64,
    /// Polls that could not be held on to.
    not_held: u64,
    /// Slow polls for which no room was left.
    left_out: u64,
}

/// What one process ran.
#[derive(Debug)]
struct Program {
    pid: u32,
    exe: PathBuf,
    threads: u64,
    /// Of its executable first.
    marks: Vec<SharedMarks>,
}

impl Program {
    fn has_tokio(&self) -> bool {
        let has = |marks: &SharedMarks| marks.get().is_some_and(|marks| marks.has_tokio);
        self.marks.iter().any(has)
    }

    fn is_stripped(&self) -> bool {
        let executable = self.marks.first().and_then(|marks| marks.get());
        // Nobody expects the system's own programs to be watched.
        !self.exe.starts_with("/usr") && executable.is_some_and(|marks| marks.stripped)
    }
}

/// Why a program was not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unwatched {
    /// The system does not allow it.
    Denied,
    /// It has no symbols to recognise tokio by.
    Stripped,
}

/// What the sampler adds to a report.
#[derive(Debug, Default)]
pub(crate) struct FromOutside {
    /// Programs with tokio that were looked at.
    pub(crate) processes: Vec<Watched>,
    /// Executables that could not be, with the reason, for people.
    pub(crate) unwatched: Vec<String>,
}

impl Sampler {
    /// Starts to watch `child` and all that it starts, unless `args` say not to. Slow
    /// polls become findings of the level that `settings` give them, else of the `usual`
    /// one. Programs that tell something themselves where `gathering` reads it are left
    /// alone.
    ///
    /// # Errors
    ///
    /// If no thread can be started.
    pub(crate) fn of(
        child: &Child,
        gathering: &Gathering,
        args: &WatchArgs,
        settings: &Settings,
        usual: Level,
    ) -> anyhow::Result<Option<Sampler>> {
        if args.no_outside {
            return Ok(None);
        }
        let reports = gathering.directory().to_owned();
        let limit = settings.max_poll();
        let level = settings.level(Code::SlowPoll).unwrap_or(usual);
        Sampler::start(child.id(), reports, limit, level).map(Some)
    }

    fn start(
        root: u32,
        reports: PathBuf,
        limit: Duration,
        level: Level,
    ) -> anyhow::Result<Sampler> {
        let (stop, stopped) = mpsc::channel();
        let (marks_wanted, wanted) = mpsc::channel();
        let (episodes, seen) = mpsc::sync_channel(EPISODES_MAX);
        let spawn = |name: &str| Builder::new().name(name.to_owned());
        let failed = "cannot start a thread";
        let symbols = spawn("symbols")
            .spawn(move || watched::read_tables(&wanted))
            .context(failed)?;
        let terms = Terms { limit, level };
        let (tell, news) = mpsc::sync_channel(NEWS_MAX);
        let tell_programs = tell.clone();
        let names = spawn("names")
            .spawn(move || name::all(&seen, terms, &tell))
            .context(failed)?;
        let watch = Watch::new(root, reports, limit, marks_wanted, episodes, tell_programs);
        let watch = spawn("sampler")
            .spawn(move || watch.run(&stopped))
            .context(failed)?;
        Ok(Sampler {
            limit,
            stop,
            watch,
            names,
            symbols,
            news,
        })
    }

    /// What is known of a process of which something was found.
    pub(crate) fn describe(&self, pid: u32) -> ProcessInfo {
        // One that has ended has no name any more.
        let exe = std::fs::read_link(format!("/proc/{pid}/exe"));
        let exe = exe.unwrap_or_else(|_| PathBuf::from(format!("process {pid}")));
        info(pid, &exe, watch::period_of(self.limit), self.limit)
    }

    /// What is new since the last call.
    pub(crate) fn news(&self) -> impl Iterator<Item = News> {
        self.news.try_iter()
    }

    /// Stops, and waits for the names of what was seen.
    pub(crate) fn finish(self) -> FromOutside {
        drop(self.stop);
        let joined = (self.watch.join(), self.names.join(), self.symbols.join());
        let (Ok(mut outcome), Ok(mut named), Ok(())) = joined else {
            return FromOutside {
                unwatched: vec!["the sampler failed: this is a bug in asyncwatch".to_owned()],
                ..FromOutside::default()
            };
        };
        let stripped = outcome
            .programs
            .iter()
            .filter(|program| program.is_stripped());
        let stripped = stripped.map(|program| (program.exe.clone(), Unwatched::Stripped));
        outcome.unwatched.extend(stripped.collect::<Vec<_>>());
        let processes = outcome
            .programs
            .iter()
            .filter(|program| program.has_tokio())
            .map(|program| Watched {
                info: info(program.pid, &program.exe, outcome.period, self.limit),
                findings: named.findings.remove(&program.pid).unwrap_or_default(),
                totals: Totals {
                    threads: program.threads,
                    ..Totals::default()
                },
                ended: true,
                reported: true,
                ..Watched::default()
            })
            .collect();
        let mut from_outside = FromOutside {
            processes,
            unwatched: outcome.unwatched.iter().map(unwatched).collect(),
        };
        if let Some(first) = from_outside.processes.first_mut() {
            first.drops = drops(&outcome, &named);
        }
        from_outside
    }
}

fn info(pid: u32, exe: &Path, period: Duration, limit: Duration) -> ProcessInfo {
    let name = exe.file_name().unwrap_or_default();
    let period = Duration::from_millis(period.as_millis().max(1) as u64);
    let period = humantime::format_duration(period);
    ProcessInfo {
        schema: 1,
        pid,
        name: name.to_string_lossy().into_owned(),
        exe: Some(exe.display().to_string()),
        asyncwatch_version: env!("CARGO_PKG_VERSION").to_owned(),
        timing: OUTSIDE.to_owned(),
        max_poll_ms: limit.as_secs_f64() * 1e3,
        coverage: vec![Coverage {
            aspect: "outside".to_owned(),
            covered: true,
            detail: format!(
                "watched from outside, every {period}: polls of tasks, of LocalSet and of block_on that block or compute"
            ),
        }],
        ..ProcessInfo::default()
    }
}

fn drops(outcome: &Outcome, named: &Named) -> Vec<Drop> {
    let drop = |what: &str, count, detail: &str| Drop {
        what: what.to_owned(),
        count,
        detail: detail.to_owned(),
    };
    [
        drop(
            "slow-poll-events",
            outcome.left_out + named.left_out,
            "more slow polls than could be named",
        ),
        drop(
            "stacks",
            outcome.unread + named.unclear,
            "sleeping threads whose stacks could not be followed, so that nobody knows whether a poll slept: programs built for musl have such stacks",
        ),
        drop(
            "captures",
            outcome.not_held,
            "busy threads that could not be held on to, because the system forbids ptrace, has no hardware breakpoints, or a debugger is attached: polls that compute were not seen there",
        ),
    ]
    .into_iter()
    .filter(|drop| drop.count > 0)
    .collect()
}

fn unwatched((exe, why): &(PathBuf, Unwatched)) -> String {
    let exe = exe.display();
    match why {
        Unwatched::Denied => format!(
            "{exe} could not be looked at: the system does not allow it (a setuid program, another user's, or a sandbox without ptrace)"
        ),
        Unwatched::Stripped => format!(
            "{exe} could not be watched: it is stripped, and tokio is recognised by its symbols; set `strip = false` in its Cargo profile"
        ),
    }
}

impl FromOutside {
    /// Adds what was seen from outside to what the programs told themselves. One that
    /// tells something knows better: what is allowed in it, and what is a poll.
    pub(crate) fn add_to(self, gathered: &mut Gathered) {
        let told: HashSet<u32> = (gathered.processes.iter())
            .filter(|told| told.reported)
            .map(|told| told.info.pid)
            .collect();
        let untold = |process: &Watched| !told.contains(&process.info.pid);
        gathered
            .processes
            .extend(self.processes.into_iter().filter(untold));
        gathered.unwatched = self.unwatched;
    }
}
