//! Findings for the program itself: the function given to
//! [`Builder::on_finding`](crate::Builder::on_finding).

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use asyncwatch_findings::{self as findings, Code, Level, RenderOptions, SourceFiles, render};

/// A finding as the program's own function sees it.
///
/// Displays as the text that the log shows.
#[derive(Clone, Copy)]
pub struct Finding<'a>(&'a findings::Finding);

impl Finding<'_> {
    /// What kind of problem it is.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// How seriously it is taken.
    pub fn level(&self) -> Level {
        self.0.level
    }

    /// One sentence with the facts of the worst occurrence.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// How often it was seen at this site: 1 when it is new.
    pub fn count(&self) -> u64 {
        self.0.count
    }

    /// Whether the newest occurrence still goes on.
    pub fn is_ongoing(&self) -> bool {
        self.0.ongoing
    }

    /// File and line to blame, where they are known.
    pub fn culprit(&self) -> Option<(&str, u32)> {
        let culprit = self.0.culprit.as_ref()?;
        Some((culprit.file.as_deref()?, culprit.line?))
    }

    /// Stable over line shifts, runs and machines.
    pub fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    /// Everything that is known of it, as an element of `findings` in the report of
    /// `asyncwatch check --report json`.
    pub fn to_json(&self) -> String {
        // A finding is made of strings, numbers and lists of them.
        serde_json::to_string(self.0).unwrap_or_default()
    }
}

impl fmt::Display for Finding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = RenderOptions {
            source: &SourceFiles,
            ..RenderOptions::default()
        };
        f.write_str(&render(self.0, &options))
    }
}

impl fmt::Debug for Finding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

type Function = dyn Fn(Finding<'_>) + Send + Sync;

/// The program's function.
#[derive(Clone)]
pub(crate) struct Sink(Arc<Function>);

impl Sink {
    pub(crate) fn new(function: impl Fn(Finding<'_>) + Send + Sync + 'static) -> Sink {
        Sink(Arc::new(function))
    }

    /// Calls it; `false` if it panicked.
    pub(super) fn tell(&self, finding: &findings::Finding) -> bool {
        catch_unwind(AssertUnwindSafe(|| (self.0)(Finding(finding)))).is_ok()
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}
