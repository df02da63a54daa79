//! A finding as text, in one fixed grammar that reads like rustc's diagnostics:
//! the fact, the place, the likely cause, the next step.
//!
//! ```text
//! warning[slow-poll]: task `session` held worker 1 for 512 ms (limit 100 ms)
//!   --> src/session.rs:42 in app::session::load
//!    |
//! 42 |         std::thread::sleep(backoff);
//!    |         blocked in clock_nanosleep for 511 ms; 37 tasks waited behind it
//!    = spawned at src/main.rs:30:5
//!    = help: use `tokio::time::sleep(..).await`
//!    = note: seen 14 times; `asyncwatch explain slow-poll` says more
//! ```

use std::path::{Path, PathBuf};

use crate::{
    Code, Finding, Frame, Level,
    message::{cause, frame_label, task_name},
    name, place,
    source::{Excerpt, NoSource, ReadSource, excerpt, printable},
};

mod paint;
mod stack;

use paint::Paint;

/// How to write a finding.
#[derive(Clone, Copy)]
pub struct RenderOptions<'a> {
    /// Use ANSI colours. Default: no.
    pub color: bool,
    /// Paths below this directory are shown relative to it. Default: none are.
    pub base: Option<&'a Path>,
    /// Where source lines come from. Default: [`NoSource`].
    pub source: &'a dyn ReadSource,
    /// Show the heaviest stack too, the runtime's frames folded. Default: no.
    pub stack: bool,
}

impl Default for RenderOptions<'_> {
    fn default() -> Self {
        RenderOptions {
            color: false,
            base: None,
            source: &NoSource,
            stack: false,
        }
    }
}

impl std::fmt::Debug for RenderOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RenderOptions")
            .field("color", &self.color)
            .field("base", &self.base)
            .field("stack", &self.stack)
            .finish_non_exhaustive()
    }
}

/// The finding as text of several lines, the last one ended.
///
/// Whatever the finding contains, the text holds no control characters but line
/// ends and, with [`color`](RenderOptions::color), our own colours.
pub fn render(finding: &Finding, options: &RenderOptions<'_>) -> String {
    let place = Place::of(finding, options);
    let mut text = Text::new(place.gutter(), Paint::new(options.color));
    text.header(finding);
    place.write(&mut text, finding);
    text.facts(finding, options, place.names_call(finding));
    if options.stack {
        stack::write(&mut text, finding, options);
    }
    text.facts_last(finding);
    text.lines
}

/// The culprit's place, and its source where that can be read.
struct Place {
    path: Option<String>,
    line: Option<u32>,
    function: Option<String>,
    source: Option<String>,
}

impl Place {
    fn of(finding: &Finding, options: &RenderOptions<'_>) -> Place {
        let Some(culprit) = &finding.culprit else {
            return Place {
                path: None,
                line: None,
                function: None,
                source: None,
            };
        };
        let found = find_source(culprit, options);
        let (source, around) =
            found.map_or((None, None), |found| (Some(found.line), found.function));
        Place {
            path: culprit
                .file
                .as_deref()
                .map(|file| shown_path(file, options.base)),
            line: culprit.line,
            function: function_shown(culprit, around),
            source,
        }
    }

    fn gutter(&self) -> usize {
        self.line
            .filter(|_| self.source.is_some())
            .map_or(1, |line| line.to_string().len())
            .max(2)
    }

    fn write(&self, text: &mut Text, finding: &Finding) {
        text.arrow(&self.label());
        let cause = cause(finding);
        if self.source.is_none() && cause.is_none() {
            return;
        }
        text.bar("");
        if let (Some(line), Some(source)) = (self.line, &self.source) {
            text.source(line, source);
        }
        let indent = self
            .source
            .as_deref()
            .map_or(0, |line| line.len() - line.trim_start().len());
        if let Some(cause) = cause {
            text.cause(indent, &cause);
        }
    }

    fn label(&self) -> String {
        let place = match (&self.path, self.line) {
            (Some(path), Some(line)) => Some(format!("{path}:{line}")),
            (path, _) => path.clone(),
        };
        match (place, &self.function) {
            (Some(place), Some(function)) => format!("{place} in {function}"),
            (Some(place), None) => place,
            (None, Some(function)) => format!("in {function}"),
            (None, None) => "place unknown: no stack could be taken".to_owned(),
        }
    }

    /// Whether the source line already shows what the culprit called.
    fn names_call(&self, finding: &Finding) -> bool {
        let called = finding
            .blocking_frame
            .as_ref()
            .map(frame_label)
            .unwrap_or_default();
        let function = called.rsplit("::").next().unwrap_or_default();
        self.source
            .as_ref()
            .is_some_and(|source| source.contains(function))
    }
}

