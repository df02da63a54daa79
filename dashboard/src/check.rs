//! `asyncwatch check`: runs a command, and fails if a watched program in it blocked
//! its runtime.
//!
//! The command behaves as if it ran alone: same terminal, same input and output,
//! same exit code when it fails. Judging is all that is done here; gathering and
//! reporting are modules of their own.

use std::{env, process::ExitCode};

use asyncwatch_findings::{Code, Level};

use crate::{
    cli::{CheckArgs, EXIT_UNUSABLE},
    gather::{Gathering, Orders},
    report::{Output, Prepared, Report, Verdict, options, text},
    run::child::{self, Child},
};

/// Findings at deny level.
const EXIT_DENIED: u8 = 1;

pub(crate) async fn check(args: CheckArgs, color: bool) -> anyhow::Result<ExitCode> {
    let levels = args.levels();
    let outputs: Vec<Prepared> = args
        .reports
        .into_iter()
        .map(Output::prepare)
        .collect::<anyhow::Result<_>>()?;
    let gathering = Gathering::new()?;
    let orders = Orders {
        max_poll: args.watch.max_poll,
        levels: effective(&levels),
        addr: "off",
    };
    let child = Child::in_foreground(&args.command, gathering.environment(&orders))?;
    let ending = child.wait().await?;
    let report = Report::new(
        child::shown(&args.command),
        ending,
        gathering.finish(),
        &levels,
    );
    let base = env::current_dir().ok();
    eprint!(
        "\n{}",
        text(&report, &options(base.as_deref(), color, args.watch.stacks))
    );
    for output in outputs {
        output.write(&report, base.as_deref())?;
    }
    Ok(ExitCode::from(exit_code(&report)))
}

/// What the processes are told: everything fails a check, but for what the
/// environment and, above it, the flags say.
fn effective(flags: &[(Code, Level)]) -> Vec<(Code, Level)> {
    let from_environment = env::var("ASYNCWATCH_LEVELS").unwrap_or_default();
    let entries = from_environment.split(',').filter_map(|entry| {
        let (code, level) = entry.split_once('=')?;
        Some((code.trim().parse().ok()?, level.trim().parse().ok()?))
    });
    let by_default = Code::ALL.iter().map(|code| (*code, code.check_level()));
    by_default
        .chain(entries)
        .chain(flags.iter().copied())
        .collect()
}

fn exit_code(report: &Report) -> u8 {
    match (report.ending.failure_code(), report.verdict()) {
        (Some(code), _) => code,
        (None, Verdict::Clean) => 0,
        (None, Verdict::Denied) => EXIT_DENIED,
        (None, Verdict::NothingReported | Verdict::NothingPolled) => EXIT_UNUSABLE,
    }
}
