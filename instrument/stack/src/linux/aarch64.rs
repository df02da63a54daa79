//! What is particular to aarch64: registers, and what a call looks like.

use super::modules::Modules;
use super::stack_copy::StackCopy;
use super::{memory::Memory, scan::Resume};
use framehop::FrameAddress;
use framehop::aarch64::{PtrAuthMask, UnwindRegsAarch64};

/// The registers that unwinding needs.
pub(super) type Registers = UnwindRegsAarch64;

/// Stands for a frame pointer that is not known. No program can use such an
/// address, so a read near it tells that the register was wanted.
const UNKNOWN: u64 = 0xfff0_dead_0000_0000;
/// Rules reach at most this far from the frame pointer.
const UNKNOWN_REACH: u64 = 1 << 24;
/// Stands for a link register that is not known: in the page at zero, where no
/// code can be, and unchanged by the removal of authentication bits.
const UNKNOWN_LINK: u64 = 0xdec;

/// The registers of a thread in the kernel, which shows neither the frame
/// pointer nor the link register.
pub(super) fn without_frame(_: u64, sp: u64, modules: &Modules) -> Registers {
    Registers::new_with_ptr_auth_mask(mask(modules), UNKNOWN_LINK, sp, UNKNOWN)
}

/// The registers of an interrupted thread.
pub(super) fn whole(interrupted: Interrupted, modules: &Modules) -> Registers {
    let Interrupted { sp, fp, link, .. } = interrupted;
    Registers::new_with_ptr_auth_mask(mask(modules), link, sp, fp)
}

/// What the signal handler takes out of an interrupted thread.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Interrupted {
    pub(super) pc: u64,
    pub(super) sp: u64,
    pub(super) fp: u64,
    pub(super) link: u64,
}

impl Interrupted {
    /// Those of a thread that was stopped from outside.
    #[cfg(feature = "outside")]
    pub(super) fn from_user(registers: &libc::user_regs_struct) -> Interrupted {
        Interrupted {
            pc: registers.pc,
            sp: registers.sp,
            fp: registers.regs[29],
            link: registers.regs[30],
        }
    }

    /// The system call that such a thread was in: not told by these registers.
    #[cfg(feature = "outside")]
    pub(super) fn call(_: &libc::user_regs_struct) -> Option<i64> {
        None
    }

    /// Async-signal-safe.
    pub(super) fn new(context: &libc::ucontext_t) -> Interrupted {
        let registers = &context.uc_mcontext;
        Interrupted {
            pc: registers.pc,
            sp: registers.sp,
            fp: registers.regs[29],
            link: registers.regs[30],
        }
    }
}

/// Whether an address, read or returned to, stands for a register that is not
/// known.
pub(super) fn is_unknown(address: u64) -> bool {
    address == UNKNOWN_LINK || address.abs_diff(UNKNOWN) < UNKNOWN_REACH
}

/// Where the function that begins at `function` keeps its return address: not
/// read from its code here.
pub(super) fn return_slot(_function: u64, _sp: u64, _: Memory) -> Option<u64> {
    None
}

/// What a frame could resume with if the word at `slot` is a saved link
/// register, and whether the call before it certainly leads to `function`.
/// `None` if it is not.
///
/// Frame records are pairs of the caller's frame pointer and the link
/// register. A function that has not saved its own leaves no trace, so the
/// record found may be its caller's, and that one frame is then missing.
pub(super) fn resume(
    slot: u64,
    word: u64,
    function: Option<u64>,
    copy: &StackCopy<'_>,
    modules: &Modules,
) -> Option<(Resume, bool)> {
    let mask = mask(modules);
    let return_address = mask.strip_ptr_auth(word);
    let target = call_before(return_address, modules.memory())?;
    let fp = copy.word(slot - 8)?;
    if fp <= slot {
        return None;
    }
    let resume = Resume {
        frame: FrameAddress::from_return_address(return_address)?,
        registers: Registers::new_with_ptr_auth_mask(mask, return_address, slot + 8, fp),
    };
    let start = target.and_then(|target| modules.function_start(target));
    Some((resume, start.is_some() && start == function))
}

/// The target of the `bl` in front of a return address, `Some(None)` for a
/// `blr`, whose target is in a register.
fn call_before(return_address: u64, memory: Memory) -> Option<Option<u64>> {
    let call = return_address.checked_sub(4)?;
    let mut bytes = [0; 4];
    if call % 4 != 0 || memory.read(call, &mut bytes) < bytes.len() {
        return None;
    }
    let instruction = u32::from_le_bytes(bytes);
    if instruction >> 26 == 0b10_0101 {
        let words = i64::from((instruction << 6).cast_signed() >> 6);
        return Some(Some(call.wrapping_add_signed(words * 4)));
    }
    // `blr` and its authenticating forms.
    let is_indirect =
        instruction & 0xffff_fc1f == 0xd63f_0000 || instruction & 0xfeff_f800 == 0xd63f_0800;
    is_indirect.then_some(None)
}

fn mask(modules: &Modules) -> PtrAuthMask {
    let highest = modules
        .objects()
        .iter()
        .map(|object| object.range.end)
        .max();
    PtrAuthMask::from_max_known_address(highest.unwrap_or(u64::MAX))
}
