//! Was a future made where it need not be polled: inside a `select!`, or to be measured?
//!
//! `#[asyncwatch::watch]` registers the `select!`s of the functions it stands on; for
//! callers it does not stand on, the source says so, where it can be read. Runs on
//! the reporter's thread, for places that would otherwise be findings.

use std::{
    collections::HashMap,
    fs,
    panic::Location,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::detected::source_path;

/// Larger files are not read.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Answers that are remembered.
const KNOWN_MAX: usize = 1_024;

/// Macros that may drop futures unpolled.
const MACROS: &[&str] = &["select", "select_biased", "try_select", "try_join"];

/// Functions that only look at a future that is lent to them.
const MEASURES: &[&str] = &["size_of_val", "align_of_val", "type_name_of_val"];

static KNOWN: Mutex<Option<HashMap<&'static Location<'static>, bool>>> = Mutex::new(None);

/// Whether the source at `place` stands inside one of [`MACROS`], or lends what it makes
/// to one of [`MEASURES`]; no if it cannot be read.
///
/// `path` is where the file of `place` lies, if that is known better than from `place`,
/// whose path is relative to the directory the compiler ran in.
pub(super) fn need_not_be_polled(place: &'static Location<'static>, path: Option<&str>) -> bool {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(&answer) = known.get(&place) {
        return answer;
    }
    let path = path.map_or_else(|| source_path(place.file(), ""), PathBuf::from);
    let answer = read(&path).is_some_and(|source| {
        offset(&source, place.line(), place.column())
            .is_some_and(|offset| stands_inside(&source, offset) || is_lent(&source[..offset]))
    });
    if known.len() < KNOWN_MAX {
        known.insert(place, answer);
    }
    answer
}

fn read(file: &Path) -> Option<String> {
    let small = fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.len() <= FILE_BYTES_MAX);
    small.then(|| fs::read_to_string(file).ok()).flatten()
}

/// Byte offset of a line and column, both from 1; columns count characters.
pub(super) fn offset(source: &str, line: u32, column: u32) -> Option<usize> {
    let start: usize = source
        .split_inclusive('\n')
        .take(line as usize - 1)
        .map(str::len)
        .sum();
    let text = source.get(start..)?.lines().next()?;
    let (within, _) = text.char_indices().nth(column as usize - 1)?;
    Some(start + within)
}

/// Walks outward over brackets, and looks before each opening one for `name!`.
fn stands_inside(source: &str, offset: usize) -> bool {
    let mut closed = 0_usize;
    for (at, c) in source[..offset].char_indices().rev() {
        match c {
            ')' | ']' | '}' => closed += 1,
            '(' | '[' | '{' if closed > 0 => closed -= 1,
            '(' | '[' | '{' if opens_macro(&source[..at]) => return true,
            _ => {}
        }
    }
    false
}

/// `before` ends with `size_of_val(&`.
fn is_lent(before: &str) -> bool {
    let Some(call) = before.trim_end().strip_suffix('&') else {
        return false;
    };
    let Some(function) = call.trim_end().strip_suffix('(') else {
        return false;
    };
    let name = function
        .rsplit(|c: char| !(c.is_alphanumeric() || c == '_'))
        .next();
    name.is_some_and(|name| MEASURES.contains(&name))
}

fn opens_macro(before: &str) -> bool {
    let Some(path) = before.trim_end().strip_suffix('!') else {
        return false;
    };
    let path = path.trim_end();
    let name = path
        .rsplit(|c: char| !(c.is_alphanumeric() || c == '_'))
        .next();
    name.is_some_and(|name| MACROS.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "\
async fn f() {
    tokio::select! {
        _ = work(1) => other(vec![2]),
        _ = g(h(3)), if ready => {}
    }
    let late = work(4);
    tokio::join!(work(5), work(6));
}
";

    fn at(text: &str) -> usize {
        SOURCE.find(text).expect("stands there")
    }

    #[test]
    fn branches_of_a_select_are_inside() {
        assert!(stands_inside(SOURCE, at("work(1)")));
        assert!(stands_inside(SOURCE, at("g(h(3))")));
        assert!(stands_inside(SOURCE, at("h(3)")));
    }

    #[test]
    fn what_is_lent_to_be_measured_is_told_from_what_is_forgotten() {
        assert!(is_lent("let bytes = std::mem::size_of_val(&"));
        assert!(!is_lent("let bytes = size_of_val("), "moved");
        assert!(!is_lent("keep(&"));
        assert!(!is_lent("let _ = "));
    }

    #[test]
    fn the_rest_is_not() {
        assert!(!stands_inside(SOURCE, at("work(4)")));
        assert!(!stands_inside(SOURCE, at("work(5)")), "join polls all");
    }

    #[test]
    fn lines_and_columns_are_from_one() {
        assert_eq!(offset(SOURCE, 3, 13), Some(at("work(1)")));
        assert_eq!(offset(SOURCE, 99, 1), None);
    }
}