fn find_source(culprit: &Frame, options: &RenderOptions<'_>) -> Option<Excerpt> {
    let (file, line) = (culprit.file.as_deref()?, culprit.line?);
    // Paths from the compiler may be relative to the workspace it ran in.
    let path = options
        .base
        .map_or_else(|| PathBuf::from(file), |base| base.join(file));
    excerpt(options.source, &path, line)
}

/// Where debug info has no name, the source may.
fn function_shown(culprit: &Frame, around: Option<String>) -> Option<String> {
    if culprit.function.is_empty() && culprit.module.is_none() {
        return around;
    }
    let label = frame_label(culprit);
    match around {
        Some(around) if name::is_anonymous(&culprit.function) && culprit.module.is_none() => {
            Some(format!("{around} ({label})"))
        }
        _ => Some(label),
    }
}

/// Relative to `base` where the file lies below it, or to the registry that its
/// crate came from.
fn shown_path(file: &str, base: Option<&Path>) -> String {
    let relative = base.and_then(|base| Path::new(file).strip_prefix(base).ok());
    match (relative, place::below_registry(file)) {
        (Some(path), _) => path.display().to_string(),
        (None, Some(path)) => path.to_owned(),
        (None, None) => file.to_owned(),
    }
}

/// The text as it grows, one grammatical element a method.
struct Text {
    lines: String,
    gutter: usize,
    paint: Paint,
}

impl Text {
    fn new(gutter: usize, paint: Paint) -> Text {
        Text {
            lines: String::new(),
            gutter,
            paint,
        }
    }

    fn push(&mut self, line: &str) {
        self.lines.push_str(line.trim_end());
        self.lines.push('\n');
    }

    fn header(&mut self, finding: &Finding) {
        let severity = match finding.level {
            Level::Deny => self.paint.error(&format!("error[{}]", finding.code)),
            Level::Warn => self.paint.warning(&format!("warning[{}]", finding.code)),
            Level::Allow => self.paint.note(&format!("note[{}]", finding.code)),
        };
        let message = self
            .paint
            .strong(&format!(": {}", printable(&finding.message)));
        self.push(&format!("{severity}{message}"));
    }

    fn arrow(&mut self, place: &str) {
        let arrow = self.paint.frame(&format!("{:>1$}", "-->", self.gutter + 3));
        self.push(&format!("{arrow} {}", printable(place)));
    }

    fn bar(&mut self, rest: &str) {
        let bar = self.paint.frame(&format!("{:1$} |", "", self.gutter));
        self.push(&format!("{bar} {rest}"));
    }

    fn source(&mut self, line: u32, source: &str) {
        let number = self.paint.frame(&format!("{line:>0$} |", self.gutter));
        self.push(&format!("{number} {source}"));
    }

    fn cause(&mut self, indent: usize, cause: &str) {
        let cause = self.paint.warning(&printable(cause));
        self.bar(&format!("{:indent$}{cause}", ""));
    }

    fn fact(&mut self, label: &str, fact: &str) {
        let equals = self.paint.frame(&format!("{:1$} =", "", self.gutter));
        let label = self.paint.strong(label);
        self.push(&format!("{equals} {label}{}", printable(fact)));
    }

    fn facts(&mut self, finding: &Finding, options: &RenderOptions<'_>, call_is_shown: bool) {
        if let Some(frame) = &finding.blocking_frame {
            match finding.code {
                Code::NeverAwaited => self.fact(
                    "",
                    &format!("dropped at {}", frame_place(frame, options.base)),
                ),
                _ if !call_is_shown => {
                    self.fact("", &format!("it called `{}`", frame_label(frame)))
                }
                _ => {}
            }
        }
        let task = finding.task.as_ref();
        if let Some(location) = task.and_then(|task| task.spawned_at.as_ref()) {
            let path = shown_path(&location.file, options.base);
            let of_task = match finding.code {
                Code::NeverAwaited => format!("in {}, ", task_name(task)),
                // The message names it.
                _ => String::new(),
            };
            let (line, column) = (location.line, location.column);
            self.fact("", &format!("{of_task}spawned at {path}:{line}:{column}"));
        }
        if let Some(help) = &finding.help {
            self.fact("help: ", help);
        }
        for note in &finding.notes {
            self.fact("note: ", note);
        }
    }

    fn facts_last(&mut self, finding: &Finding) {
        let explain = format!("`asyncwatch explain {}` says more", finding.code);
        match finding.count {
            0 | 1 => self.fact("note: ", &explain),
            2 => self.fact("note: ", &format!("seen twice; {explain}")),
            count => self.fact("note: ", &format!("seen {count} times; {explain}")),
        }
    }
}

/// `src/session.rs:42 in app::session::load`.
fn frame_place(frame: &Frame, base: Option<&Path>) -> String {
    let place = Place {
        path: frame.file.as_deref().map(|file| shown_path(file, base)),
        line: frame.line,
        function: function_shown(frame, None),
        source: None,
    };
    place.label()
}

#[cfg(test)]
mod tests;
