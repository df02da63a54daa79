//! Another process: what it has loaded, its threads, and their stacks.

use super::super::accounts::Place;
use super::super::arch::Interrupted;
use super::super::memory::Memory;
use super::super::modules::Modules;
use super::super::stack_copy::{STACK_BYTES_MAX, StackCopy, live_part};
use super::super::unwind::{Frames, Unwinder};
use super::image::{Data, Image, Images};
use super::maps::{self, Mapping};
use super::thread::Thread;
use crate::{Address, CaptureError, How, RawStack};
use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::{fs, io};

/// More than the kernel ever made the code that it maps into every process.
const KERNELS_BYTES_MAX: u64 = 64 << 10;

/// Another process, as it was when it was last looked at.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    memory: Memory,
    unwinder: Unwinder,
    /// Where each image's addresses begin and end, and what was added to them.
    loaded: Vec<(Range<u64>, u64, Arc<Image>)>,
    /// Where the stacks of its threads are.
    stacks: HashMap<u32, Range<u64>>,
    buffer: Vec<u8>,
}

impl Process {
    /// The process with this id.
    ///
    /// # Errors
    ///
    /// If it is gone, or the system does not let us look.
    pub fn open(pid: u32, images: &mut Images) -> io::Result<Process> {
        let mut process = Process {
            pid,
            memory: Memory::Of(pid),
            unwinder: Unwinder::with(Modules::of(Vec::new(), Memory::Of(pid))),
            loaded: Vec::new(),
            stacks: HashMap::new(),
            buffer: Vec::new(),
        };
        process.refresh(images)?;
        Ok(process)
    }

