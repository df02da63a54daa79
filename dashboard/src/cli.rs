//! The command line: what can be asked for, and which command answers.
//!
//! Only words and their meaning; each command is a module of its own.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use asyncwatch_findings::{Code, Level};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    check,
    client::Target,
    config::{CodeLimit, Config, Flags, MaxPoll, Said, Settings, Source},
    convert,
    doctor::{self, DoctorArgs},
    explain, ps,
    report::{Output, say},
    run,
};

/// Wrong usage, or nothing was watched.
pub(crate) const EXIT_UNUSABLE: u8 = 2;

const ABOUT: &str = "Finds what is wrong in a tokio program: polls that block, caught while they block, tasks and wakers that are lost, futures nobody awaited";

const EXAMPLES: &str = "\
Examples:
  asyncwatch                          watch a program that already runs here
  asyncwatch 127.0.0.1:6670           watch the program that listens there
  asyncwatch run -- cargo run         start a program, and the dashboard on it
  asyncwatch check -- cargo test      run the tests; fail if something blocked
  asyncwatch explain slow-poll        what a finding means, and how to fix it
  asyncwatch doctor                   what works here, and what is missing

The program has to be built with the `asyncwatch` crate and its feature `enabled`,
and run under `#[asyncwatch::main]` or `#[asyncwatch::test]`.";

#[derive(Debug, Parser)]
#[command(name = "asyncwatch", version, about = ABOUT, after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    /// Address of the program to watch, as `host:port` or a port alone
    ///
    /// Without it, programs of this user on this machine are found.
    #[arg(value_parser = parse_target)]
    addr: Option<Target>,

    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t)]
    color: Color,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a program, and the dashboard on it
    #[command(override_usage = "asyncwatch run [OPTIONS] -- CMD…")]
    Run(RunArgs),
    /// Run a command, and fail if a watched program in it blocked its runtime
    #[command(after_help = CHECK_HELP, override_usage = "asyncwatch check [OPTIONS] -- CMD…")]
    Check(CheckArgs),
    /// Show a JSON report, or write it in other formats
    #[command(override_usage = "asyncwatch report [OPTIONS] FILE")]
    Report(ReportArgs),
    /// List the tasks of a running program
    Ps {
        /// Address or process id; without it, all programs of this user on this machine
        #[arg(value_name = "ADDR|PID")]
        whom: Option<String>,
    },
    /// Show which task spawned which in a running program
    Tree {
        /// Address or process id; without it, all programs of this user on this machine
        #[arg(value_name = "ADDR|PID")]
        whom: Option<String>,
    },
    /// Show what a finding means, how it is found, and how to fix or allow it
    Explain {
        /// Code of the finding; without it, all of them are listed
        code: Option<Code>,
    },
    /// Show what works here and what does not: this system, the project, its settings
    #[command(after_help = DOCTOR_HELP, override_usage = "asyncwatch doctor [OPTIONS] [ADDR|PID]\n       asyncwatch doctor [OPTIONS] -- CMD…")]
    Doctor(DoctorArgs),
}

const CHECK_HELP: &str = "\
Exit codes:
  0  no finding at deny level
  1  findings at deny level
  2  wrong usage, or nothing was watched
  the command's own code if it failed by itself; 128 + N if signal N ended it";

const DOCTOR_HELP: &str = "\
Exit codes:
  0  nothing essential is missing
  1  something is, and nothing can be found before it is there
  2  wrong usage";

/// What `asyncwatch run` was asked for.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// No dashboard: print findings as text when the program ends
    #[arg(long)]
    pub(crate) headless: bool,

    /// Stop the program after this long, such as `10s`
    #[arg(long = "for", value_name = "DURATION", requires = "headless", value_parser = parse_duration)]
    pub(crate) duration: Option<Duration>,

    #[command(flatten)]
    pub(crate) watch: WatchArgs,

    /// The program and its arguments
    #[arg(value_name = "CMD", required = true, trailing_var_arg = true)]
    pub(crate) command: Vec<OsString>,
}

/// What `asyncwatch check` was asked for.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Also write a report; may be repeated [formats: text, json, junit, sarif, github, gitlab, markdown, html]
    ///
    /// A path of `-` is standard output. Without a path, annotations for GitHub go there,
    /// and everything else to a file such as `asyncwatch.json`.
    #[arg(long = "report", value_name = "FORMAT[=PATH]")]
    pub(crate) reports: Vec<Output>,

    /// Fail on what is not in this file only; `--update-baseline` writes it
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,

    /// Write what would fail the check to the baseline, and drop what is no longer seen
    #[arg(long)]
    pub(crate) update_baseline: bool,

    /// Findings of this kind fail the check; `asyncwatch explain` lists the codes
    #[arg(long, value_name = "CODE")]
    deny: Vec<Code>,

    /// Findings of this kind are shown and do not fail the check
    #[arg(long, value_name = "CODE")]
    warn: Vec<Code>,

    /// Findings of this kind are counted and not shown
    #[arg(long, value_name = "CODE")]
    allow: Vec<Code>,

    #[command(flatten)]
    pub(crate) watch: WatchArgs,

    /// The command and its arguments, for example `cargo test`
    #[arg(value_name = "CMD", required = true, trailing_var_arg = true)]
    pub(crate) command: Vec<OsString>,
}

