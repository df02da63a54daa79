//! `asyncwatch report`: a JSON report in other formats, wherever it was made.

use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::Context;

use crate::{
    cli::ReportArgs,
    report::{Defaults, Report, options, prepare, read, text},
};

pub(crate) fn convert(args: ReportArgs, color: bool) -> anyhow::Result<ExitCode> {
    let report = load(&args.file)?;
    if args.reports.is_empty() {
        let base = Some(&*report.roots.directory);
        let text = text(&report, &options(base, color, args.stacks));
        match io::stdout().write_all(text.as_bytes()) {
            // Whoever reads it has seen enough: `asyncwatch report r.json | head`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            written => written.context("cannot write to standard output")?,
        }
    }
    for output in prepare(args.reports, Defaults::Stdout)? {
        output.write(&report)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the file, or standard input where it is called `-`.
fn load(file: &Path) -> anyhow::Result<Report> {
    let mut text = String::new();
    let (read_text, name) = if file == Path::new("-") {
        let read = io::stdin().read_to_string(&mut text).map(|_| text);
        (read, "standard input".to_owned())
    } else {
        (fs::read_to_string(file), file.display().to_string())
    };
    let text = read_text.with_context(|| format!("cannot read {name}"))?;
    read(&text).with_context(|| format!("cannot use {name}"))
}