    /// Learns of what was loaded since.
    ///
    /// # Errors
    ///
    /// As [`Process::open`].
    pub fn refresh(&mut self, images: &mut Images) -> io::Result<()> {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.pid))?;
        let mut loaded = Vec::new();
        let mut objects = Vec::new();
        for mapping in maps::parse(&maps).filter(|mapping| mapping.code) {
            let Some(image) = self.image(&mapping, images) else {
                continue;
            };
            let Some(bias) = image.bias(&mapping) else {
                continue;
            };
            // One object can have its code in several mappings.
            let known = loaded
                .iter()
                .any(|(_, other, known)| *other == bias && Arc::ptr_eq(known, &image));
            if let Some(object) = image.loaded_at(bias).filter(|_| !known) {
                loaded.push((object.range.clone(), bias, image));
                objects.push(object);
            }
        }
        let same = self.loaded.len() == loaded.len()
            && self
                .loaded
                .iter()
                .zip(&loaded)
                .all(|(one, other)| one.1 == other.1 && Arc::ptr_eq(&one.2, &other.2));
        if !same {
            self.loaded = loaded;
            self.unwinder = Unwinder::with(Modules::of(objects, self.memory));
        }
        Ok(())
    }

    fn image(&self, mapping: &Mapping, images: &mut Images) -> Option<Arc<Image>> {
        if mapping.path == "[vdso]" {
            let bytes = (mapping.range.end - mapping.range.start).min(KERNELS_BYTES_MAX);
            let mut copy = vec![0; usize::try_from(bytes).ok()?];
            let read = self.memory.read(mapping.range.start, &mut copy);
            copy.truncate(read);
            // The same one for as long as the process has it where it was.
            let known = self
                .loaded
                .iter()
                .find(|(range, ..)| range.contains(&mapping.range.start));
            return match known {
                Some((_, _, image)) => Some(image.clone()),
                None => Image::parse(Data::Copy(copy), PathBuf::from("[vdso]"))
                    .ok()
                    .map(Arc::new),
            };
        }
        let file = mapping.file()?;
        let usual = file.strip_suffix(" (deleted)").unwrap_or(file);
        let name = PathBuf::from(usual);
        // By its own view of the file system; and of a program that was replaced or
        // deleted meanwhile, the one that runs.
        let root = PathBuf::from(format!("/proc/{}/root{usual}", self.pid));
        let exe = PathBuf::from(format!("/proc/{}/exe", self.pid));
        let is_exe = || fs::read_link(&exe).is_ok_and(|exe| exe.as_os_str() == file);
        let path = match usual.len() == file.len() {
            true => root,
            false if is_exe() => exe,
            false => return None,
        };
        images
            .open(&path, name.clone())
            .or_else(|_| images.open(&name, name.clone()))
            .ok()
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.pid
    }

    /// Its executable, if it could be read.
    #[must_use]
    pub fn executable(&self) -> Option<&Arc<Image>> {
        self.loaded.first().map(|(_, _, image)| image)
    }

    /// What it has loaded.
    pub fn images(&self) -> impl Iterator<Item = &Arc<Image>> {
        self.loaded.iter().map(|(_, _, image)| image)
    }

    /// The image that `address` lies in, and what its file states for it.
    #[must_use]
    pub fn locate(&self, address: Address) -> Option<(&Arc<Image>, u64)> {
        let address = address.lookup();
        let (_, bias, image) = self
            .loaded
            .iter()
            .find(|(range, ..)| range.contains(&address))?;
        Some((image, address.wrapping_sub(*bias)))
    }

    /// The stack of a thread of it that sleeps. Nobody notices; takes some ten
    /// microseconds.
    ///
    /// # Errors
    ///
    /// [`CaptureError::Moved`] if it runs.
    pub fn stack_of(&mut self, thread: &Thread) -> Result<RawStack, CaptureError> {
        let place = thread.place();
        let (how, pc, sp) = match place {
            Place::Syscall(call) => (How::Syscall(call), call.pc, call.sp),
            Place::Fault { sp, pc } => (How::Fault, pc, sp),
            Place::Running => return Err(CaptureError::Moved),
            Place::Gone => return Err(CaptureError::Gone),
            Place::Unknown => return Err(CaptureError::Denied),
        };
        let copied = self.copy(thread.tid(), sp)?;
        if thread.place() != place {
            return Err(CaptureError::Moved);
        }
        let copy = copied.of(&self.buffer);
        let frames = self.unwinder.in_kernel(pc, sp, &copy);
        Ok(stack(frames, how))
    }

    /// The stack of a thread of it that was stopped with these registers.
    pub(super) fn stack_at(&mut self, tid: u32, at: Interrupted) -> Result<RawStack, CaptureError> {
        let copied = self.copy(tid, at.sp)?;
        let copy = copied.of(&self.buffer);
        let frames = self.unwinder.interrupted(at, &copy);
        Ok(stack(frames, How::Signal))
    }

    fn copy(&mut self, tid: u32, sp: u64) -> Result<Copied, CaptureError> {
        let known = self.stacks.get(&tid).filter(|range| range.contains(&sp));
        let range = match known {
            Some(range) => range.clone(),
            None => {
                let range = self.stack_around(sp).ok_or(CaptureError::ForeignStack)?;
                self.stacks.insert(tid, range.clone());
                range
            }
        };
        let live = live_part(&range, sp).ok_or(CaptureError::ForeignStack)?;
        let length = ((live.end - live.start) as usize).min(STACK_BYTES_MAX);
        self.buffer.resize(length.max(self.buffer.len()), 0);
        let read = self.memory.read(live.start, &mut self.buffer[..length]);
        match read {
            0 => Err(CaptureError::Denied),
            bytes => Ok(Copied {
                base: live.start,
                bytes,
                top: range.end,
            }),
        }
    }

    fn stack_around(&self, sp: u64) -> Option<Range<u64>> {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.pid)).ok()?;
        maps::parse(&maps)
            .find(|mapping| mapping.writable && mapping.range.contains(&sp))
            .map(|mapping| mapping.range)
    }

    /// Its threads' ids.
    ///
    /// # Errors
    ///
    /// If it is gone.
    pub fn threads(&self) -> io::Result<Vec<u32>> {
        let entries = fs::read_dir(format!("/proc/{}/task", self.pid))?;
        let tids = entries.flatten().filter_map(|entry| {
            let name = entry.file_name();
            name.to_str()?.parse().ok()
        });
        Ok(tids.collect())
    }
}

/// What the buffer holds.
struct Copied {
    base: u64,
    bytes: usize,
    top: u64,
}

impl Copied {
    fn of<'a>(&self, buffer: &'a [u8]) -> StackCopy<'a> {
        StackCopy {
            base: self.base,
            bytes: &buffer[..self.bytes],
            top: self.top,
        }
    }
}

fn stack(frames: Frames, how: How) -> RawStack {
    RawStack {
        addresses: frames.addresses,
        how,
        complete: frames.complete,
    }
}
