//! Names, files and lines for addresses.
//!
//! Slow the first time an object is touched (its debug information is read
//! and indexed) and under a lock of its own: for a thread that nobody waits
//! for, never for a signal handler.

use crate::{Address, Modules};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::c_void;
use std::path::PathBuf;

/// 16,384 addresses of about 300 bytes each: 5 MB at most.
const CACHED_ADDRESSES_MAX: usize = 16_384;

/// A function at an address, with its place in the source where that is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Symbol {
    /// Its path, demangled, without the hash: `app::session::load`. Where an
    /// object has no symbols it is the object and the offset in it:
    /// `app+0x1f3a0`.
    pub function: String,
    /// The source file as the compiler named it; absolute unless the build
    /// remapped or shortened its paths.
    pub file: Option<PathBuf>,
    /// The line, counted from 1.
    pub line: Option<u32>,
}

/// Turns addresses of this process into symbols, and remembers them.
#[derive(Debug)]
pub struct Symboliser {
    known: HashMap<Address, Box<[Symbol]>>,
    modules: Modules,
}

impl Symboliser {
    /// A symboliser that knows no address yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            known: HashMap::new(),
            modules: Modules::current(),
        }
    }

    /// The functions at `address`: several where some were inlined into
    /// others, the innermost first. Never empty.
    pub fn resolve(&mut self, address: Address) -> &[Symbol] {
        self.forget_what_is_outdated();
        match self.known.entry(address) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(look_up(address, &self.modules)),
        }
    }

    /// An object that came may have the addresses of one that went.
    fn forget_what_is_outdated(&mut self) {
        if self.modules.refresh() {
            self.known.clear();
            backtrace::clear_symbol_cache();
        } else if self.known.len() >= CACHED_ADDRESSES_MAX {
            self.known.clear();
        }
    }
}

impl Default for Symboliser {
    fn default() -> Self {
        Self::new()
    }
}

fn look_up(address: Address, modules: &Modules) -> Box<[Symbol]> {
    let mut symbols = Vec::new();
    backtrace::resolve(for_backtrace(address), |symbol| {
        symbols.extend(symbol.name().map(|name| Symbol {
            function: format!("{name:#}"),
            file: symbol.filename().map(PathBuf::from),
            line: symbol.lineno(),
        }));
    });
    if symbols.is_empty() {
        symbols.push(nameless(address, modules));
    }
    symbols.into_boxed_slice()
}

/// `backtrace::resolve` takes every address for a return address and steps
/// back by one; an exact one is moved ahead so that it arrives where it was.
fn for_backtrace(address: Address) -> *mut c_void {
    (address.lookup() + 1) as *mut c_void
}

fn nameless(address: Address, modules: &Modules) -> Symbol {
    let function = match modules.locate(address.lookup()) {
        Some((path, offset)) => {
            let object = path.file_name().unwrap_or(path.as_os_str());
            format!("{}+{offset:#x}", object.to_string_lossy())
        }
        None => format!("{:#x}", address.raw()),
    };
    Symbol {
        function,
        file: None,
        line: None,
    }
}

#[cfg(test)]
mod tests {
    use super::Symboliser;
    use crate::Address;

    #[inline(never)]
    fn a_function_to_find(n: u32) -> u32 {
        std::hint::black_box(n) + 1
    }

    #[test]
    fn an_exact_address_at_the_very_start_of_a_function_is_that_function() {
        a_function_to_find(1);
        let start = a_function_to_find as fn(u32) -> u32 as usize as u64;
        let mut symboliser = Symboliser::new();
        let symbols = symboliser.resolve(Address::Exact(start));
        let outermost = symbols.last().expect("never empty");
        assert!(
            outermost.function.ends_with("tests::a_function_to_find"),
            "{outermost:?}"
        );
    }

    #[test]
    fn an_address_of_nothing_is_shown_as_a_number() {
        let symbol = Symboliser::new().resolve(Address::Exact(0x10))[0].clone();
        assert_eq!(symbol.function, "0x10");
        assert_eq!(symbol.line, None);
    }

    #[test]
    fn the_second_answer_is_the_first() {
        let start = a_function_to_find as fn(u32) -> u32 as usize as u64;
        let mut symboliser = Symboliser::new();
        let first = symboliser.resolve(Address::Return(start + 1)).to_vec();
        assert_eq!(symboliser.resolve(Address::Return(start + 1)), first);
    }
}
