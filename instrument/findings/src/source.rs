//! Lines of source code, for the text of a finding.
//!
//! Sources are shown where they can be read and left out where they cannot: a
//! missing, huge or binary file is never an error.

use std::{fs::File, io::Read, path::Path};

/// Gives the text of a source file.
pub trait ReadSource {
    /// The whole file, or `None` where it cannot be had.
    fn read(&self, file: &Path) -> Option<String>;
}

/// No sources at all: for reports that must not depend on the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSource;

impl ReadSource for NoSource {
    fn read(&self, _file: &Path) -> Option<String> {
        None
    }
}

/// Reads source files from this machine's disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct SourceFiles;

impl SourceFiles {
    /// Larger files are not shown: 4 MiB is ten times the largest source file that
    /// people write by hand.
    pub const FILE_BYTES_MAX: u64 = 4 << 20;
}

impl ReadSource for SourceFiles {
    fn read(&self, file: &Path) -> Option<String> {
        // A fifo or device would block or never end.
        let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
        let mut text = String::new();
        let bytes = File::open(file.canonicalize().ok().filter(|_| is_file)?)
            .ok()?
            .take(Self::FILE_BYTES_MAX + 1)
            .read_to_string(&mut text)
            .ok()?;
        (bytes as u64 <= Self::FILE_BYTES_MAX).then_some(text)
    }
}

impl<F: Fn(&Path) -> Option<String>> ReadSource for F {
    fn read(&self, file: &Path) -> Option<String> {
        self(file)
    }
}

/// One line and the function around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// The line, without its end, printable and of bounded length.
    pub(crate) line: String,
    /// The name of the function around it, as far as indentation tells.
    pub(crate) function: Option<String>,
}

/// The name of the function around a line, as far as indentation tells.
pub fn function_around(source: &dyn ReadSource, file: &Path, line: u32) -> Option<String> {
    excerpt(source, file, line)?.function
}

/// The first and the last line of the function `name` around a line, by its braces.
pub(crate) fn span_of(
    source: &dyn ReadSource,
    file: &Path,
    line: u32,
    name: &str,
) -> Option<(u32, u32)> {
    let text = source.read(file)?;
    let lines: Vec<&str> = text.lines().collect();
    let above = lines.get(..line as usize)?;
    let first = above
        .iter()
        .rposition(|line| function_name(line).as_deref() == Some(name))?;
    let mut depth = 0_i32;
    for (at, code) in lines.iter().enumerate().skip(first) {
        let code = code.split("//").next().unwrap_or(code);
        let opened = code.matches('{').count() as i32;
        let closed = code.matches('}').count() as i32;
        depth += opened - closed;
        if closed > 0 && depth <= 0 {
            let last = u32::try_from(at + 1).ok()?;
            return (line <= last).then_some((u32::try_from(first + 1).ok()?, last));
        }
    }
    None
}

pub(crate) fn excerpt(source: &dyn ReadSource, file: &Path, line: u32) -> Option<Excerpt> {
    let text = source.read(file)?;
    let index = (line as usize).checked_sub(1)?;
    let shown = text.lines().nth(index)?;
    if shown.trim().is_empty() {
        return None;
    }
    Some(Excerpt {
        line: shorten(&printable(shown.trim_end())),
        function: enclosing_function(&text, index),
    })
}

/// The nearest `fn` above that is indented less than the line itself (or is on it).
fn enclosing_function(text: &str, index: usize) -> Option<String> {
    let lines: Vec<&str> = text.lines().take(index + 1).collect();
    let (last, above) = lines.split_last()?;
    if let Some(name) = function_name(last) {
        return Some(name);
    }
    let mut depth = indent(last);
    for line in above.iter().rev().filter(|line| !line.trim().is_empty()) {
        if indent(line) >= depth {
            continue;
        }
        if let Some(name) = function_name(line) {
            return Some(name);
        }
        // Below a signature of several lines stands its end; its `fn` is level with that.
        let level = usize::from(line.trim_start().starts_with(')'));
        depth = indent(line) + level;
    }
    None
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// `load` of `    pub(crate) async fn load<T>(…`.
fn function_name(line: &str) -> Option<String> {
    let code = line.split("//").next().unwrap_or(line).trim_start();
    let rest = match code.strip_prefix("fn ") {
        Some(rest) => rest,
        None => code.split_once(" fn ")?.1,
    };
    let name: String = rest
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    (!name.is_empty()).then_some(name)
}

/// Longer lines are generated code; their beginning tells enough.
const LINE_CHARS_MAX: usize = 160;

fn shorten(line: &str) -> String {
    match line.char_indices().nth(LINE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// Tabs as four spaces, and nothing that a terminal would obey: no control
/// characters, no marks that turn the direction of text around.
pub(crate) fn printable(text: &str) -> String {
    let is_command = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
    };
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => clean.push_str("    "),
            character if is_command(character) => clean.push('\u{fffd}'),
            character => clean.push(character),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "\
use std::thread;

impl Session {
    // fn not_this_one() {
    pub async fn load(&self) -> u32 {
        let backoff = self.backoff();
        if backoff > ZERO {
            thread::sleep(backoff);
        }
\tlet tabbed = \"\u{1b}[31m\u{202e}\";
        0
    }

    fn one_line(&self) { self.load(); }
}
";

    #[test]
    fn a_signature_may_have_several_lines() {
        let text = "pub async fn sign_up(\n    new: New,\n) -> Result<()> {\n    hash();\n}\n";
        let function = function_around(&|_: &Path| Some(text.to_owned()), Path::new("x.rs"), 4);
        assert_eq!(function.as_deref(), Some("sign_up"));
    }

    fn at(line: u32) -> Option<Excerpt> {
        excerpt(
            &|_: &Path| Some(SESSION.to_owned()),
            Path::new("x.rs"),
            line,
        )
    }

    #[test]
    fn lines_come_with_the_function_around_them() {
        let excerpt = at(8).expect("the line exists");
        assert_eq!(excerpt.line, "            thread::sleep(backoff);");
        assert_eq!(excerpt.function.as_deref(), Some("load"));
        assert_eq!(
            at(14).and_then(|excerpt| excerpt.function).as_deref(),
            Some("one_line")
        );
        assert_eq!(at(1).and_then(|excerpt| excerpt.function), None);
    }

    #[test]
    fn terminals_get_nothing_to_obey() {
        let line = at(10).expect("the line exists").line;
        assert_eq!(line, "    let tabbed = \"\u{fffd}[31m\u{fffd}\";");
    }

    #[test]
    fn lines_that_do_not_exist_are_not_shown() {
        assert_eq!(at(0), None);
        assert_eq!(at(2), None, "an empty line says nothing");
        assert_eq!(at(99), None);
    }

    #[test]
    fn long_lines_are_cut() {
        let excerpt = excerpt(&|_: &Path| Some("ä".repeat(1_000)), Path::new("x.rs"), 1);
        assert_eq!(
            excerpt.expect("the line exists").line.chars().count(),
            LINE_CHARS_MAX + 1
        );
    }

    #[test]
    fn files_that_are_none_are_not_read() {
        assert_eq!(SourceFiles.read(Path::new("/dev/zero")), None);
        assert_eq!(SourceFiles.read(Path::new("/")), None);
        assert_eq!(SourceFiles.read(Path::new("/does/not/exist.rs")), None);
        let this = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/source.rs");
        assert!(
            SourceFiles
                .read(&this)
                .is_some_and(|text| text.contains("files_that_are_none"))
        );
    }
}
