//! Runs the specimens in `tests/zoo` under `asyncwatch check` and scores what it said.
//!
//! Each specimen is a small program after a real bug, or a look-alike that is none,
//! with what has to be reported of it in its head. They are written on plain tokio;
//! what is built is an instrumented copy with the same lines, unless they are to be
//! watched from outside.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

mod build;
mod burners;
mod copy;
mod expectation;
mod gaps;
mod options;
mod run;
mod score;
mod specimen;
mod table;

use options::Options;

/// Something fell short of what the specimens ask for.
const EXIT_REGRESSION: u8 = 1;

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let mut specimens = specimen::read_all(&options.directory(), &options.only)?;
    if options.plain {
        specimens.retain(|specimen| specimen.is_for_outside());
    }
    let gaps = gaps::read(&options.directory())?;
    let built = build::build(&specimens, &options)?;

    let _burners = burners::start(options.burners)?;
    let scores = run::all(&specimens, &built, &options)?;

    let configuration = options.configuration();
    let failures = gaps.failures(&scores, &configuration);
    print!("{}", table::text(&scores, &configuration));
    print!("{}", gaps.closed(&scores, &configuration));
    if let Some(path) = &options.json {
        std::fs::write(path, table::json(&scores, &configuration))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    for failure in &failures {
        println!("regression: {failure}");
    }
    Ok(if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_REGRESSION)
    })
}
