//! Object files as processes have them mapped.

#![expect(unsafe_code, reason = "maps files into memory")]

use super::super::loaded::Object;
use super::super::unwind_table::{Bytes, UnwindTable};
use super::maps::Mapping;
use memchr::{memchr, memmem, memrchr};
use memmap2::Mmap;
use object::elf::{FileHeader64, PF_X, PT_GNU_EH_FRAME, PT_LOAD, STT_FUNC};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, Sym};
use object::{Endianness, SectionIndex};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::ops::{Deref, Range};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

/// One function of an object file, from its symbol table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function<'a> {
    /// Its symbol, as the compiler mangled it.
    pub name: &'a [u8],
    /// Where it begins, as the file states it.
    pub start: u64,
    /// How long it is.
    pub bytes: u64,
}

/// An object file: its code's place, its unwind table, and its symbols.
#[derive(Debug)]
pub struct Image {
    path: PathBuf,
    data: Arc<Data>,
    loads: Vec<Load>,
    /// Where the index of its unwind table is.
    index: Option<Range<u64>>,
}

/// The bytes of an object file.
#[derive(Debug)]
pub(in super::super) enum Data {
    File(Mmap),
    /// Of what exists in memory only.
    Copy(Vec<u8>),
}

impl Deref for Data {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Data::File(map) => map,
            Data::Copy(bytes) => bytes,
        }
    }
}

/// A part of the file that is mapped.
#[derive(Clone, Debug)]
struct Load {
    /// Where, as the file states it.
    stated: Range<u64>,
    offset: u64,
    file_bytes: u64,
    code: bool,
}

impl Image {
    /// Maps the file at `path`, which `name` is the usual path of.
    fn open(path: &Path, name: PathBuf) -> io::Result<Image> {
        let file = File::open(path)?;
        // SAFETY: the map is only read. Compilers and package managers write a new file
        // rather than change one that is in use, as its own process would crash, too.
        let map = unsafe { Mmap::map(&file)? };
        Image::parse(Data::File(map), name)
    }

    pub(super) fn parse(data: Data, path: PathBuf) -> io::Result<Image> {
        let invalid = |error: object::Error| io::Error::new(io::ErrorKind::InvalidData, error);
        let header = FileHeader64::<Endianness>::parse(&*data).map_err(invalid)?;
        let endian = header.endian().map_err(invalid)?;
        let (mut loads, mut index) = (Vec::new(), None);
        for part in header.program_headers(endian, &*data).map_err(invalid)? {
            let start = part.p_vaddr(endian);
            let stated = start..start.saturating_add(part.p_memsz(endian));
            match part.p_type(endian) {
                PT_LOAD => loads.push(Load {
                    stated,
                    offset: part.p_offset(endian),
                    file_bytes: part.p_filesz(endian),
                    code: part.p_flags(endian).0 & PF_X.0 != 0,
                }),
                PT_GNU_EH_FRAME => index = Some(stated),
                _ => {}
            }
        }
        Ok(Image {
            path,
            data: Arc::new(data),
            loads,
            index,
        })
    }

    /// Its usual path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Calls `each` for every function of its symbol table whose name contains one of
    /// `texts`; of the table that is there for the dynamic linker, if it has been
    /// stripped. Whether it had a table of its own.
    ///
    /// All names are searched at once: most of a large program's are never looked at.
    pub fn functions(&self, texts: &[&[u8]], mut each: impl FnMut(Function<'_>)) -> bool {
        let mut read = || -> object::Result<bool> {
            let data = &**self.data;
            let header = FileHeader64::<Endianness>::parse(data)?;
            let endian = header.endian()?;
            let sections = header.sections(endian, data)?;
            let own = sections.symbols(endian, data, object::elf::SHT_SYMTAB)?;
            let stripped = own.section() == SectionIndex(0);
            let symbols = match stripped {
                true => sections.symbols(endian, data, object::elf::SHT_DYNSYM)?,
                false => own,
            };
            let strings = sections.section(symbols.string_section())?;
            let names = Names::with(texts, strings.data(endian, data)?);
            for symbol in symbols.iter() {
                if symbol.st_type() != STT_FUNC || symbol.st_size(endian) == 0 {
                    continue;
                }
                if let Some(name) = names.at(symbol.st_name(endian)) {
                    each(Function {
                        name,
                        start: symbol.st_value(endian),
                        bytes: symbol.st_size(endian),
                    });
                }
            }
            Ok(!stripped)
        };
        read().unwrap_or(false)
    }

    /// What was added to the addresses that the file states, if its code is mapped so.
    pub(super) fn bias(&self, mapping: &Mapping) -> Option<u64> {
        let load = self.loads.iter().find(|load| {
            let whole = load.offset..load.offset.saturating_add(load.file_bytes);
            load.code && (whole.contains(&mapping.offset) || mapping.holds(load.offset))
        })?;
        let stated = load
            .stated
            .start
            .wrapping_sub(load.offset)
            .wrapping_add(mapping.offset);
        Some(mapping.range.start.wrapping_sub(stated))
    }

    /// As the unwinder knows objects.
    pub(super) fn loaded_at(&self, bias: u64) -> Option<Object> {
        let moved =
            |range: &Range<u64>| range.start.wrapping_add(bias)..range.end.wrapping_add(bias);
        let ranges = || self.loads.iter().map(|load| &load.stated);
        let whole =
            ranges().map(|range| range.start).min()?..ranges().map(|range| range.end).max()?;
        let unwind = self.index.as_ref().and_then(|index| {
            let load = self
                .loads
                .iter()
                .find(|load| load.stated.contains(&index.start))?;
            UnwindTable::new(moved(index), moved(&load.stated), |range| {
                self.bytes(
                    load,
                    range.start.wrapping_sub(bias)..range.end.wrapping_sub(bias),
                )
            })
        });
        Some(Object {
            path: self.path.clone(),
            bias,
            range: moved(&whole),
            code: self
                .loads
                .iter()
                .filter(|load| load.code)
                .map(|load| moved(&load.stated))
                .collect(),
            unwind,
        })
    }

    /// The bytes that the file states for `range`, as far as the file has them.
    fn bytes(&self, load: &Load, range: Range<u64>) -> Option<Bytes> {
        let place = |stated: u64| {
            let inside = stated.checked_sub(load.stated.start)?.min(load.file_bytes);
            usize::try_from(load.offset.checked_add(inside)?).ok()
        };
        let range = place(range.start)?..place(range.end)?.min(self.data.len());
        self.data.get(range.clone())?;
        Some(Bytes::Shared(self.data.clone(), range))
    }
}

/// Those names of a string table that contain a text, in the table's order.
struct Names<'a> {
    table: &'a [u8],
    found: Vec<Name>,
}

