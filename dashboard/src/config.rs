//! `asyncwatch.toml`: what a project wants found, how seriously, and what it allows.
//!
//! Read by the commands, never by the programs: these are told by their environment.
//! A mistake in the file is an error with its place, because a check that quietly
//! ignores what it was told would pass for the wrong reason.

mod allow;
mod file;
mod settings;

use std::fmt;

pub(crate) use self::{
    allow::{Allows, Unused, Why},
    file::Config,
    settings::{CodeLimit, Flags, MaxPoll, Settings},
};

/// A value, and who said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said<T> {
    pub(crate) value: T,
    pub(crate) source: Source,
}

/// Who said a setting; later ones win.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file and a line.
    File(String),
    /// An environment variable.
    Environment(&'static str),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(place) => f.pad(place),
            Source::Environment(name) | Source::Flag(name) => f.pad(name),
        }
    }
}
