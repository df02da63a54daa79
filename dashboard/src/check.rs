//! `asyncwatch check`: runs a command, and fails if a watched program in it blocked
//! its runtime.
//!
//! The command behaves as if it ran alone: same terminal, same input and output,
//! same exit code when it fails. Judging is all that is done here; gathering and
//! reporting are modules of their own.

use std::{collections::HashSet, env, path::PathBuf, process::ExitCode, time::SystemTime};

use anyhow::{Context, bail};
use asyncwatch_findings::Code;

use crate::{
    baseline::Baseline,
    cli::{CheckArgs, EXIT_UNUSABLE},
    config::{Allows, Config},
    gather::{Gathering, Orders},
    outside::Sampler,
    progress::{self, Progress},
    report::{Defaults, Report, Roots, Verdict, options, prepare, print, say},
    run::child::{self, Child},
};

/// Findings at deny level.
const EXIT_DENIED: u8 = 1;

pub(crate) async fn check(args: CheckArgs, color: bool) -> anyhow::Result<ExitCode> {
    let (config, settings) = args.watch.settings(args.levels())?;
    for mistake in &settings.mistakes {
        say(&format!("asyncwatch: {mistake}\n"));
    }
    let outputs = prepare(args.reports, Defaults::Files)?;
    let baseline = baseline(args.baseline, args.update_baseline, &config)?;
    let mut gathering = Gathering::new()?;
    let orders = Orders {
        settings: &settings,
        checked: true,
        addr: "off",
    };
    let child = Child::in_foreground(&args.command, gathering.environment(&orders))?;
    let usual = Code::SlowPoll.check_level();
    let sampler = Sampler::of(&child, &gathering, &args.watch, &settings, usual)?;
    let caps = settings.level_pairs();
    let allows = || Allows::new(config.allow.clone(), config.base(), SystemTime::now());
    let progress = Progress {
        caps: &caps,
        allows: &allows(),
        baseline: baseline.as_ref(),
        limit_is_open: settings.is_auto(),
        roots: Roots::here(),
        told: HashSet::new(),
    };
    let ending = progress::follow(child, &mut gathering, sampler.as_ref(), progress).await?;
    let command = child::shown(&args.command);
    let allows = allows();
    let mut gathered = gathering.finish();
    if let Some(sampler) = sampler {
        sampler.finish().add_to(&mut gathered);
    }
    let mut report = Report::new(command, ending, gathered, &caps, &allows);
    if settings.is_auto() {
        report.limit_by_itself();
    }
    let told = baseline.map(|baseline| {
        baseline.compare(&mut report);
        baseline.update(&mut report)
    });
    let base = Some(&*report.roots.directory);
    print(&report, &options(base, color, args.watch.stacks));
    let mut code = exit_code(&report);
    match told {
        Some(Ok(Some(updated))) => say(&format!("asyncwatch: {updated}\n")),
        Some(Err(error)) => {
            say(&format!("asyncwatch: {error:#}\n"));
            code = report.ending.failure_code().unwrap_or(EXIT_UNUSABLE);
        }
        Some(Ok(None)) | None => {}
    }
    for output in outputs {
        if let Err(error) = output.write(&report) {
            say(&format!("asyncwatch: {error:#}\n"));
            code = report.ending.failure_code().unwrap_or(EXIT_UNUSABLE);
        }
    }
    Ok(ExitCode::from(code))
}

/// The file that the flag names, else the project's.
fn baseline(
    named: Option<PathBuf>,
    update: bool,
    config: &Config,
) -> anyhow::Result<Option<Baseline>> {
    let here = env::current_dir().context("there is no current directory")?;
    match named.or_else(|| config.baseline(&here)) {
        Some(path) => Baseline::load(&path, update).map(Some),
        None if update => bail!(
            "which baseline? add `--baseline FILE`, or `baseline = \"asyncwatch-baseline.toml\"` to asyncwatch.toml"
        ),
        None => Ok(None),
    }
}

fn exit_code(report: &Report) -> u8 {
    match (report.ending.failure_code(), report.verdict()) {
        (Some(code), _) => code,
        (None, Verdict::Clean) => 0,
        (None, Verdict::Denied) => EXIT_DENIED,
        (None, Verdict::NothingReported | Verdict::NothingPolled) => EXIT_UNUSABLE,
    }
}
