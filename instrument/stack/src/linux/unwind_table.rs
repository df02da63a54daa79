//! The unwind table of one object: `.eh_frame` and its index `.eh_frame_hdr`.
//!
//! The rules themselves are framehop's business; what is read here is where
//! things are and where functions begin.

use super::memory::Memory;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// More than any table seen so far: the largest browsers have about 20 MiB.
const TABLE_BYTES_MAX: u64 = 64 << 20;

/// Bytes of an object.
#[derive(Clone, Debug)]
pub(super) enum Bytes {
    /// Where the loader put them, for good.
    Mapped(&'static [u8]),
    /// A copy.
    Copied(Arc<[u8]>),
    /// A part of an object file.
    #[cfg(feature = "outside")]
    Shared(Arc<super::outside::Data>, Range<usize>),
}

impl Bytes {
    /// Copies what is mapped at `range`.
    pub(super) fn copied(range: Range<u64>) -> Option<Bytes> {
        let length = (range.end - range.start).min(TABLE_BYTES_MAX);
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        let read = Memory::Own.read(range.start, &mut bytes);
        bytes.truncate(read);
        Some(Bytes::Copied(bytes.into()))
    }
}

impl Default for Bytes {
    fn default() -> Self {
        Bytes::Mapped(&[])
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(bytes) => bytes,
            Bytes::Copied(bytes) => bytes,
            #[cfg(feature = "outside")]
            Bytes::Shared(data, range) => data.get(range.clone()).unwrap_or_default(),
        }
    }
}

/// The table and its index, with the addresses they are mapped at.
#[derive(Clone, Debug)]
pub(super) struct UnwindTable {
    /// Where the index is.
    pub(super) index_range: Range<u64>,
    /// The index.
    pub(super) index: Bytes,
    /// Where the table is.
    pub(super) frames_range: Range<u64>,
    /// The table.
    pub(super) frames: Bytes,
}

/// Version 1; the pointer to the table relative to itself; the count as four
/// bytes; entries of twice four bytes relative to the index. Every linker in
/// use writes this form.
const INDEX_FORM: [u8; 4] = [1, 0x1b, 0x03, 0x3b];
const INDEX_HEAD_BYTES: usize = 12;
const INDEX_ENTRY_BYTES: usize = 8;

impl UnwindTable {
    /// The table whose index is at `index_range`, in a mapped `segment`.
    pub(super) fn new(
        index_range: Range<u64>,
        segment: Range<u64>,
        bytes: impl Fn(Range<u64>) -> Option<Bytes>,
    ) -> Option<UnwindTable> {
        let index = bytes(index_range.clone())?;
        if index.get(..4)? != INDEX_FORM {
            return None;
        }
        let field = index_range.start + 4;
        let start = field.wrapping_add_signed(i64::from(signed_at(&index, 4)?));
        if !segment.contains(&start) {
            return None;
        }
        let frames_range = start..segment.end.min(start + TABLE_BYTES_MAX);
        Some(UnwindTable {
            frames: bytes(frames_range.clone())?,
            index_range,
            index,
            frames_range,
        })
    }

    /// Where the function begins that `address` lies in: the last entry of the
    /// index that is not after it.
    pub(super) fn function_start(&self, address: u64) -> Option<u64> {
        let entries = self.index.get(INDEX_HEAD_BYTES..)?;
        let (mut low, mut high) = (0, entries.len() / INDEX_ENTRY_BYTES);
        let listed = usize::try_from(signed_at(&self.index, 8)?).ok()?;
        high = high.min(listed);
        while low < high {
            let middle = low.midpoint(high);
            match self.start_of(entries, middle)? <= address {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        self.start_of(entries, low.checked_sub(1)?)
    }

    fn start_of(&self, entries: &[u8], entry: usize) -> Option<u64> {
        let offset = signed_at(entries, entry * INDEX_ENTRY_BYTES)?;
        Some(
            self.index_range
                .start
                .wrapping_add_signed(i64::from(offset)),
        )
    }
}

fn signed_at(bytes: &[u8], offset: usize) -> Option<i32> {
    let field = bytes.get(offset..)?.first_chunk::<4>()?;
    Some(i32::from_ne_bytes(*field))
}

#[cfg(test)]
mod tests {
    use super::{Bytes, INDEX_FORM, UnwindTable};
    use std::ops::Range;

    const AT: u64 = 0x10_000;

    /// An index at `AT` of functions at the given offsets from it, and a table
    /// right behind.
    fn table(functions: &[i32]) -> Option<UnwindTable> {
        let length = 12 + 8 * functions.len();
        let mut bytes = INDEX_FORM.to_vec();
        bytes.extend((length as i32 - 4).to_ne_bytes());
        bytes.extend((functions.len() as i32).to_ne_bytes());
        for function in functions {
            bytes.extend(function.to_ne_bytes());
            bytes.extend(0_i32.to_ne_bytes());
        }
        bytes.extend([0xee; 16]);
        from(&bytes, length)
    }

    fn from(bytes: &[u8], index_length: usize) -> Option<UnwindTable> {
        let segment = AT..AT + bytes.len() as u64;
        let cut = |range: Range<u64>| {
            let range = (range.start - AT) as usize..(range.end - AT) as usize;
            Some(Bytes::Copied(bytes.get(range)?.into()))
        };
        UnwindTable::new(AT..AT + index_length as u64, segment, cut)
    }

    #[test]
    fn an_address_belongs_to_the_function_before_it() {
        let table = table(&[-0x300, -0x200, 0x400]).expect("well formed");
        assert_eq!(table.function_start(AT - 0x301), None);
        assert_eq!(table.function_start(AT - 0x300), Some(AT - 0x300));
        assert_eq!(table.function_start(AT - 0x201), Some(AT - 0x300));
        assert_eq!(table.function_start(AT), Some(AT - 0x200));
        assert_eq!(table.function_start(AT + 0x9999), Some(AT + 0x400));
    }

    #[test]
    fn the_table_is_found_through_its_index() {
        let table = table(&[0]).expect("well formed");
        assert_eq!(&table.frames[..], [0xee; 16]);
        assert_eq!(table.frames_range, AT + 20..AT + 36);
    }

    #[test]
    fn an_empty_index_knows_no_function() {
        assert_eq!(table(&[]).expect("well formed").function_start(AT), None);
    }

    #[test]
    fn what_is_not_an_index_is_refused() {
        assert!(from(&[1, 0x1b, 0x03, 0x50, 0, 0, 0, 0], 8).is_none());
        assert!(from(&[1, 0x1b], 2).is_none());
    }
}