/// What `asyncwatch report` was asked for.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The report, as `asyncwatch check --report json=FILE` wrote it; `-` for standard input
    pub(crate) file: PathBuf,

    /// Write it in this format, to standard output unless a path is given; may be repeated
    /// [formats: text, json, junit, sarif, github, gitlab, markdown, html]
    #[arg(long = "report", value_name = "FORMAT[=PATH]")]
    pub(crate) reports: Vec<Output>,

    /// Show the stack below each finding
    #[arg(long)]
    pub(crate) stacks: bool,
}

/// What both say about how to watch and how to show it.
#[derive(Clone, Debug, Args)]
pub(crate) struct WatchArgs {
    /// How long a poll may hold its thread, such as `50ms`
    ///
    /// Default: what the program says, else 100 ms; 1 ms is the shortest. With `auto` a
    /// check takes 100 times as long as ordinary polls of the suite, 20 to 500 ms.
    #[arg(long, value_name = "DURATION")]
    pub(crate) max_poll: Option<MaxPoll>,

    /// From where on something is a finding, such as `large-future=64KiB`; may be repeated
    ///
    /// `asyncwatch explain CODE` tells what the limit of a kind of finding means.
    #[arg(long = "limit", value_name = "CODE=VALUE")]
    pub(crate) limits: Vec<CodeLimit>,

    /// File to read instead of the next `asyncwatch.toml` upward from here
    #[arg(long, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,

    /// Watch only programs that are instrumented
    ///
    /// Others are watched from outside, which finds polls that block or compute.
    #[arg(long)]
    pub(crate) no_outside: bool,

    /// Show the stack below each finding
    #[arg(long)]
    pub(crate) stacks: bool,
}

impl CheckArgs {
    /// The level of each kind of finding that was named; a kind that is named
    /// twice gets the more serious level.
    pub(crate) fn levels(&self) -> Vec<Said<(Code, Level)>> {
        let named = [
            (&self.allow, Level::Allow, "--allow"),
            (&self.warn, Level::Warn, "--warn"),
            (&self.deny, Level::Deny, "--deny"),
        ];
        let each = named.into_iter().flat_map(|(codes, level, flag)| {
            codes.iter().map(move |&code| Said {
                value: (code, level),
                source: Source::Flag(flag),
            })
        });
        each.collect()
    }
}

impl WatchArgs {
    /// The project's configuration, and what follows from it, the environment and
    /// these flags.
    pub(crate) fn settings(
        &self,
        levels: Vec<Said<(Code, Level)>>,
    ) -> anyhow::Result<(Config, Settings)> {
        let directory = env::current_dir().context("there is no current directory")?;
        let config = Config::load(self.config.as_deref(), &directory)?;
        let flags = Flags {
            max_poll: self.max_poll,
            levels,
            limits: self.limits.clone(),
        };
        let settings = Settings::resolve(&config, |name| env::var_os(name), &flags);
        Ok((config, settings))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    Always,
    Never,
}

impl Color {
    fn on(self, stream: &impl anstream::stream::RawStream) -> bool {
        match self {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => anstream::AutoStream::choice(stream) != anstream::ColorChoice::Never,
        }
    }
}

/// Runs the `asyncwatch` command with this process's arguments.
///
/// Everything the binary does, so that another package can build the same command.
pub fn main() -> ExitCode {
    let cli = Cli::parse_from(arguments(std::env::args_os()));
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("asyncwatch: {error:#}\n"));
            ExitCode::from(EXIT_UNUSABLE)
        }
    }
}