/// One string of the table. A shorter name may be the end of it.
struct Name {
    start: usize,
    /// Where a text is found last.
    last: usize,
    end: usize,
}

impl<'a> Names<'a> {
    fn with(texts: &[&[u8]], table: &'a [u8]) -> Names<'a> {
        let mut places: Vec<usize> = texts
            .iter()
            .flat_map(|text| memmem::find_iter(table, text))
            .collect();
        places.sort_unstable();
        let mut found: Vec<Name> = Vec::new();
        for place in places {
            match found.last_mut() {
                Some(name) if place < name.end => name.last = place,
                _ => found.push(Name {
                    start: memrchr(0, &table[..place]).map_or(0, |zero| zero + 1),
                    last: place,
                    end: memchr(0, &table[place..]).map_or(table.len(), |zero| place + zero),
                }),
            }
        }
        Names { table, found }
    }

    /// The name at `offset`, if it is one of them.
    fn at(&self, offset: u32) -> Option<&'a [u8]> {
        let offset = usize::try_from(offset).ok()?;
        let after = self.found.partition_point(|name| name.start <= offset);
        let name = self.found.get(after.checked_sub(1)?)?;
        (offset <= name.last).then(|| &self.table[offset..name.end])
    }
}

/// Object files that were opened, for as long as somebody uses them.
#[derive(Debug, Default)]
pub struct Images(HashMap<Identity, Weak<Image>>);

/// A file and its state: cargo may put another one into its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Identity {
    device: u64,
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl Images {
    /// None.
    #[must_use]
    pub fn new() -> Images {
        Images::default()
    }

    /// The file at `path`, which `name` is the usual path of.
    pub(super) fn open(&mut self, path: &Path, name: PathBuf) -> io::Result<Arc<Image>> {
        let file = fs::metadata(path)?;
        let identity = Identity {
            device: file.dev(),
            inode: file.ino(),
            bytes: file.size(),
            changed: (file.mtime(), file.mtime_nsec()),
        };
        if let Some(image) = self.0.get(&identity).and_then(Weak::upgrade) {
            return Ok(image);
        }
        let image = Arc::new(Image::open(path, name)?);
        self.0.retain(|_, image| image.strong_count() > 0);
        self.0.insert(identity, Arc::downgrade(&image));
        Ok(image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_what_they_contain() {
        let table = b"\0poll\0block_on_block\0main\0park";
        let at = |texts: &[&[u8]], offset| {
            let name = Names::with(texts, table).at(offset)?;
            Some(String::from_utf8_lossy(name).into_owned())
        };
        let at_block = |offset| at(&[b"block", b"park"], offset);
        assert_eq!(at_block(6).as_deref(), Some("block_on_block"));
        // The linker lets a name that another one ends with share its bytes.
        assert_eq!(at_block(12).as_deref(), Some("on_block"));
        assert_eq!(at_block(16), None);
        assert_eq!(at_block(26).as_deref(), Some("park"));
        for elsewhere in [0, 1, 20, 21, 27, 99] {
            assert_eq!(at_block(elsewhere), None, "{elsewhere}");
        }
        assert_eq!(at(&[], 1), None);
        // Every name contains nothing.
        assert_eq!(at(&[b""], 1).as_deref(), Some("poll"));
    }
}
