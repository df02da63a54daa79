//! A large future as a finding, or as none.
//!
//! Who puts a future into a box on purpose has done what there is to do: the source
//! around the place that made it tells. Which variable makes it large is asked of the
//! debug information, and where that does not know, of the function's own source.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use asyncwatch_findings::{Code, bytes, display_name};
use asyncwatch_stack::{Held, largest_held, source_root};

use super::{Detected, Place, arrays, boxed};
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
    let label = format!("`{name}: {type_name}`, {held}, is held across an `.await`");
    Some((place, label))
}

/// The only array in the function's source that is large enough.
fn in_source(function: Function, size: u64) -> Option<(Place, String)> {
    let (file, defined) = function.defined?;
    let krate = function.name.split("::").next()?;
    let source = read(krate, file)?;
    let line = arrays::only_large(&source, defined, size)?;
    let place = Place::Variable {
        function: function.name.to_owned(),
        file: file.to_owned(),
        line,
    };
    Some((place, "this array is held across an `.await`".to_owned()))
}

fn definition(function: Function) -> Option<Place> {
    let (file, line) = function.defined?;
    Some(Place::Function {
        name: function.name,
        file,
        line,
    })
}

/// The source `file` of crate `krate`: below the directory the program runs in, or the
/// one it was compiled in.
fn read(krate: &str, file: &str) -> Option<String> {
    let candidates = [Some(PathBuf::new()), source_root(krate)];
    candidates
        .into_iter()
        .flatten()
        .find_map(|root| read_small(&root.join(file)))
}

fn read_small(path: &Path) -> Option<String> {
    let small = fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() <= FILE_BYTES_MAX);
    small.then(|| fs::read_to_string(path).ok()).flatten()
}
