//! The objects loaded into a process: where they are, and their unwind
//! tables.
//!
//! It deliberately does not look at files: what counts is what is mapped.

use super::loaded::{self, Counters, Object};
use super::memory::Memory;
use std::path::Path;

/// The executable and the shared objects loaded at one moment.
#[derive(Debug)]
pub struct Modules {
    objects: Vec<Object>,
    counters: Counters,
    memory: Memory,
}

impl Modules {
    /// What is loaded now.
    #[must_use]
    pub fn current() -> Modules {
        Modules {
            counters: loaded::counters(),
            objects: loaded::objects(),
            memory: Memory::Own,
        }
    }

    /// Brings the list up to date; whether it was outdated. Cheap when nothing
    /// has been loaded or unloaded since.
    pub fn refresh(&mut self) -> bool {
        let changed = loaded::counters() != self.counters;
        if changed {
            *self = Modules::current();
        }
        changed
    }

    /// The object that `address` lies in, and the offset that tools such as
    /// `addr2line` take.
    #[must_use]
    pub fn locate(&self, address: u64) -> Option<(&Path, u64)> {
        let object = self.object(address)?;
        Some((&object.path, address.wrapping_sub(object.bias)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// What is loaded into another process.
    #[cfg(feature = "outside")]
    pub(super) fn of(objects: Vec<Object>, memory: Memory) -> Modules {
        Modules {
            objects,
            counters: Counters::default(),
            memory,
        }
    }

    /// The memory that they lie in.
    pub(super) fn memory(&self) -> Memory {
        self.memory
    }

    pub(super) fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// Whether there is code at `address`.
    pub(super) fn is_code(&self, address: u64) -> bool {
        self.object(address)
            .is_some_and(|object| object.code.iter().any(|code| code.contains(&address)))
    }

    /// Where the function begins that `address` lies in.
    pub(super) fn function_start(&self, address: u64) -> Option<u64> {
        self.object(address)?
            .unwind
            .as_ref()?
            .function_start(address)
    }

    fn object(&self, address: u64) -> Option<&Object> {
        self.objects
            .iter()
            .find(|object| object.range.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::Modules;

    fn here() -> u64 {
        here as fn() -> u64 as usize as u64
    }

    #[test]
    fn a_function_of_ours_is_in_the_executable() {
        let modules = Modules::current();
        let (path, offset) = modules.locate(here()).expect("it is loaded");
        assert_eq!(path, std::env::current_exe().expect("has a path"));
        assert!(offset < here());
        assert!(modules.is_code(here()));
    }

    #[test]
    fn the_table_knows_where_a_function_begins() {
        let modules = Modules::current();
        assert_eq!(modules.function_start(here()), Some(here()));
        assert_eq!(modules.function_start(here() + 1), Some(here()));
    }

    #[test]
    fn data_is_not_code_and_a_stack_is_in_no_object() {
        let modules = Modules::current();
        let local = 0_u8;
        assert!(!modules.is_code("text".as_ptr() as u64));
        assert_eq!(modules.locate(&raw const local as u64), None);
    }

    #[test]
    fn what_has_not_changed_is_not_read_again() {
        let mut modules = Modules::current();
        assert!(!modules.refresh() || !modules.refresh());
    }
}
