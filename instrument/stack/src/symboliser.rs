//! Names, files and lines for addresses.
//!
//! Slow the first time an object is touched (its debug information is read
//! and indexed) and under a lock of its own: for a thread that nobody waits
//! for, never for a signal handler.

use crate::platform::SymbolTables;
use crate::{Address, Modules};
use backtrace::SymbolName;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::c_void;
use std::path::PathBuf;
use std::ptr;

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
    sources: Sources,
}

impl Symboliser {
    /// A symboliser that knows no address yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            known: HashMap::new(),
            sources: Sources::new(),
        }
    }

    /// The functions at `address`: several where some were inlined into
    /// others, the innermost first. Never empty.
    pub fn resolve(&mut self, address: Address) -> &[Symbol] {
        // An object that came may have the addresses of one that went.
        if self.sources.refresh() || self.known.len() >= CACHED_ADDRESSES_MAX {
            self.known.clear();
        }
        match self.known.entry(address) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(self.sources.look_up(address)),
        }
    }
}

impl Default for Symboliser {
    fn default() -> Self {
        Self::new()
    }
}

/// Where names come from.
#[derive(Debug)]
struct Sources {
    /// What is loaded.
    modules: Modules,
    /// What was loaded when the reader of debug information made its list,
    /// which it never renews.
    listed: Modules,
    tables: SymbolTables,
}

impl Sources {
    fn new() -> Self {
        // Makes the reader draw up its list now, if it has not yet.
        backtrace::resolve(ptr::null_mut(), |_| {});
        Self {
            modules: Modules::current(),
            listed: Modules::current(),
            tables: SymbolTables::default(),
        }
    }

    fn refresh(&mut self) -> bool {
        self.modules.refresh()
    }

    fn look_up(&mut self, address: Address) -> Box<[Symbol]> {
        let mut symbols = match self.is_listed(address) {
            true => from_debug_information(address),
            false => Vec::new(),
        };
        match symbols.last_mut() {
            Some(outermost) if is_full(&outermost.function) => {}
            Some(outermost) => {
                if let Some(name) = self.table_name(address).filter(|name| is_full(name)) {
                    outermost.function = name;
                }
            }
            None => symbols.push(self.without_debug_information(address)),
        }
        symbols.into_boxed_slice()
    }

    /// Whether the reader knows the object at `address`, or, where objects are
    /// not known, is to be asked anyway.
    fn is_listed(&self, address: Address) -> bool {
        let at = address.lookup();
        let now = self.modules.locate(at);
        now == self.listed.locate(at) && (now.is_some() || self.modules.is_empty())
    }

    fn table_name(&mut self, address: Address) -> Option<String> {
        let (path, offset) = self.modules.locate(address.lookup())?;
        let name = self.tables.name(path, offset)?;
        Some(format!("{:#}", SymbolName::new(name)))
    }

    fn without_debug_information(&mut self, address: Address) -> Symbol {
        let name = self.table_name(address);
        Symbol {
            function: name.unwrap_or_else(|| object_and_offset(address, &self.modules)),
            file: None,
            line: None,
        }
    }
}

fn from_debug_information(address: Address) -> Vec<Symbol> {
    let mut symbols = Vec::new();
    backtrace::resolve(for_backtrace(address), |symbol| {
        symbols.extend(symbol.name().map(|name| Symbol {
            function: format!("{name:#}"),
            file: symbol.filename().map(PathBuf::from),
            line: symbol.lineno(),
        }));
    });
    symbols
}

/// `backtrace::resolve` takes every address for a return address and steps
/// back by one; an exact one is moved ahead so that it arrives where it was.
fn for_backtrace(address: Address) -> *mut c_void {
    (address.lookup() + 1) as *mut c_void
}

/// Line tables alone name a function without its path, but its symbol has it.
fn is_full(function: &str) -> bool {
    function.contains("::")
}

fn object_and_offset(address: Address, modules: &Modules) -> String {
    match modules.locate(address.lookup()) {
        Some((path, offset)) => {
            let object = path.file_name().unwrap_or(path.as_os_str());
            format!("{}+{offset:#x}", object.to_string_lossy())
        }
        None => format!("{:#x}", address.raw()),
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
