//! Linux on x86_64 and aarch64: threads through `/proc`, memory through
//! `process_vm_readv`, registers through the kernel or a signal.

mod accounts;
mod capturer;
mod clock;
mod crates;
mod describe;
mod elf;
mod gait;
mod held;
mod here;
mod holder;
mod loaded;
mod mailbox;
mod memory;
mod modules;
mod names;
mod neighbours;
#[cfg(feature = "outside")]
pub mod outside;
mod request;
mod scan;
mod signal;
mod stack_copy;
mod symbol_tables;
mod thread;
mod unwind;
mod unwind_table;

#[cfg(target_arch = "aarch64")]
#[path = "aarch64.rs"]
mod arch;
#[cfg(target_arch = "x86_64")]
#[path = "x86_64.rs"]
mod arch;

pub use capturer::Capturer;
pub use memory::read_word;
pub use modules::Modules;
pub use neighbours::Neighbours;
pub use thread::{Outline, Thread};

pub(crate) use crates::crate_sources;
pub(crate) use elf::debug_info;
pub(crate) use held::largest_held;
pub(crate) use holder::lock_waited_for;
pub(crate) use names::name as syscall_name;
pub(crate) use symbol_tables::SymbolTables;

/// What a call of a thread of this process, or of another, works on.
pub(crate) fn syscall_object(call: &crate::Syscall, pid: Option<u32>) -> Option<String> {
    describe::object(call, pid.map_or(memory::Memory::Own, memory::Memory::Of))
}
