//! Names for addresses of a process that is gone: from its object files on disk.
//!
//! A process that was killed may have told only object and offset of its frames
//! ([`Modules::locate`](crate::Modules::locate)). Whoever reads its report looks the
//! names up here, if the object file is still the one that ran.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use addr2line::Loader;

use crate::Symbol;

/// Object files that are kept open; each is mapped, not read into memory.
const OBJECTS_MAX: usize = 64;

/// Object files, opened as they are asked for.
#[derive(Default)]
pub struct Objects(HashMap<PathBuf, Option<Loader>>);

impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Objects {
    /// None open yet.
    #[must_use]
    pub fn new() -> Objects {
        Objects::default()
    }

    /// The functions at `offset` of the object file at `path`: several where some
    /// were inlined into others, the innermost first; none where nothing is known.
    pub fn resolve(&mut self, path: &Path, offset: u64) -> Vec<Symbol> {
        let Some(object) = self.open(path) else {
            return Vec::new();
        };
        let mut symbols = from_debug_information(object, offset);
        let table = object.find_symbol(offset).map(demangle);
        match (symbols.last_mut(), table) {
            // Line tables alone name a function without its path; its symbol has it.
            (Some(outermost), Some(name)) if !has_path(&outermost.function) => {
                outermost.function = name;
            }
            (None, Some(function)) => symbols.push(Symbol {
                function,
                file: None,
                line: None,
            }),
            _ => {}
        }
        symbols
    }

    fn open(&mut self, path: &Path) -> Option<&Loader> {
        if !self.0.contains_key(path) {
            if self.0.len() >= OBJECTS_MAX {
                return None;
            }
            // A file that cannot be read is remembered as such.
            self.0.insert(path.to_owned(), Loader::new(path).ok());
        }
        self.0.get(path)?.as_ref()
    }
}

fn from_debug_information(object: &Loader, offset: u64) -> Vec<Symbol> {
    let mut symbols = Vec::new();
    let Ok(mut frames) = object.find_frames(offset) else {
        return symbols;
    };
    while let Ok(Some(frame)) = frames.next() {
        let function = frame
            .function
            .and_then(|function| function.raw_name().ok().map(|name| demangle(&name)))
            .unwrap_or_default();
        symbols.push(Symbol {
            function,
            file: frame
                .location
                .as_ref()
                .and_then(|place| place.file)
                .map(PathBuf::from),
            line: frame.location.as_ref().and_then(|place| place.line),
        });
    }
    symbols
}

/// Whether the name says where the function is; paths in its generic arguments do not.
fn has_path(function: &str) -> bool {
    function.starts_with('<')
        || (function.split('<').next()).is_some_and(|name| name.contains("::"))
}

fn demangle(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::{Address, Modules};

    #[inline(never)]
    fn somewhere() -> u64 {
        let here = crate::own_trace(1);
        match here.addresses[0] {
            Address::Exact(at) | Address::Return(at) => at - 1,
        }
    }

    #[test]
    fn an_offset_of_this_program_has_its_name() {
        let modules = Modules::current();
        let mut objects = Objects::new();
        let names: Vec<String> = crate::own_trace(8)
            .addresses
            .iter()
            .chain([&Address::Exact(somewhere())])
            .filter_map(|address| modules.locate(address.lookup()))
            .flat_map(|(path, offset)| objects.resolve(path, offset))
            .map(|symbol| symbol.function)
            .collect();
        assert!(
            names
                .iter()
                .any(|name| name.contains("an_offset_of_this_program_has_its_name")),
            "{names:#?}"
        );
    }

    #[test]
    fn paths_of_arguments_are_not_the_functions() {
        assert!(has_path("app::load<u8>") && has_path("<app::A as app::B>::load"));
        assert!(!has_path("{closure#0}<app::load::{async_fn_env#0}>"));
        assert!(!has_path("load"));
    }

    #[test]
    fn a_file_that_is_not_there_has_no_names() {
        let mut objects = Objects::new();
        assert!(
            objects
                .resolve(Path::new("/no/such/object"), 0x1000)
                .is_empty()
        );
    }
}
