//! Is a check ever red because the machine was busy, and is it ever green over a poll
//! that blocks?
//!
//! Runs `asyncwatch check -- cargo test` over the project in `tests/plain` again and
//! again: its clean suite, which has to pass each time, and the same with one blocking
//! call, which has to fail each time with the right line. Meanwhile processes compete
//! for the CPUs and for the disk, and a CFS quota holds everything back.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, ensure};
use clap::Parser;
use serde_json::Value;

#[path = "../zoo/burners.rs"]
mod burners;
mod disk;
mod quota;

use quota::Quota;

/// Counts false alarms and missed polls of `asyncwatch check` on a machine that is busy
#[derive(Debug, Parser)]
#[command(name = "stress")]
struct Options {
    /// How often each of the two suites is run
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// Processes that keep the CPUs busy meanwhile
    #[arg(long, default_value_t = 8)]
    burners: u32,

    /// Processes that write to the disk and wait for it
    #[arg(long, default_value_t = 1)]
    writers: u32,

    /// CPUs that the command may use, in percent of one; 0 sets no quota
    #[arg(long, default_value_t = 60)]
    quota: u32,

    /// The limit of a poll
    #[arg(long, default_value = "50ms")]
    max_poll: String,

    /// The asyncwatch to use instead of one that is built here
    #[arg(long, value_name = "PATH")]
    asyncwatch: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let project = Project::new()?;
    let asyncwatch = match &options.asyncwatch {
        Some(path) => path.clone(),
        None => project.build_asyncwatch()?,
    };
    for planted in [false, true] {
        let built = project.cargo(planted).arg("--no-run").status()?;
        ensure!(built.success(), "the project in tests/plain does not build");
    }

    let quota = Quota::of(options.quota);
    if let Err(why) = &quota {
        println!("without a CFS quota: {why:#}");
    }
    let quota = quota.ok();
    let _burners = burners::start(options.burners)?;
    let _writers = disk::start(options.writers, &project.target)?;

    let (mut red, mut caught) = (0, 0);
    for run in 1..=options.runs {
        let clean = project.check(&asyncwatch, &options, quota.as_ref(), false)?;
        if clean.code != Some(0) {
            red += 1;
            println!("false alarm in run {run}:\n{}", clean.text);
        }
        let planted = project.check(&asyncwatch, &options, quota.as_ref(), true)?;
        if planted.code == Some(1) && planted.names_the_line {
            caught += 1;
        } else {
            println!("missed in run {run}:\n{}", planted.text);
        }
        eprintln!("{run}: {red} false alarms, {caught} caught");
    }
    println!("false alarms over the clean suite: {red}/{}", options.runs);
    println!("blocking call caught and named: {caught}/{}", options.runs);
    Ok(match (red, caught) {
        (0, caught) if caught == options.runs => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// The project that is checked, and where it is built.
struct Project {
    manifest: PathBuf,
    target: PathBuf,
    line: u64,
}

/// The source that blocks when it is asked to.
const CULPRIT: &str = "pricing/src/lib.rs";

/// One check.
struct Checked {
    code: Option<i32>,
    names_the_line: bool,
    text: String,
}

impl Project {
    fn new() -> anyhow::Result<Project> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("plain/Cargo.toml");
        let source = fs::read_to_string(manifest.with_file_name(CULPRIT))?;
        let line = source.lines().position(|line| line.contains("// CULPRIT"));
        let own = env::current_exe()?;
        let target = own.ancestors().nth(2).context("no target directory")?;
        Ok(Project {
            manifest,
            target: target.join("stress"),
            line: line.context("no line is marked")? as u64 + 1,
        })
    }

    fn build_asyncwatch(&self) -> anyhow::Result<PathBuf> {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut command = cargo();
        command.args([
            "build",
            "--release",
            "--quiet",
            "-p",
            "asyncwatch-dashboard",
        ]);
        command
            .arg("--target-dir")
            .arg(self.target.with_file_name(""));
        let built = command.current_dir(repository).status()?;
        ensure!(built.success(), "asyncwatch does not build");
        Ok(self.target.with_file_name("release/asyncwatch"))
    }

    fn cargo(&self, planted: bool) -> Command {
        let mut command = cargo();
        command
            .args(["test", "--manifest-path"])
            .arg(&self.manifest);
        // Each has a place of its own, so that nothing is built between runs.
        let place = if planted { "planted" } else { "clean" };
        command.arg("--target-dir").arg(self.target.join(place));
        if planted {
            command.args(["--features", "planted"]);
        }
        as_users_have_it(&mut command);
        command
    }

    fn check(
        &self,
        asyncwatch: &Path,
        options: &Options,
        quota: Option<&Quota>,
        planted: bool,
    ) -> anyhow::Result<Checked> {
        let report = self.target.join("report.json");
        let _ = fs::remove_file(&report);
        let tests = self.cargo(planted);
        let mut command = match quota {
            Some(quota) => quota.run(asyncwatch),
            None => Command::new(asyncwatch),
        };
        command.args(["check", "--max-poll", &options.max_poll, "--report"]);
        command.arg(format!("json={}", report.display()));
        command
            .arg("--")
            .arg(tests.get_program())
            .args(tests.get_args());
        as_users_have_it(&mut command);
        let output = command.stdin(Stdio::null()).output()?;
        let report = fs::read_to_string(&report).unwrap_or_default();
        let report: Value = serde_json::from_str(&report).unwrap_or_default();
        let is_named = |finding: &Value| {
            let culprit = &finding["culprit"];
            let file = culprit["file"].as_str().unwrap_or_default();
            file.ends_with(CULPRIT) && culprit["line"] == self.line
        };
        let findings = report["findings"].as_array();
        Ok(Checked {
            code: output.status.code(),
            names_the_line: findings.is_some_and(|all| all.iter().any(is_named)),
            text: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Whatever this repository is built with.
fn as_users_have_it(command: &mut Command) {
    command.env("RUSTFLAGS", "");
    for name in [
        "CARGO_ENCODED_RUSTFLAGS",
        "ASYNCWATCH_LEVELS",
        "ASYNCWATCH_MAX_POLL",
    ] {
        command.env_remove(name);
    }
}