/// Cargo runs `cargo-asyncwatch asyncwatch …`: the second word is not ours.
fn arguments(all: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut all: Vec<OsString> = all.collect();
    let under_cargo = all
        .first()
        .and_then(|program| Path::new(program).file_stem())
        .is_some_and(|name| name == "cargo-asyncwatch");
    if under_cargo && all.get(1).is_some_and(|word| word == "asyncwatch") {
        all.remove(1);
    }
    all
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let on_terminal = cli.color.on(&std::io::stderr());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    match cli.command {
        Some(Command::Explain { code }) => explain::explain(code),
        Some(Command::Report(args)) => convert::convert(args, cli.color.on(&std::io::stdout())),
        Some(Command::Doctor(args)) => runtime.block_on(doctor::doctor(args)),
        Some(Command::Check(args)) => runtime.block_on(check::check(args, on_terminal)),
        Some(Command::Run(args)) => runtime.block_on(run::run(args, on_terminal)),
        Some(Command::Ps { whom }) => runtime.block_on(ps::show(whom.as_deref(), ps::Layout::List)),
        Some(Command::Tree { whom }) => {
            runtime.block_on(ps::show(whom.as_deref(), ps::Layout::Tree))
        }
        None => runtime.block_on(run::attach(cli.addr, cli.color.on(&std::io::stdout()))),
    }
}

pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write it as `10s`, `250ms` or `1.5s`"))?;
    match duration {
        Duration::ZERO => Err("it has to be longer than zero".to_owned()),
        duration => Ok(duration),
    }
}

/// Shorter limits than this are not watched for.
const MAX_POLL_MIN: Duration = Duration::from_millis(1);

pub(crate) fn parse_limit(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        limit if limit < MAX_POLL_MIN => Err("the shortest limit is 1ms".to_owned()),
        limit => Ok(limit),
    }
}

/// A mistyped command must not become a host name.
fn parse_target(text: &str) -> Result<Target, String> {
    let is_address =
        text.contains([':', '.']) || text == "localhost" || text.parse::<u16>().is_ok();
    if !is_address {
        return Err(
            "neither a command nor an address such as 127.0.0.1:6670; see `asyncwatch --help`"
                .to_owned(),
        );
    }
    text.parse().map_err(|error| format!("{error}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(arguments(words.iter().map(OsString::from)))
    }

    #[test]
    fn the_definition_holds() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_keep_their_own_flags() {
        for words in [
            &["asyncwatch", "check", "--", "cargo", "test", "--release"][..],
            &["asyncwatch", "check", "cargo", "test", "--release"],
            &[
                "cargo-asyncwatch",
                "asyncwatch",
                "check",
                "--",
                "cargo",
                "test",
                "--release",
            ],
        ] {
            let Some(Command::Check(args)) = parse(words).expect("valid").command else {
                panic!("{words:?} is a check");
            };
            assert_eq!(args.command, ["cargo", "test", "--release"]);
        }
    }

    #[test]
    fn the_more_serious_level_wins() {
        let words = [
            "asyncwatch",
            "check",
            "--deny",
            "slow-poll",
            "--allow",
            "slow-poll",
            "--warn",
            "never-awaited",
            "true",
        ];
        let Some(Command::Check(args)) = parse(&words).expect("valid").command else {
            panic!("it is a check");
        };
        let last = |code| {
            let levels = args.levels();
            let named = levels.iter().rev().find(|said| said.value.0 == code);
            named.map(|said| said.value.1)
        };
        assert_eq!(last(Code::SlowPoll), Some(Level::Deny));
        assert_eq!(last(Code::NeverAwaited), Some(Level::Warn));
    }

    #[test]
    fn mistakes_are_told() {
        for (words, part) in [
            (
                &["asyncwatch", "chekc"][..],
                "neither a command nor an address",
            ),
            (&["asyncwatch", "check"], "required"),
            (
                &["asyncwatch", "check", "--max-poll", "fast", "true"],
                "write it as",
            ),
            (
                &["asyncwatch", "check", "--max-poll", "500us", "true"],
                "the shortest limit is 1ms",
            ),
            (
                &["asyncwatch", "check", "--deny", "slow-pole", "true"],
                "did you mean `slow-poll`?",
            ),
            (
                &["asyncwatch", "check", "--limit", "large-future", "true"],
                "CODE=VALUE",
            ),
            (
                &["asyncwatch", "check", "--report", "pdf=x", "true"],
                "text, json",
            ),
            (&["asyncwatch", "run", "--for", "10s", "true"], "--headless"),
            (
                &["asyncwatch", "run", "--headless", "--for", "0s", "true"],
                "longer than zero",
            ),
            (&["asyncwatch", "explain", "nonsense"], "known are"),
        ] {
            let error = parse(words).expect_err("invalid").to_string();
            assert!(error.contains(part), "{words:?}: {error}");
        }
    }

    #[test]
    fn addresses_are_read() {
        for text in [
            "127.0.0.1:6670",
            "6670",
            "localhost",
            "[::1]:6670",
            "dev.example:80",
        ] {
            assert!(
                parse(&["asyncwatch", text]).expect("valid").addr.is_some(),
                "{text}"
            );
        }
    }
}
