//! Which crates the running program is made of, by the names of its compilation units.

use super::elf::Elf;
use crate::sources::CrateSource;
use gimli::{
    AttributeValue, DW_AT_comp_dir, DW_AT_name, Dwarf, EndianSlice, LittleEndian, SectionId,
    UnitHeader,
};
use std::path::{Path, PathBuf};

/// Larger sections are not read.
const SECTION_BYTES_MAX: usize = 128 << 20;
/// Of crates that are no part of a workspace, this is in the path.
const DOWNLOADED: &[&str] = &["/registry/src/", "/git/checkouts/"];

type Bytes<'d> = EndianSlice<'d, LittleEndian>;

/// The crates that are neither std's nor downloaded.
pub(crate) fn crate_sources() -> Vec<CrateSource> {
    let mut crates = Vec::new();
    let Some(sections) = sections() else {
        return crates;
    };
    let dwarf = sections.borrow(|bytes| EndianSlice::new(bytes, LittleEndian));
    let mut units = dwarf.units();
    while let Ok(Some(header)) = units.next() {
        if let Some(found) = of_unit(&dwarf, header)
            && !crates.contains(&found)
        {
            crates.push(found);
        }
    }
    crates
}

/// Only what is needed for names: not the lines, which are most of it.
fn sections() -> Option<gimli::DwarfSections<Vec<u8>>> {
    let elf = Elf::open(Path::new("/proc/self/exe"))?;
    gimli::DwarfSections::load(|id| -> Result<_, gimli::Error> {
        let needed = [
            SectionId::DebugInfo,
            SectionId::DebugAbbrev,
            SectionId::DebugStr,
            SectionId::DebugLineStr,
        ];
        let bytes = needed
            .contains(&id)
            .then(|| elf.named(id.name(), SECTION_BYTES_MAX));
        Ok(bytes.flatten().unwrap_or_default())
    })
    .ok()
}

fn of_unit(dwarf: &Dwarf<Bytes<'_>>, header: UnitHeader<Bytes<'_>>) -> Option<CrateSource> {
    let abbreviations = dwarf.abbreviations(&header).ok()?;
    let mut entries = header.entries(&abbreviations);
    let unit = entries.next_dfs().ok()??;
    let text = |value: Option<AttributeValue<Bytes<'_>>>| {
        let text = match value? {
            AttributeValue::String(text) => text,
            AttributeValue::DebugStrRef(at) => dwarf.debug_str.get_str(at).ok()?,
            AttributeValue::DebugLineStrRef(at) => dwarf.debug_line_str.get_str(at).ok()?,
            _ => return None,
        };
        Some(text.to_string_lossy().into_owned())
    };
    let (within, name) = root_and_name(&text(unit.attr_value(DW_AT_name))?)?;
    Some(CrateSource {
        name,
        within,
        compiled_in: PathBuf::from(text(unit.attr_value(DW_AT_comp_dir))?),
    })
}

/// The directory and the crate of `src/main.rs/@/app.5d1c2e09-cgu.0`; of
/// `src/main.rs/@/f4ye0ztzmhju2uqy`, as in an incremental build, only the directory.
fn root_and_name(unit: &str) -> Option<(PathBuf, Option<String>)> {
    let (root, part) = unit.split_once("/@/")?;
    let downloaded =
        root.starts_with("/rustc/") || DOWNLOADED.iter().any(|directory| root.contains(directory));
    if downloaded {
        return None;
    }
    let name = part.split_once('.').map(|(name, _)| name.to_owned());
    let within = Path::new(root).parent().unwrap_or(Path::new(""));
    Some((within.to_owned(), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_tell_their_crate() {
        let of =
            |unit| root_and_name(unit).map(|(within, name)| (within.display().to_string(), name));
        assert_eq!(
            of("src/bin/app.rs/@/app.5d1c2e09-cgu.0"),
            Some(("src/bin".to_owned(), Some("app".to_owned())))
        );
        assert_eq!(
            of("src/main.rs/@/f4ye0ztzmhju2uqy"),
            Some(("src".to_owned(), None))
        );
        assert_eq!(
            of("/rustc/5980/library/std/src/lib.rs/@/std.a9b8-cgu.0"),
            None
        );
        assert_eq!(
            of("/h/.cargo/registry/src/index/x-1.0.0/src/lib.rs/@/f4ye0"),
            None
        );
        assert_eq!(of("crtstuff.c"), None);
    }
}
