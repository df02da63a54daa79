//! Names from symbol tables: for what debug information does not name in
//! full, and for objects that were loaded after the symboliser's reader made
//! its list.

use super::elf::{Elf, integer};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

const SYMTAB: u32 = 2;
const DYNSYM: u32 = 11;
/// A symbol is 24 bytes and names a function with kind 2.
const ENTRY_BYTES: usize = 24;
const FUNCTION: u64 = 2;
/// Two million functions, or the names of half as many.
const TABLE_BYTES_MAX: usize = 64 << 20;

/// The symbol tables of the objects that were asked about, each read once.
#[derive(Debug, Default)]
pub(crate) struct SymbolTables(HashMap<PathBuf, Option<SymbolTable>>);

impl SymbolTables {
    /// The name, as the linker knows it, of the function at `offset` in the
    /// object at `path`.
    pub(crate) fn name(&mut self, path: &Path, offset: u64) -> Option<&[u8]> {
        if !self.0.contains_key(path) {
            self.0.insert(path.to_owned(), SymbolTable::read(path));
        }
        self.0.get(path)?.as_ref()?.name(offset)
    }
}

/// The functions of one object, by address.
struct SymbolTable {
    functions: Vec<Function>,
    names: Vec<u8>,
}

struct Function {
    start: u64,
    bytes: u64,
    name: u32,
}

impl SymbolTable {
    /// The full table, or the one for dynamic linking in a stripped object.
    fn read(path: &Path) -> Option<SymbolTable> {
        let elf = Elf::open(path)?;
        let symbols = elf.of_kind(SYMTAB).or_else(|| elf.of_kind(DYNSYM))?;
        let names = elf.contents(elf.linked(symbols)?, TABLE_BYTES_MAX)?;
        let entries = elf.contents(symbols, TABLE_BYTES_MAX)?;
        let mut functions: Vec<_> = entries
            .chunks_exact(ENTRY_BYTES)
            .filter_map(function)
            .collect();
        functions.sort_unstable_by_key(|function| function.start);
        Some(SymbolTable { functions, names })
    }

    fn name(&self, offset: u64) -> Option<&[u8]> {
        let after = self
            .functions
            .partition_point(|function| function.start <= offset);
        let function = self.functions.get(after.checked_sub(1)?)?;
        if offset - function.start >= function.bytes {
            return None;
        }
        let name = self.names.get(function.name as usize..)?;
        name.split(|&byte| byte == 0).next()
    }
}

impl fmt::Debug for SymbolTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SymbolTable")
            .field("functions", &self.functions.len())
            .finish_non_exhaustive()
    }
}

/// Name, kind, and so on; imports have neither place nor length.
fn function(entry: &[u8]) -> Option<Function> {
    let function = Function {
        name: integer(entry, 0, 4)? as u32,
        start: integer(entry, 8, 8)?,
        bytes: integer(entry, 16, 8)?,
    };
    let is_function = integer(entry, 4, 1)? & 0xf == FUNCTION;
    (is_function && function.bytes > 0).then_some(function)
}

#[cfg(test)]
mod tests {
    use super::SymbolTables;
    use crate::Modules;
    use std::path::Path;

    #[inline(never)]
    fn a_function_to_find() -> u32 {
        std::hint::black_box(1)
    }

    #[test]
    fn a_function_is_found_by_any_address_inside_it() {
        a_function_to_find();
        let start = a_function_to_find as fn() -> u32 as usize as u64;
        let modules = Modules::current();
        let (path, offset) = modules.locate(start).expect("it is loaded");
        let mut tables = SymbolTables::default();
        for inside in [offset, offset + 1] {
            let name = tables.name(path, inside).expect("it has a symbol");
            let name = String::from_utf8_lossy(name);
            assert!(name.contains("a_function_to_find"), "{name}");
        }
    }

    #[test]
    fn what_has_no_table_has_no_names() {
        let mut tables = SymbolTables::default();
        assert_eq!(tables.name(Path::new("linux-vdso.so.1"), 0x10), None);
        assert_eq!(tables.name(Path::new("/proc/self/exe"), 0), None);
    }
}
