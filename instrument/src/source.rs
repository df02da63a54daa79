//! A line of the program's source.

use std::panic::Location;

use asyncwatch_findings as findings;

/// A place in the program's source, told by the compiler or by a tracing span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SourceLine {
    file: &'static str,
    line: u32,
    column: u32,
}

impl SourceLine {
    /// Path as the compiler knew it.
    pub(crate) fn file(self) -> &'static str {
        self.file
    }

    /// From 1.
    pub(crate) fn line(self) -> u32 {
        self.line
    }

    /// From 1.
    pub(crate) fn column(self) -> u32 {
        self.column
    }

    /// As findings name it.
    pub(crate) fn to_location(self) -> findings::Location {
        findings::Location {
            file: self.file.to_owned(),
            line: self.line,
            column: self.column,
        }
    }
}

impl From<&'static Location<'static>> for SourceLine {
    fn from(location: &'static Location<'static>) -> SourceLine {
        SourceLine {
            file: location.file(),
            line: location.line(),
            column: location.column(),
        }
    }
}
