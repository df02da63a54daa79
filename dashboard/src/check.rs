//! `asyncwatch check`: runs a command, and fails if a watched program in it blocked
//! its runtime.
//!
//! The command behaves as if it ran alone: same terminal, same input and output,
//! same exit code when it fails. Judging is all that is done here; gathering and
//! reporting are modules of their own.

use std::{env, process::ExitCode, time::SystemTime};

use crate::{
    cli::{CheckArgs, EXIT_UNUSABLE},
    config::Allows,
    gather::{Gathering, Orders},
    report::{Output, Prepared, Report, Verdict, options, print, say},
    run::child::{self, Child},
};

/// Findings at deny level.
const EXIT_DENIED: u8 = 1;

pub(crate) async fn check(args: CheckArgs, color: bool) -> anyhow::Result<ExitCode> {
    let (config, settings) = args.watch.settings(args.levels())?;
    for mistake in &settings.mistakes {
        say(&format!("asyncwatch: {mistake}\n"));
    }
    let outputs: Vec<Prepared> = args
        .reports
        .into_iter()
        .map(Output::prepare)
        .collect::<anyhow::Result<_>>()?;
    let gathering = Gathering::new()?;
    let orders = Orders {
        settings: &settings,
        checked: true,
        addr: "off",
    };
    let child = Child::in_foreground(&args.command, gathering.environment(&orders))?;
    let ending = child.wait().await?;
    let command = child::shown(&args.command);
    let caps = settings.level_pairs();
    let allows = Allows::new(config.allow.clone(), config.base(), SystemTime::now());
    let report = Report::new(command, ending, gathering.finish(), &caps, &allows);
    let base = env::current_dir().ok();
    print(&report, &options(base.as_deref(), color, args.watch.stacks));
    let mut code = exit_code(&report);
    for output in outputs {
        if let Err(error) = output.write(&report, base.as_deref()) {
            say(&format!("asyncwatch: {error:#}\n"));
            code = report.ending.failure_code().unwrap_or(EXIT_UNUSABLE);
        }
    }
    Ok(ExitCode::from(code))
}

fn exit_code(report: &Report) -> u8 {
    match (report.ending.failure_code(), report.verdict()) {
        (Some(code), _) => code,
        (None, Verdict::Clean) => 0,
        (None, Verdict::Denied) => EXIT_DENIED,
        (None, Verdict::NothingReported | Verdict::NothingPolled) => EXIT_UNUSABLE,
    }
}
