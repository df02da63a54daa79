//! What a future holds while it waits.

use std::path::PathBuf;

/// A variable that is kept across an `await`, and so lives in the future.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its name in the source.
    pub name: String,
    /// As debug information writes it: `[u8; 65536]`.
    pub type_name: String,
    /// Its size.
    pub bytes: u64,
    /// The path of the function it is a variable of: `app::upload::receive`.
    pub function: String,
    /// The source file of its declaration.
    pub file: Option<PathBuf>,
    /// The line of its declaration, from 1.
    pub line: Option<u32>,
}

/// The variable that makes up most of the future of `function`, an async function of
/// this program whose future has `bytes` bytes (or a word or three less); of a function it awaits, if most of
/// them are there. `None` where debug information does not tell without doubt.
/// `file` is where the function is defined, if that is known: it makes the search short.
///
/// Reads the debug information of the program's file: up to seconds, and twice its
/// size in memory meanwhile; for a thread that nobody waits for.
#[must_use]
pub fn largest_held(function: &str, file: Option<&str>, bytes: u64) -> Option<Held> {
    crate::platform::largest_held(function, file, bytes)
}
