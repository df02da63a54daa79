//! The command line, and where things lie.

use std::path::{Path, PathBuf};

use clap::Parser;

/// Runs the specimens under `asyncwatch check`, scores the findings, and fails if one
/// that has to be reported is not, or one that must not be is
#[derive(Debug, Parser)]
#[command(name = "zoo")]
pub(crate) struct Options {
    /// Build with optimisation
    #[arg(long)]
    pub(crate) release: bool,

    /// Build without `tokio_unstable`
    #[arg(long)]
    pub(crate) stable: bool,

    /// Build them as they are, without `tokio_unstable`, and have them watched from
    /// outside; only those with slow polls, and those that are clean
    #[arg(long, conflicts_with = "stable")]
    pub(crate) plain: bool,

    /// With all debug information in release, and of dependencies, not line tables alone
    #[arg(long)]
    pub(crate) full_debug: bool,

    /// How often to run each specimen
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,

    /// How often to run one again that has to be reported and was not told rightly, as a
    /// machine may do that has no CPU for the watchdog; what is clean has one chance
    #[arg(long, default_value_t = 0)]
    pub(crate) chances: u32,

    /// Processes that keep the CPUs busy meanwhile
    #[arg(long, default_value_t = 0)]
    pub(crate) burners: u32,

    /// How many specimens to run at a time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) jobs: u32,

    /// Only specimens whose name begins so; may be repeated
    #[arg(long, value_name = "PREFIX")]
    pub(crate) only: Vec<String>,

    /// Another directory of specimens, laid out like `tests/zoo`
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,

    /// Also write the scores here
    #[arg(long, value_name = "PATH")]
    pub(crate) json: Option<PathBuf>,
}

impl Options {
    /// Where the specimens are.
    pub(crate) fn directory(&self) -> PathBuf {
        self.dir
            .clone()
            .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("zoo"))
    }

    /// `debug-unstable` and the like; `debug-unstable-busy` if the CPUs are kept so.
    pub(crate) fn configuration(&self) -> String {
        let profile = if self.release { "release" } else { "debug" };
        let tokio = self.kind();
        let busy = if self.burners > 0 { "-busy" } else { "" };
        format!("{profile}-{tokio}{busy}")
    }

    /// What the specimens are built with.
    pub(crate) fn kind(&self) -> &'static str {
        match (self.plain, self.stable) {
            (true, _) => "plain",
            (false, true) => "stable",
            (false, false) => "unstable",
        }
    }
}

/// The root of this repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package lies in the repository")
}
