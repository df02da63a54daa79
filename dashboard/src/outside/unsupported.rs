//! The names of the sampler where it does not work: it says so in the report.

use std::time::Duration;

use asyncwatch_findings::{Level, ProcessInfo};

use crate::{
    cli::WatchArgs,
    config::Settings,
    gather::{Gathered, Gathering},
    news::News,
    run::child::Child,
};

pub(crate) const PREVIEW_EVERY: Duration = Duration::from_secs(5);

pub(crate) struct Sampler;

pub(crate) struct FromOutside;

impl Sampler {
    pub(crate) fn of(
        _: &Child,
        _: &Gathering,
        args: &WatchArgs,
        _: &Settings,
        _: Level,
    ) -> anyhow::Result<Option<Sampler>> {
        Ok((!args.no_outside).then_some(Sampler))
    }

    pub(crate) fn describe(&self, _: u32) -> ProcessInfo {
        ProcessInfo::default()
    }

    pub(crate) fn news(&self) -> impl Iterator<Item = News> {
        std::iter::empty()
    }

    pub(crate) fn finish(self) -> FromOutside {
        FromOutside
    }
}

impl FromOutside {
    pub(crate) fn add_to(self, gathered: &mut Gathered) {
        gathered.unwatched.push(
            "programs are watched from outside on Linux on x86_64 and aarch64 only".to_owned(),
        );
    }
}

pub(crate) fn try_out() -> Result<TriedOut, String> {
    Err("that works on Linux on x86_64 and aarch64 only".to_owned())
}

/// What the system allows.
pub(crate) struct TriedOut {
    pub(crate) breakpoints: bool,
}
