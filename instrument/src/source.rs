//! A line of the program's source.

use std::panic::Location;
#[cfg(feature = "layer")]
use std::{
    collections::HashSet,
    sync::{LazyLock, PoisonError, RwLock},
};

use asyncwatch_findings as findings;

/// 4,096 paths of at most 1,024 bytes: 4 MiB at most.
#[cfg(feature = "layer")]
const FILES_MAX: usize = 4_096;
#[cfg(feature = "layer")]
const FILE_BYTES_MAX: usize = 1_024;

#[cfg(feature = "layer")]
static FILES: LazyLock<RwLock<HashSet<&'static str>>> = LazyLock::new(RwLock::default);

/// A place in the program's source, told by the compiler or by a tracing span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SourceLine {
    file: &'static str,
    line: u32,
    column: u32,
}

impl SourceLine {
    /// A place whose path is not known to live for ever; it is kept, once for each
    /// file. `None` where no more are kept.
    #[cfg(feature = "layer")]
    pub(crate) fn kept(file: &str, line: u32, column: u32) -> Option<SourceLine> {
        let known = FILES
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(file)
            .copied();
        let file = known.or_else(|| keep(file))?;
        Some(SourceLine { file, line, column })
    }

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

#[cfg(feature = "layer")]
#[cold]
fn keep(file: &str) -> Option<&'static str> {
    let mut files = FILES.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = files.get(file) {
        return Some(known);
    }
    if files.len() == FILES_MAX || file.len() > FILE_BYTES_MAX {
        return None;
    }
    let kept: &'static str = Box::leak(Box::from(file));
    files.insert(kept);
    Some(kept)
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
