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
    report::{Output, Prepared, Report, Verdict, options, print, say},
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
    let command = child::shown(&args.command);
    let report = Report::new(command, ending, gathering.finish(), &levels);
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

/// What the processes are told: everything fails a check, but for what the
/// environment and, above it, the flags say.
fn effective(flags: &[(Code, Level)]) -> Vec<(Code, Level)> {
    let by_default = Code::ALL.iter().map(|code| (*code, code.check_level()));
    let from_environment = env::var("ASYNCWATCH_LEVELS").unwrap_or_default();
    let (levels, mistakes) = parse_levels(&from_environment);
    for mistake in mistakes {
        say(&format!(
            "asyncwatch: ASYNCWATCH_LEVELS: {mistake}; it is ignored\n"
        ));
    }
    by_default
        .chain(levels)
        .chain(flags.iter().copied())
        .collect()
}

/// `slow-poll=deny,never-awaited=allow`, and what is wrong with it.
fn parse_levels(text: &str) -> (Vec<(Code, Level)>, Vec<String>) {
    let (mut levels, mut mistakes) = (Vec::new(), Vec::new());
    for entry in text
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
    {
        match parse_level(entry) {
            Ok(level) => levels.push(level),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    (levels, mistakes)
}

fn parse_level(entry: &str) -> Result<(Code, Level), String> {
    let (code, level) = entry
        .split_once('=')
        .ok_or_else(|| format!("`{entry}` is not of the form code=level"))?;
    let code = code
        .trim()
        .parse::<Code>()
        .map_err(|error| error.to_string())?;
    let level = level
        .trim()
        .parse::<Level>()
        .map_err(|error| error.to_string())?;
    Ok((code, level))
}

fn exit_code(report: &Report) -> u8 {
    match (report.ending.failure_code(), report.verdict()) {
        (Some(code), _) => code,
        (None, Verdict::Clean) => 0,
        (None, Verdict::Denied) => EXIT_DENIED,
        (None, Verdict::NothingReported | Verdict::NothingPolled) => EXIT_UNUSABLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_and_mistakes_told() {
        let (levels, mistakes) =
            parse_levels("slow-poll=warn, never-awaited = allow,,x=deny,slow-poll,slow-poll=no");
        assert_eq!(
            levels,
            [
                (Code::SlowPoll, Level::Warn),
                (Code::NeverAwaited, Level::Allow)
            ]
        );
        assert_eq!(
            mistakes,
            [
                "unknown finding code `x`; known are slow-poll, never-awaited",
                "`slow-poll` is not of the form code=level",
                "unknown level `no`; known are allow, warn, deny",
            ]
        );
    }
}
