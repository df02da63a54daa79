//! Findings for whoever reads the program's output.
//!
//! Through `tracing` where the program has a subscriber, so that they land in its
//! log and obey its filter (target `asyncwatch`); straight to stderr where it has
//! none. Runs on the reporter's thread: a stuck subscriber blocks only that.

use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
};

use asyncwatch_findings::{Finding, Level, RenderOptions, SourceFiles, render};
use tracing::{dispatcher, subscriber::NoSubscriber};

/// Writes findings and notes.
pub(super) struct Log {
    color: bool,
    /// Under `asyncwatch check` and `run` the report file carries everything.
    quiet: bool,
    base: Option<PathBuf>,
}

impl Log {
    pub(super) fn new(quiet: bool) -> Log {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Log {
            color: !no_color && std::io::stderr().is_terminal(),
            quiet,
            base: std::env::current_dir().ok(),
        }
    }

    /// A finding, in full.
    pub(super) fn finding(&self, finding: &Finding) {
        if self.quiet || finding.level == Level::Allow {
            return;
        }
        let traced = has_subscriber();
        let options = RenderOptions {
            color: self.color && !traced,
            base: self.base.as_deref(),
            source: &SourceFiles,
            ..RenderOptions::default()
        };
        let text = render(finding, &options);
        let logged = traced
            && guarded(|| match finding.level {
                Level::Deny => {
                    tracing::error!(target: "asyncwatch", code = %finding.code, "{text}");
                }
                _ => tracing::warn!(target: "asyncwatch", code = %finding.code, "{text}"),
            });
        if !logged {
            to_stderr(&format!("{text}\n"));
        }
    }

    /// One line about a finding that was shown before, or about asyncwatch itself.
    pub(super) fn note(&self, text: &str) {
        if self.quiet {
            return;
        }
        if !(has_subscriber() && guarded(|| tracing::info!(target: "asyncwatch", "{text}"))) {
            to_stderr(&format!("note[asyncwatch]: {text}\n"));
        }
    }

    /// Something is wrong with the configuration or the system.
    pub(super) fn warning(&self, text: &str) {
        if !(has_subscriber() && guarded(|| tracing::warn!(target: "asyncwatch", "{text}"))) {
            to_stderr(&format!("warning[asyncwatch]: {text}\n"));
        }
    }
}

/// Calls into the program's subscriber, whose panics must not end this thread;
/// `false` if it panicked.
fn guarded(log: impl FnOnce()) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(log)).is_ok()
}

fn has_subscriber() -> bool {
    dispatcher::get_default(|dispatch| !dispatch.is::<NoSubscriber>()) && listens()
}

/// One with our layer alone has a use for what tokio says, and for nothing else.
#[cfg(feature = "layer")]
fn listens() -> bool {
    tracing::enabled!(target: "asyncwatch", tracing::Level::ERROR)
}

#[cfg(not(feature = "layer"))]
fn listens() -> bool {
    true
}

/// One write, so that lines of other threads do not fall into it.
pub(crate) fn to_stderr(text: &str) {
    // Nobody to tell if stderr is closed.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
