//! One specimen under `asyncwatch check`, for a bounded time.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use crate::{
    build::Built,
    options::Options,
    score::{Outcome, Score, judge},
    specimen::Specimen,
};

/// Serves all specimens: those that have to be reported stall for longer, and those
/// that must not be stay clean at it.
const MAX_POLL: &str = "15ms";

/// Most of them take a second; on a busy machine, several.
const TIME_MAX: Duration = Duration::from_secs(120);

/// How often a run is repeated whose specimen says itself that it did not do what it
/// is for.
const VOID_MAX: u32 = 4;

/// Runs the specimens, so many at a time as asked for.
pub(crate) fn all(
    specimens: &[Specimen],
    built: &Built,
    options: &Options,
) -> anyhow::Result<Vec<Score>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut scores = Vec::new();
        while let Some(specimen) = specimens.get(next.fetch_add(1, Relaxed)) {
            let score = runs(specimen, built, options)
                .with_context(|| format!("cannot run {}", specimen.id))?;
            scores.push(score);
        }
        anyhow::Ok(scores)
    };
    let mut scores = thread::scope(|scope| {
        let jobs: Vec<_> = (0..options.jobs).map(|_| scope.spawn(work)).collect();
        let mut scores = Vec::new();
        for job in jobs {
            let done = job.join().map_err(|_| anyhow!("the runner panicked"))?;
            scores.extend(done?);
        }
        anyhow::Ok(scores)
    })?;
    scores.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(scores)
}

/// Runs a specimen as often as asked for, and judges each run.
fn runs(specimen: &Specimen, built: &Built, options: &Options) -> anyhow::Result<Score> {
    let mut score = Score::new(specimen);
    for run in 0..options.runs {
        let mut chances = options.chances;
        let outcome = loop {
            let outcome = judged(specimen, built, run)?;
            announce(specimen, run, &outcome);
            if outcome.is_right() || chances == 0 || specimen.expected.is_none() {
                break outcome;
            }
            chances -= 1;
        };
        score.add(outcome);
    }
    Ok(score)
}

/// One run that did what it is for, if there was one.
fn judged(specimen: &Specimen, built: &Built, run: u32) -> anyhow::Result<Outcome> {
    let mut voids = 0;
    loop {
        let ran = once(specimen, built, run)?;
        let void = ran.output.contains("ZOO-BAD");
        if !void || voids == VOID_MAX {
            return Ok(judge(specimen, &ran, void));
        }
        voids += 1;
    }
}

/// Progress, on stderr: a whole run takes minutes.
fn announce(specimen: &Specimen, run: u32, outcome: &Outcome) {
    eprintln!("{} run {}: {outcome}", specimen.id, run + 1);
}

/// What a run left behind.
pub(crate) struct Ran {
    /// The JSON report; null if there is none.
    pub(crate) report: Value,
    /// What the program and the check printed.
    pub(crate) output: String,
    /// It had to be killed.
    pub(crate) timed_out: bool,
    /// How the check ended.
    pub(crate) status: ExitStatus,
}

fn once(specimen: &Specimen, built: &Built, run: u32) -> anyhow::Result<Ran> {
    fs::create_dir_all(&built.reports)?;
    let path = |extension: &str| -> PathBuf {
        built
            .reports
            .join(format!("{}-{run}.{extension}", specimen.id))
    };
    let (report, output) = (path("json"), path("txt"));
    // That of an earlier run must not be taken for this one's.
    let _ = fs::remove_file(&report);
    let file = File::create(&output)?;
    let mut child = Command::new(&built.asyncwatch)
        .args(["check", "--max-poll", MAX_POLL, "--report"])
        .arg(format!("json={}", report.display()))
        .arg("--")
        .arg(built.programs.join(&specimen.id))
        .env_remove("ASYNCWATCH")
        .env_remove("ASYNCWATCH_LEVELS")
        .env_remove("ASYNCWATCH_LIMITS")
        .env_remove("ASYNCWATCH_TIMING")
        .env("NO_COLOR", "1")
        // A backtrace is printed inside the poll that panics: a slow poll of its own.
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .process_group(0)
        .spawn()
        .context("cannot start asyncwatch")?;
    let (status, timed_out) = wait(&mut child)?;
    let report = fs::read_to_string(&report).unwrap_or_default();
    Ok(Ran {
        report: serde_json::from_str(&report).unwrap_or(Value::Null),
        output: String::from_utf8_lossy(&fs::read(&output)?).into_owned(),
        timed_out,
        status,
    })
}

/// Waits for the end, or makes one; whether that was necessary.
fn wait(child: &mut Child) -> anyhow::Result<(ExitStatus, bool)> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((status, false));
        }
        if started.elapsed() > TIME_MAX {
            let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            if let Some(group) = group {
                // It may end by itself in this very moment.
                let _ = kill_process_group(group, Signal::KILL);
            }
            return Ok((child.wait()?, true));
        }
        thread::sleep(Duration::from_millis(20));
    }
}
