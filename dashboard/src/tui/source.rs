//! The lines of source around a finding, read from local files where they are.
//!
//! The file's name comes from the watched program, so only ordinary `.rs` files
//! of sensible size are read.

use std::{collections::HashMap, fs, io::Read, path::Path, time::UNIX_EPOCH};

use crate::client::clean;

const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
const EXCERPTS_MAX: usize = 512;
const LINE_CHARS_MAX: usize = 300;
const AROUND: u32 = 3;

/// Some lines of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// Number of the first line.
    pub(super) first: u32,
    /// The lines.
    pub(super) lines: Vec<String>,
    /// When the file was last changed, nanoseconds since the Unix epoch.
    pub(super) changed_unix_ns: u64,
}

impl Excerpt {
    /// A line of it, without its indentation.
    pub(super) fn line(&self, line: u32) -> Option<&str> {
        let index = line.checked_sub(self.first)?;
        self.lines.get(index as usize).map(|line| line.trim())
    }
}

/// The excerpts read so far; each place is read once.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    read: HashMap<(String, u32), Option<Excerpt>>,
}

impl Sources {
    /// What was read around a line.
    pub(super) fn get(&self, file: &str, line: u32) -> Option<&Excerpt> {
        self.read.get(&(file.to_owned(), line))?.as_ref()
    }

    /// Reads around a line, unless that was tried before.
    pub(super) fn ensure(&mut self, file: &str, line: u32) {
        let key = (file.to_owned(), line);
        if !self.read.contains_key(&key) && self.read.len() < EXCERPTS_MAX {
            let excerpt = read(Path::new(file), line);
            self.read.insert(key, excerpt);
        }
    }

    /// Forgets everything: files may have changed.
    pub(super) fn forget(&mut self) {
        self.read.clear();
    }

    /// What a test wants to be there.
    #[cfg(test)]
    pub(super) fn insert(&mut self, file: &str, line: u32, excerpt: Excerpt) {
        self.read.insert((file.to_owned(), line), Some(excerpt));
    }
}

fn read(path: &Path, line: u32) -> Option<Excerpt> {
    if path.extension()? != "rs" || !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let file = fs::File::open(path).ok()?;
    let changed = file.metadata().ok()?.modified().ok()?;
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut text).ok()?;
    let changed = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
    let changed_unix_ns = u64::try_from(changed.as_nanos()).unwrap_or(u64::MAX);
    excerpt(&String::from_utf8_lossy(&text), line, changed_unix_ns)
}

fn excerpt(text: &str, line: u32, changed_unix_ns: u64) -> Option<Excerpt> {
    let first = line.saturating_sub(AROUND).max(1);
    let before = line.checked_sub(first)?;
    let lines: Vec<_> = text
        .lines()
        .skip(first as usize - 1)
        .take((before + AROUND + 1) as usize)
        .map(|line| clean(&line.replace('\t', "    "), LINE_CHARS_MAX))
        .collect();
    (lines.len() > before as usize).then_some(Excerpt {
        first,
        lines,
        changed_unix_ns,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "one\n\ttwo\nthree\x1b[2J\nfour\nfive\nsix\n";

    #[test]
    fn takes_the_lines_around() {
        let around = excerpt(TEXT, 2, 0).unwrap();
        assert_eq!(around.first, 1);
        assert_eq!(
            around.lines,
            ["one", "    two", "three\u{fffd}[2J", "four", "five"]
        );
        assert_eq!(around.line(2), Some("two"));
        assert_eq!(around.line(9), None);
    }

    #[test]
    fn a_line_past_the_end_has_no_excerpt() {
        assert_eq!(excerpt(TEXT, 7, 0), None);
        assert_eq!(excerpt(TEXT, u32::MAX, 0), None);
        assert_eq!(excerpt("", 0, 0), None);
    }

    #[test]
    fn reads_rust_files_only() {
        let mut sources = Sources::default();
        for file in ["/etc/passwd", "/dev/zero", "/", "missing.rs"] {
            sources.ensure(file, 1);
            assert_eq!(sources.get(file, 1), None);
        }
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs");
        sources.ensure(own, 1);
        assert!(sources.get(own, 1).is_some());
    }
}
