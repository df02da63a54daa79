//! Object files: which sections they have, and what is in some of them.
//!
//! Only what asyncwatch needs beyond the symboliser's own reader; offsets are
//! those of 64-bit files in the processor's own byte order.

use crate::DebugInfo;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// More than any program's table of sections.
const HEADERS_BYTES_MAX: usize = 1 << 20;
const HEAD_BYTES: usize = 64;
/// Flag of a section whose contents are compressed.
const COMPRESSED: u64 = 1 << 11;

/// An object file.
#[derive(Debug)]
pub(super) struct Elf {
    file: File,
    sections: Vec<Section>,
}

/// One entry of the table of sections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    name: u32,
    kind: u32,
    flags: u64,
    offset: u64,
    bytes: u64,
    /// The section that goes with it: a symbol table's names.
    link: u32,
}

/// What the running executable's file holds. A file that cannot be read tells
/// nothing, so it counts as stripped.
pub(crate) fn debug_info() -> DebugInfo {
    Elf::open(Path::new("/proc/self/exe"))
        .and_then(|elf| elf.section_names())
        .map_or(DebugInfo::Stripped, |names| judge(&names))
}

impl Elf {
    /// Reads the table of sections; `None` if there is none to be read.
    pub(super) fn open(path: &Path) -> Option<Elf> {
        let file = File::open(path).ok()?;
        let head = bytes(&file, 0, HEAD_BYTES)?;
        if head.get(..5)? != b"\x7fELF\x02" {
            return None;
        }
        let headers = integer(&head, 0x28, 8)?;
        let header_bytes = usize::try_from(integer(&head, 0x3a, 2)?).ok()?;
        let count = usize::try_from(integer(&head, 0x3c, 2)?).ok()?;
        let table = bytes(
            &file,
            headers,
            (header_bytes * count).min(HEADERS_BYTES_MAX),
        )?;
        let sections = table
            .chunks_exact(header_bytes.max(1))
            .map_while(Section::parse)
            .collect();
        Some(Elf { file, sections })
    }

    /// The first section of a kind.
    pub(super) fn of_kind(&self, kind: u32) -> Option<Section> {
        self.sections
            .iter()
            .copied()
            .find(|section| section.kind == kind)
    }

    /// The section that goes with `section`.
    pub(super) fn linked(&self, section: Section) -> Option<Section> {
        self.sections.get(section.link as usize).copied()
    }

    /// The contents of a section, if it is not larger than `bytes_max`.
    pub(super) fn contents(&self, section: Section, bytes_max: usize) -> Option<Vec<u8>> {
        let length = usize::try_from(section.bytes).ok()?;
        if length > bytes_max {
            return None;
        }
        bytes(&self.file, section.offset, length)
    }

    /// The contents of the section called `name`, if it is there, not compressed and not
    /// larger than `bytes_max`.
    pub(super) fn named(&self, name: &str, bytes_max: usize) -> Option<Vec<u8>> {
        let names = self.names()?;
        let is_it = |section: &&Section| {
            let rest = names.get(section.name as usize..).unwrap_or_default();
            rest.split(|&byte| byte == 0).next() == Some(name.as_bytes())
        };
        let section = self.sections.iter().find(is_it)?;
        (section.flags & COMPRESSED == 0)
            .then(|| self.contents(*section, bytes_max))
            .flatten()
    }

    fn names(&self) -> Option<Vec<u8>> {
        let head = bytes(&self.file, 0, HEAD_BYTES)?;
        let index = usize::try_from(integer(&head, 0x3e, 2)?).ok()?;
        self.contents(*self.sections.get(index)?, HEADERS_BYTES_MAX)
    }

    /// The names of all sections, each ended by a zero.
    fn section_names(&self) -> Option<Vec<u8>> {
        let names = self.names()?;
        let used = self.sections.iter().flat_map(|section| {
            let name = names.get(section.name as usize..).unwrap_or_default();
            name.split_inclusive(|&byte| byte == 0)
                .next()
                .unwrap_or(b"\0")
        });
        Some(used.copied().collect())
    }
}

impl Section {
    fn parse(header: &[u8]) -> Option<Section> {
        Some(Section {
            name: integer(header, 0, 4)? as u32,
            kind: integer(header, 4, 4)? as u32,
            flags: integer(header, 8, 8)?,
            offset: integer(header, 0x18, 8)?,
            bytes: integer(header, 0x20, 8)?,
            link: integer(header, 0x28, 4)? as u32,
        })
    }
}

/// The integer of `length` bytes at `offset`.
pub(super) fn integer(bytes: &[u8], offset: usize, length: usize) -> Option<u64> {
    let mut whole = [0; 8];
    whole[..length].copy_from_slice(bytes.get(offset..offset + length)?);
    Some(u64::from_le_bytes(whole))
}

fn bytes(file: &File, offset: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, offset).ok()?;
    Some(bytes)
}

/// A link to a separate file of debug information counts as having it.
fn judge(section_names: &[u8]) -> DebugInfo {
    let has = |wanted: &[&[u8]]| {
        section_names
            .split(|&byte| byte == 0)
            .any(|name| wanted.contains(&name))
    };
    if has(&[b".debug_line", b".zdebug_line", b".gnu_debuglink"]) {
        DebugInfo::LineTables
    } else if has(&[b".symtab"]) {
        DebugInfo::SymbolsOnly
    } else {
        DebugInfo::Stripped
    }
}

#[cfg(test)]
mod tests {
    use super::{Elf, debug_info, judge};
    use crate::DebugInfo;
    use std::path::Path;

    #[test]
    fn sections_tell_what_there_is() {
        let lines = b"\0.text\0.symtab\0.debug_line\0";
        assert_eq!(judge(lines), DebugInfo::LineTables);
        assert_eq!(judge(b"\0.text\0.symtab\0"), DebugInfo::SymbolsOnly);
        assert_eq!(judge(b"\0.text\0.dynsym\0"), DebugInfo::Stripped);
        assert_eq!(judge(b""), DebugInfo::Stripped);
    }

    #[test]
    fn the_tests_themselves_are_built_with_lines() {
        assert_eq!(debug_info(), DebugInfo::LineTables);
    }

    #[test]
    fn what_is_not_an_object_file_is_refused() {
        assert!(Elf::open(Path::new("/proc/self/maps")).is_none());
        assert!(Elf::open(Path::new("/nowhere")).is_none());
    }
}
