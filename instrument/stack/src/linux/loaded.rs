//! What the dynamic loader tells about loaded objects.

#![expect(
    unsafe_code,
    reason = "dl_iterate_phdr and the program headers it shows"
)]

use super::unwind_table::{Bytes, UnwindTable};
use std::ffi::{CStr, OsStr, c_int, c_void};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::{fs, mem, slice};

/// How often the loader has loaded and unloaded something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Counters {
    loaded: u64,
    unloaded: u64,
}

/// One loaded object.
#[derive(Debug)]
pub(super) struct Object {
    /// Its file, or the loader's name for what has none.
    pub(super) path: PathBuf,
    /// What was added to the addresses that its file states.
    pub(super) bias: u64,
    /// All of it.
    pub(super) range: Range<u64>,
    /// Those parts that hold instructions.
    pub(super) code: Vec<Range<u64>>,
    /// How to unwind through it, if it says so.
    pub(super) unwind: Option<UnwindTable>,
}

/// The loader's counters; two snapshots with the same ones are the same.
pub(super) fn counters() -> Counters {
    let mut counters = Counters::default();
    visit(|info| {
        counters = Counters {
            loaded: info.dlpi_adds,
            unloaded: info.dlpi_subs,
        };
        false
    });
    counters
}

/// Everything that is loaded, the executable first.
pub(super) fn objects() -> Vec<Object> {
    let mut headers = Vec::new();
    visit(|info| {
        headers.push(Headers::copy(info, headers.is_empty()));
        true
    });
    // The tables are copied here rather than above, where the loader is locked.
    headers.into_iter().filter_map(Headers::read).collect()
}

/// What is taken over while the loader holds its list still.
struct Headers {
    path: PathBuf,
    bias: u64,
    segments: Vec<libc::Elf64_Phdr>,
    is_executable: bool,
}

impl Headers {
    fn copy(info: &libc::dl_phdr_info, is_first: bool) -> Headers {
        let segments = match info.dlpi_phnum {
            0 => &[],
            // SAFETY: the loader promises as many headers there, for as long
            // as it is in the callback.
            count => unsafe { slice::from_raw_parts(info.dlpi_phdr, usize::from(count)) },
        };
        Headers {
            path: path(info, is_first),
            bias: info.dlpi_addr,
            segments: segments.to_vec(),
            is_executable: is_first,
        }
    }

    fn read(self) -> Option<Object> {
        let loads: Vec<_> = self.of_kind(libc::PT_LOAD).collect();
        let start = loads.iter().map(|(_, range)| range.start).min()?;
        let end = loads.iter().map(|(_, range)| range.end).max()?;
        let code = loads
            .iter()
            .filter(|(segment, _)| segment.p_flags & libc::PF_X != 0)
            .map(|(_, range)| range.clone())
            .collect();
        let unwind = self.unwind_table(&loads);
        Some(Object {
            path: self.path,
            bias: self.bias,
            range: start..end,
            code,
            unwind,
        })
    }

    /// The index and the table proper lie in the same segment; where the table
    /// ends is not said, so it is taken to the end of the segment.
    fn unwind_table(&self, loads: &[(&libc::Elf64_Phdr, Range<u64>)]) -> Option<UnwindTable> {
        let (_, index) = self.of_kind(libc::PT_GNU_EH_FRAME).next()?;
        let (_, segment) = loads
            .iter()
            .find(|(_, segment)| segment.contains(&index.start))?;
        UnwindTable::new(index, segment.clone(), |range| self.bytes(range))
    }

    /// The executable is never unloaded, so its bytes may stay where they are;
    /// others are copied, because an app may unload them at any moment.
    fn bytes(&self, range: Range<u64>) -> Option<Bytes> {
        if !self.is_executable {
            return Bytes::copied(range);
        }
        let length = usize::try_from(range.end - range.start).ok()?;
        // SAFETY: the range lies in a read-only segment of the executable as
        // the loader mapped it, which stays for as long as the process does.
        Some(Bytes::Mapped(unsafe {
            slice::from_raw_parts(range.start as *const u8, length)
        }))
    }

    fn of_kind(&self, kind: u32) -> impl Iterator<Item = (&libc::Elf64_Phdr, Range<u64>)> {
        self.segments
            .iter()
            .filter(move |segment| segment.p_type == kind)
            .map(|segment| {
                let start = self.bias.wrapping_add(segment.p_vaddr);
                (segment, start..start.saturating_add(segment.p_memsz))
            })
    }
}

/// The executable comes first and without a name.
fn path(info: &libc::dl_phdr_info, is_first: bool) -> PathBuf {
    let name = match info.dlpi_name.is_null() {
        true => c"",
        // SAFETY: the loader's names end with a zero and outlive the callback.
        false => unsafe { CStr::from_ptr(info.dlpi_name) },
    };
    if is_first && name.is_empty() {
        return fs::read_link("/proc/self/exe").unwrap_or_else(|_| PathBuf::from("the executable"));
    }
    PathBuf::from(OsStr::from_bytes(name.to_bytes()))
}

/// Calls `each` for every loaded object until it says `false`.
fn visit(mut each: impl FnMut(&libc::dl_phdr_info) -> bool) {
    let mut each: &mut dyn FnMut(&libc::dl_phdr_info) -> bool = &mut each;
    // SAFETY: `visit_one` gets back the very pointer that is passed here, and
    // it is valid until the call returns.
    unsafe { libc::dl_iterate_phdr(Some(visit_one), (&raw mut each).cast()) };
}

unsafe extern "C" fn visit_one(
    info: *mut libc::dl_phdr_info,
    size: usize,
    each: *mut c_void,
) -> c_int {
    if size < mem::size_of::<libc::dl_phdr_info>() {
        return 1;
    }
    // SAFETY: `visit` passes a pointer to this type, used by nobody else
    // during the call.
    let each = unsafe { &mut *each.cast::<&mut dyn FnMut(&libc::dl_phdr_info) -> bool>() };
    // SAFETY: the loader passes a valid structure of at least this size.
    let go_on = each(unsafe { &*info });
    c_int::from(!go_on)
}
