//! What debug information the executable's file holds, by its section names.

use crate::DebugInfo;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// More sections and longer names than any linker writes for a program.
const TABLE_BYTES_MAX: usize = 1 << 20;

/// What the running executable's file holds. A file that cannot be read tells
/// nothing, so it counts as stripped.
pub(crate) fn debug_info() -> DebugInfo {
    File::open("/proc/self/exe")
        .ok()
        .and_then(|file| section_names(&file))
        .map_or(DebugInfo::Stripped, |names| judge(&names))
}

fn judge(names: &[u8]) -> DebugInfo {
    let mut names = names.split(|&byte| byte == 0);
    let mut has_symbols = false;
    let has_lines = names.any(|name| {
        has_symbols |= name == b".symtab";
        matches!(name, b".debug_line" | b".zdebug_line" | b".gnu_debuglink")
    });
    match (has_lines, has_symbols) {
        (true, _) => DebugInfo::LineTables,
        (false, true) => DebugInfo::SymbolsOnly,
        (false, false) => DebugInfo::Stripped,
    }
}

/// The string table that the section headers take their names from; it holds
/// the names of the sections and nothing else. Offsets are those of 64-bit
/// ELF headers.
fn section_names(file: &File) -> Option<Vec<u8>> {
    let head = bytes(file, 0, 64)?;
    if head.get(..5)? != b"\x7fELF\x02" {
        return None;
    }
    let headers = integer(&head, 0x28, 8)?;
    let header_bytes = integer(&head, 0x3a, 2)?;
    let names_index = integer(&head, 0x3e, 2)?;
    let names_at = headers.checked_add(header_bytes * names_index)?;
    let names = bytes(file, names_at, usize::try_from(header_bytes).ok()?)?;
    let offset = integer(&names, 0x18, 8)?;
    let length = usize::try_from(integer(&names, 0x20, 8)?).ok()?;
    bytes(file, offset, length.min(TABLE_BYTES_MAX))
}

fn bytes(file: &File, offset: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, offset).ok()?;
    Some(bytes)
}

fn integer(bytes: &[u8], offset: usize, length: usize) -> Option<u64> {
    let mut whole = [0; 8];
    whole[..length].copy_from_slice(bytes.get(offset..offset + length)?);
    Some(u64::from_le_bytes(whole))
}

#[cfg(test)]
mod tests {
    use super::{debug_info, judge};
    use crate::DebugInfo;

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
}
