//! `asyncwatch doctor`: what works here and what does not, what each gap costs, and
//! what to do about it.
//!
//! Looks at this system, at the project in the current directory and at its settings;
//! also at a program, either one that it runs or one that runs already. It only looks:
//! nothing is changed.

mod program;
mod project;
mod settings;
mod system;

use std::{
    env,
    ffi::OsString,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use asyncwatch_findings::ProcessInfo;
use clap::Args;

use crate::{
    cli,
    config::{Config, Flags, Settings},
};

/// Something essential is missing.
const EXIT_MISSING: u8 = 1;

/// What `asyncwatch doctor` was asked for.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Address or process id of a running program to ask
    #[arg(value_name = "ADDR|PID", conflicts_with = "command")]
    whom: Option<String>,

    /// Stop the program after this long, such as `5s`; else it is run to its end
    #[arg(long = "for", value_name = "DURATION", requires = "command", value_parser = cli::parse_duration)]
    duration: Option<Duration>,

    /// File to read instead of the next `asyncwatch.toml` upward from here
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,

    /// A program to run under watch, and its arguments
    #[arg(value_name = "CMD", last = true)]
    command: Vec<OsString>,
}

pub(crate) async fn doctor(args: DoctorArgs) -> anyhow::Result<ExitCode> {
    let directory = env::current_dir().context("there is no current directory")?;
    let (config, mut configuration) = configuration(args.config.as_deref(), &directory)?;
    let said = Settings::resolve(&config, |name| env::var_os(name), &Flags::default());
    configuration.items.extend(said.mistakes.iter().map(|what| {
        Item::gap(what.as_str())
            .costs("the program runs with what it would have without it")
            .todo("correct the variable")
    }));
    let mut sections = vec![system::look(), project::look(&directory), configuration];
    let mut told: Option<ProcessInfo> = None;
    if !args.command.is_empty() {
        let (section, process) = program::run(&args.command, args.duration, &said).await?;
        sections.push(section);
        told = process;
    } else if let Some(whom) = &args.whom {
        let (section, process) = program::ask(whom).await?;
        sections.push(section);
        told = Some(process);
    }
    let table = settings::table(&said, told.as_ref());
    let missing = sections.iter().map(|section| section.count(State::Missing));
    let missing: usize = missing.sum();
    print(&format!(
        "{}{table}\n{}\n",
        text(&sections),
        closing(&sections)
    ))?;
    Ok(ExitCode::from(if missing > 0 { EXIT_MISSING } else { 0 }))
}

/// What `asyncwatch.toml` says; one with mistakes is looked past, but one that was
/// named has to be there.
fn configuration(named: Option<&Path>, directory: &Path) -> anyhow::Result<(Config, Section)> {
    if let Some(named) = named
        && !directory.join(named).is_file()
    {
        bail!("there is no file {}", named.display());
    }
    let mut section = Section::new("Configuration");
    let config = match Config::load(named, directory) {
        Ok(config) => {
            section.push(match &config.path {
                Some(path) => Item::good(format!("{} is valid", path.display())),
                None => Item::note(
                    "there is no asyncwatch.toml here or above: defaults, environment and flags count",
                ),
            });
            config
        }
        Err(mistakes) => {
            for mistake in format!("{mistakes:#}").split("\nasyncwatch: ") {
                section.push(
                    Item::missing(mistake)
                        .costs("`asyncwatch check` and `run` refuse to start")
                        .todo("correct the file"),
                );
            }
            Config::default()
        }
    };
    Ok((config, section))
}

/// How it stands with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It works.
    Good,
    /// Worth knowing.
    Note,
    /// Something is not found, or told less well.
    Gap,
    /// Without it nothing is found.
    Missing,
}

impl State {
    fn mark(self) -> &'static str {
        match self {
            State::Good => "✓",
            State::Note => "·",
            State::Gap => "!",
            State::Missing => "✗",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug)]
struct Item {
    state: State,
    what: String,
    costs: Option<String>,
    todo: Option<String>,
}

impl Item {
    fn new(state: State, what: impl Into<String>) -> Item {
        Item {
            state,
            what: what.into(),
            costs: None,
            todo: None,
        }
    }

    fn good(what: impl Into<String>) -> Item {
        Item::new(State::Good, what)
    }

    fn note(what: impl Into<String>) -> Item {
        Item::new(State::Note, what)
    }

    fn gap(what: impl Into<String>) -> Item {
        Item::new(State::Gap, what)
    }

    fn missing(what: impl Into<String>) -> Item {
        Item::new(State::Missing, what)
    }

    /// What is lost by it.
    fn costs(self, costs: impl Into<String>) -> Item {
        Item {
            costs: Some(costs.into()),
            ..self
        }
    }

    /// What would mend it.
    fn todo(self, todo: impl Into<String>) -> Item {
        Item {
            todo: Some(todo.into()),
            ..self
        }
    }
}

/// Things that belong together.
#[derive(Clone, Debug)]
struct Section {
    title: String,
    items: Vec<Item>,
}

impl Section {
    fn new(title: impl Into<String>) -> Section {
        Section {
            title: title.into(),
            items: Vec::new(),
        }
    }

    fn push(&mut self, item: Item) {
        self.items.push(item);
    }

    fn count(&self, state: State) -> usize {
        self.items.iter().filter(|item| item.state == state).count()
    }
}

fn text(sections: &[Section]) -> String {
    let mut text = String::new();
    for section in sections {
        text.push_str(&format!("{}\n", section.title));
        for item in &section.items {
            text.push_str(&format!("  {} {}\n", item.state.mark(), clean(&item.what)));
            if let Some(costs) = &item.costs {
                text.push_str(&format!("      costs: {}\n", clean(costs)));
            }
            if let Some(todo) = &item.todo {
                text.push_str(&format!("      to do: {}\n", clean(todo)));
            }
        }
        text.push('\n');
    }
    text
}

/// Programs' own words may not command the terminal.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

fn closing(sections: &[Section]) -> String {
    let count = |state| sections.iter().map(|section| section.count(state)).sum();
    let gaps = match count(State::Gap) {
        0 => "no gaps".to_owned(),
        1 => "1 gap (!)".to_owned(),
        gaps => format!("{gaps} gaps (!)"),
    };
    match count(State::Missing) {
        0 => format!("nothing essential is missing; {gaps}"),
        1 => format!("1 essential thing is missing (✗); {gaps}"),
        missing => format!("{missing} essential things are missing (✗); {gaps}"),
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever reads it has seen enough: `asyncwatch doctor | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to standard output"),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn each_gap_tells_its_cost_and_the_way_out() {
        let section = Section {
            title: "System".to_owned(),
            items: vec![
                Item::good("Linux"),
                Item::note("in a \u{1b}container"),
                Item::gap("no schedstat").costs("verdicts").todo("ask"),
                Item::missing("no tokio"),
            ],
        };
        expect![[r#"
            System
              ✓ Linux
              · in a �container
              ! no schedstat
                  costs: verdicts
                  to do: ask
              ✗ no tokio

            1 essential thing is missing (✗); 1 gap (!)"#]]
        .assert_eq(&format!(
            "{}{}",
            text(std::slice::from_ref(&section)),
            closing(&[section])
        ));
    }
}
