//! A large future as a finding, or as none.
//!
//! Who puts a future into a box on purpose has done what there is to do: the source
//! around the place that made it tells. Which variable makes it large is asked of the
//! debug information, and where that does not know, of the function's own source.

use std::{collections::HashMap, fs, path::Path};

use asyncwatch_findings::{Code, bytes, display_name};
use asyncwatch_stack::{Held, largest_held};

use super::{Detected, Place, arrays, boxed, detected::source_path};
use crate::{
    clock,
    large::{First, Function},
    settings,
    source::SourceLine,
};

/// Larger files are not read.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Large futures of one place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LargeFuture {
    pub(crate) first: First,
    pub(crate) count: u64,
}

/// What was found out about each place; there are as many as are counted.
#[derive(Default)]
pub(super) struct LargeFutures(HashMap<(SourceLine, &'static str), Option<Detected>>);

impl LargeFutures {
    /// What there is to report; `None` if the futures are boxed on purpose, or if the
    /// source that would say so cannot be read.
    pub(super) fn judge(&mut self, large: &LargeFuture) -> Option<Detected> {
        let place = (large.first.made, large.first.function.name);
        let known = self
            .0
            .entry(place)
            .or_insert_with(|| look_into(large.first));
        Some(Detected {
            task: Some(large.first.task),
            count: large.count,
            unix_ns: clock::now_unix_ns(),
            ..known.clone()?
        })
    }
}

fn look_into(first: First) -> Option<Detected> {
    let First {
        function,
        bytes: size,
        made,
        task,
    } = first;
    let krate = function.name.split("::").next().unwrap_or_default();
    let source = read(krate, made.file())?;
    if boxed::is_boxed(&source, made.line(), made.column()) {
        return None;
    }
    let limit = settings::limit_of(Code::LargeFuture);
    let message = format!(
        "the future of `{}` is {} large (limit {})",
        display_name(function.name),
        bytes(size as u64),
        bytes(limit)
    );
    let held = held(function, size as u64).or_else(|| in_source(function, size as u64));
    let (place, label) = match held {
        Some((place, label)) => (place, Some(label)),
        None => (definition(function).unwrap_or(Place::At(made)), None),
    };
    let mut notes = vec![format!("it is made at {}:{}", made.file(), made.line())];
    notes.extend(
        function
            .defined
            .map(|(file, line)| format!("the function is defined at {file}:{line}")),
    );
    Some(Detected {
        label,
        task: Some(task),
        help: Some(help(first)),
        notes,
        ..Detected::new(Code::LargeFuture, message, place)
    })
}

fn help(first: First) -> String {
    let name = display_name(first.function.name);
    let name = name.rsplit("::").next().unwrap_or_default();
    format!(
        "keep large buffers on the heap (`vec![..]`, `Box`), do not hold them across an `.await`, or box the whole future: `Box::pin({name}(..))`"
    )
}

/// The variable that makes it large, as debug information knows it.
fn held(function: Function, size: u64) -> Option<(Place, String)> {
    let Held {
        name,
        type_name,
        bytes: held,
        function,
        file,
        line,
    } = largest_held(function.name, function.defined.map(|(file, _)| file), size)?;
    let place = Place::Variable {
        function,
        file: file?.display().to_string(),
        line: line?,
    };
    let held = bytes(held);
    let type_name = readable(&type_name);
    let label = format!("`{name}: {type_name}`, {held}, is held across an `.await`");
    Some((place, label))
}

/// A type as people would write it: without the paths, a future of an async function by
/// the name of that.
fn readable(type_name: &str) -> String {
    const WRAPPER: &str = "OfFn<";
    const MARKER: &str = "::__AsyncwatchFn";
    let part = |c: char| c.is_alphanumeric() || "_:{}#".contains(c);
    let mut readable = String::new();
    let mut rest = type_name;
    while let Some(c) = rest.chars().next() {
        let word = &rest[..rest.find(|c| !part(c)).unwrap_or(rest.len())];
        if word.is_empty() {
            readable.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        }
        rest = &rest[word.len()..];
        let names = word.split("::").filter(|name| !name.starts_with('{'));
        let name = names.last().unwrap_or(word);
        if format!("{name}<") == WRAPPER
            && let Some((function, _)) = rest[1..].split_once(MARKER)
            && let Some(end) = behind_angles(rest)
        {
            let function = function.rsplit("::").next().unwrap_or(function);
            readable.push_str(&format!("{function}(..)"));
            rest = end;
        } else {
            readable.push_str(name);
        }
    }
    readable
}

/// What follows the angle brackets that `text` begins with.
fn behind_angles(text: &str) -> Option<&str> {
    let mut open = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '<' => open += 1,
            '>' => open = open.saturating_sub(1),
            _ => {}
        }
        if open == 0 {
            return text.get(at + 1..);
        }
    }
    None
}

/// The only array that is large enough, in the function's source or in that of the
/// functions of the same file that it calls.
fn in_source(function: Function, size: u64) -> Option<(Place, String)> {
    let (file, defined) = function.defined?;
    let krate = function.name.split("::").next()?;
    let source = read(krate, file)?;
    let (function, line, label) = match arrays::only_large(&source, defined, size) {
        Some(line) => (
            function.name.to_owned(),
            line,
            "this array is held across an `.await`".to_owned(),
        ),
        None => {
            let arrays::Called { name, times, line } =
                arrays::only_large_called(&source, defined, size)?;
            let label = match times {
                1 => "this array is held across an `.await`".to_owned(),
                times => format!("this array is held across an `.await`, {times} times"),
            };
            (format!("{krate}::{name}"), line, label)
        }
    };
    let place = Place::Variable {
        function,
        file: file.to_owned(),
        line,
    };
    Some((place, label))
}

fn definition(function: Function) -> Option<Place> {
    let (file, line) = function.defined?;
    Some(Place::Function {
        name: function.name,
        file,
        line,
    })
}

/// The source `file` of crate `krate`.
fn read(krate: &str, file: &str) -> Option<String> {
    read_small(&source_path(file, krate))
}

fn read_small(path: &Path) -> Option<String> {
    let small = fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() <= FILE_BYTES_MAX);
    small.then(|| fs::read_to_string(path).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_as_people_write_them() {
        assert_eq!(readable("[u8; 65536]"), "[u8; 65536]");
        assert_eq!(
            readable("alloc::vec::Vec<app::Item, alloc::alloc::Global>"),
            "Vec<Item, Global>"
        );
        let future = "asyncwatch_instrument::probe::of_fn::OfFn<app::db::copy::__AsyncwatchFn, app::db::copy::{async_block_env#0}>";
        assert_eq!(
            readable(&format!(
                "(tokio::future::MaybeDone<{future}>, &mut {future})"
            )),
            "(MaybeDone<copy(..)>, &mut copy(..))"
        );
        assert_eq!(readable("app::load::{async_fn_env#0}"), "load");
    }
}
