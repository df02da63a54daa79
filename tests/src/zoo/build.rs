//! Builds `asyncwatch` and the specimens.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

use crate::{
    copy::copy,
    options::{Options, repository},
    specimen::Specimen,
};

/// What was built.
pub(crate) struct Built {
    /// The command `asyncwatch`.
    pub(crate) asyncwatch: PathBuf,
    /// Where the specimens' programs are.
    pub(crate) programs: PathBuf,
    /// Where reports may go.
    pub(crate) reports: PathBuf,
}

/// Builds both; cargo says on stderr how it goes.
pub(crate) fn build(specimens: &[Specimen], options: &Options) -> anyhow::Result<Built> {
    let own = env::current_exe()?;
    let profile = own.parent().context("the runner has a directory")?;
    let target = profile.parent().context("it lies in a target directory")?;
    let mut command = cargo(repository());
    command.args(["build", "--quiet", "-p", "asyncwatch-tests"]);
    command.args(["--bin", "asyncwatch-under-test", "--target-dir"]);
    command.arg(target);
    if profile.ends_with("release") {
        command.arg("--release");
    }
    succeed(&mut command)?;

    let zoo = target.join("zoo");
    // Specimens from elsewhere do not replace ours.
    let whose = if options.dir.is_none() {
        "ours"
    } else {
        "others"
    };
    let (sources, library) = match options.plain {
        true => (zoo.join("plain").join(whose), None),
        false => (zoo.join(whose), Some(repository())),
    };
    copy(&options.directory(), &sources, library)?;
    // Their dependencies are the same, built with the same flags.
    let target = zoo.join("built").join(match options.kind() {
        "unstable" => "unstable",
        _ => "stable",
    });
    let mut command = cargo(&sources);
    command.args(["build", "--quiet", "--keep-going", "--target-dir"]);
    command.arg(&target);
    for specimen in specimens {
        command.args(["--bin", &specimen.id]);
    }
    command.env(
        "RUSTFLAGS",
        match options.kind() {
            "unstable" => "--cfg tokio_unstable",
            _ => "",
        },
    );
    if options.release {
        command.arg("--release");
    }
    // What it keeps for sixty programs is larger than what it saves.
    command.env("CARGO_INCREMENTAL", "0");
    if !options.full_debug {
        command.env("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only");
        let dependencies = "profile.dev.package.'*'.debug='line-tables-only'";
        command.args(["--config", dependencies]);
    }
    succeed(&mut command)?;

    Ok(Built {
        asyncwatch: profile.join("asyncwatch-under-test"),
        programs: target.join(if options.release { "release" } else { "debug" }),
        reports: zoo.join("reports").join(options.configuration()),
    })
}

fn cargo(directory: &Path) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(directory);
    command
}

fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().context("cannot run cargo")?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(())
}
