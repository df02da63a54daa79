//! Unwinds copied stacks with the tables of the loaded objects.

use super::arch::{self, Interrupted, Registers};
use super::loaded::Object;
use super::modules::Modules;
use super::scan;
use super::stack_copy::StackCopy;
use super::unwind_table::Bytes;
use crate::Address;
use framehop::{
    CacheNative, ExplicitModuleSectionInfo, FrameAddress, MayAllocateDuringUnwind, Module,
    Unwinder as _, UnwinderNative,
};
use std::fmt;

/// Deeper stacks are cut at their outer end: 2,048 × 16 bytes are 32 KiB each.
const FRAMES_MAX: usize = 2_048;

/// The frames of one stack.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Frames {
    /// Innermost first.
    pub(super) addresses: Vec<Address>,
    /// Whether they reach to where the thread began.
    pub(super) complete: bool,
}

/// An unwinder for everything that is loaded.
pub(super) struct Unwinder {
    modules: Modules,
    rules: UnwinderNative<Bytes, MayAllocateDuringUnwind>,
    cache: CacheNative<MayAllocateDuringUnwind>,
}

/// Why a walk over frames ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// A function that says of itself that nothing called it.
    Root,
    /// A return address or frame pointer of zero: the old way to say the same.
    Zero,
    /// A rule asked for a register that is not known, in this frame.
    RegisterWanted { address: u64, sp: u64 },
    /// The rest of the stack was not copied.
    CutOff,
    /// A rule led nowhere, or there are too many frames.
    Lost,
}

impl Unwinder {
    /// An unwinder for what is loaded now.
    pub(super) fn new() -> Self {
        Self::with(Modules::current())
    }

    /// An unwinder for these.
    pub(super) fn with(modules: Modules) -> Self {
        Self {
            rules: rules(&modules),
            modules,
            cache: CacheNative::new(),
        }
    }

    /// Takes in what was loaded since, and lets go of what was unloaded.
    pub(super) fn refresh(&mut self) {
        if self.modules.refresh() {
            self.rules = rules(&self.modules);
        }
    }

    /// The frames of an interrupted thread.
    pub(super) fn interrupted(&mut self, at: Interrupted, copy: &StackCopy<'_>) -> Frames {
        let registers = arch::whole(at, &self.modules);
        self.frames(at.pc, registers, copy)
    }

    /// The frames of a thread in the kernel.
    pub(super) fn in_kernel(&mut self, pc: u64, sp: u64, copy: &StackCopy<'_>) -> Frames {
        let registers = arch::without_frame(pc, sp, &self.modules);
        self.frames(pc, registers, copy)
    }

    fn frames(&mut self, pc: u64, registers: Registers, copy: &StackCopy<'_>) -> Frames {
        let first = FrameAddress::from_instruction_pointer(pc);
        let mut addresses = Vec::with_capacity(64);
        let end = self.walk(first, registers, copy, &mut addresses);
        let complete = match end {
            End::Root | End::Zero => true,
            End::RegisterWanted { address, sp } => self.guess(address, sp, copy, &mut addresses),
            End::CutOff | End::Lost => false,
        };
        Frames {
            addresses,
            complete,
        }
    }

    /// Goes on from the first likely caller that leads to the thread's start,
    /// or else to the end of what was copied; whether it was the former.
    fn guess(
        &mut self,
        address: u64,
        sp: u64,
        copy: &StackCopy<'_>,
        addresses: &mut Vec<Address>,
    ) -> bool {
        let known = addresses.len();
        let callers: Vec<_> = scan::callers(address, sp, copy, &self.modules).collect();
        for wanted in [End::Root, End::Zero, End::CutOff] {
            for caller in &callers {
                addresses.truncate(known);
                if self.walk(caller.frame, caller.registers, copy, addresses) == wanted {
                    return wanted != End::CutOff;
                }
            }
        }
        addresses.truncate(known);
        false
    }

    fn walk(
        &mut self,
        first: FrameAddress,
        mut registers: Registers,
        copy: &StackCopy<'_>,
        addresses: &mut Vec<Address>,
    ) -> End {
        let mut frame = first;
        while addresses.len() < FRAMES_MAX {
            addresses.push(address(frame));
            let sp = registers.sp();
            let (mut wanted, mut cut_off) = (false, false);
            let mut read = |address| {
                wanted |= arch::is_unknown(address);
                cut_off |= copy.is_cut_off(address);
                copy.word(address).ok_or(())
            };
            let caller = self
                .rules
                .unwind_frame(frame, &mut registers, &mut self.cache, &mut read);
            frame = match caller {
                Ok(None) => return self.end_at(frame),
                Ok(Some(caller)) if !arch::is_unknown(caller) => {
                    match FrameAddress::from_return_address(caller) {
                        Some(caller) => caller,
                        None => return End::Zero,
                    }
                }
                Err(_) if cut_off => return End::CutOff,
                Err(_) if !wanted => return End::Lost,
                _ => {
                    let address = frame.address_for_lookup();
                    return End::RegisterWanted { address, sp };
                }
            };
        }
        End::Lost
    }

    /// Tells the two kinds of end apart: only a rule that needs neither
    /// registers nor stack still says "the end" when there are none.
    fn end_at(&mut self, frame: FrameAddress) -> End {
        let mut nothing = arch::without_frame(0, 0, &self.modules);
        let mut read = |_| Err(());
        match self
            .rules
            .unwind_frame(frame, &mut nothing, &mut self.cache, &mut read)
        {
            Ok(None) => End::Root,
            _ => End::Zero,
        }
    }
}

impl fmt::Debug for Unwinder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unwinder")
            .field("modules", &self.modules)
            .finish_non_exhaustive()
    }
}

fn address(frame: FrameAddress) -> Address {
    match frame {
        FrameAddress::InstructionPointer(address) => Address::Exact(address),
        FrameAddress::ReturnAddress(address) => Address::Return(address.get()),
    }
}

fn rules(modules: &Modules) -> UnwinderNative<Bytes, MayAllocateDuringUnwind> {
    let mut rules = UnwinderNative::new();
    for object in modules.objects() {
        rules.add_module(module(object));
    }
    rules
}

/// Addresses are given as they are mapped, so that "as stated in the file" and
/// "as loaded" are the same.
fn module(object: &Object) -> Module<Bytes> {
    let unwind = object.unwind.as_ref();
    let sections = ExplicitModuleSectionInfo {
        base_svma: object.range.start,
        text_svma: object.code.first().cloned(),
        eh_frame_svma: unwind.map(|unwind| unwind.frames_range.clone()),
        eh_frame: unwind.map(|unwind| unwind.frames.clone()),
        eh_frame_hdr_svma: unwind.map(|unwind| unwind.index_range.clone()),
        eh_frame_hdr: unwind.map(|unwind| unwind.index.clone()),
        ..Default::default()
    };
    let name = object.path.to_string_lossy().into_owned();
    Module::new(name, object.range.clone(), object.range.start, sections)
}
