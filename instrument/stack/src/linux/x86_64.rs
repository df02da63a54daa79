//! What is particular to x86_64: registers, and what a call looks like.

use super::modules::Modules;
use super::stack_copy::StackCopy;
use super::{memory::Memory, scan::Resume};
use framehop::FrameAddress;
use framehop::x86_64::UnwindRegsX86_64;

/// The registers that unwinding needs.
pub(super) type Registers = UnwindRegsX86_64;

/// Stands for a register that is not known. No program can use such an
/// address, so a read near it tells that the register was wanted.
const UNKNOWN: u64 = 0xfff0_dead_0000_0000;
/// Rules reach at most this far from the frame pointer.
const UNKNOWN_REACH: u64 = 1 << 24;

/// The longest call instruction: opcode, two bytes of operand form, and a
/// displacement of four bytes.
const CALL_BYTES_MAX: usize = 7;

/// The registers of a thread in the kernel, which shows no frame pointer.
pub(super) fn without_frame(pc: u64, sp: u64, _: &Modules) -> Registers {
    Registers::new(pc, sp, UNKNOWN)
}

/// The registers of an interrupted thread.
pub(super) fn whole(interrupted: Interrupted, _: &Modules) -> Registers {
    Registers::new(interrupted.pc, interrupted.sp, interrupted.fp)
}

/// What the signal handler takes out of an interrupted thread.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Interrupted {
    pub(super) pc: u64,
    pub(super) sp: u64,
    pub(super) fp: u64,
}

impl Interrupted {
    /// Those of a thread that was stopped from outside.
    #[cfg(feature = "outside")]
    pub(super) fn from_user(registers: &libc::user_regs_struct) -> Interrupted {
        Interrupted {
            pc: registers.rip,
            sp: registers.rsp,
            fp: registers.rbp,
        }
    }

    /// The system call that such a thread was in, if it was in one.
    #[cfg(feature = "outside")]
    pub(super) fn call(registers: &libc::user_regs_struct) -> Option<i64> {
        let number = registers.orig_rax.cast_signed();
        (number >= 0).then_some(number)
    }

    /// Async-signal-safe.
    pub(super) fn new(context: &libc::ucontext_t) -> Interrupted {
        let register =
            |index: libc::c_int| context.uc_mcontext.gregs[index as usize].cast_unsigned();
        Interrupted {
            pc: register(libc::REG_RIP),
            sp: register(libc::REG_RSP),
            fp: register(libc::REG_RBP),
        }
    }
}

/// Whether a read of `address` was meant for a register that is not known.
pub(super) fn is_unknown(address: u64) -> bool {
    address.abs_diff(UNKNOWN) < UNKNOWN_REACH
}

/// Where the function that begins at `function` keeps its return address, if
/// its code tells how large its frame is and `sp` is where that begins.
pub(super) fn return_slot(function: u64, sp: u64, memory: Memory) -> Option<u64> {
    let mut code = [0; PROLOGUE_BYTES];
    let read = memory.read(function, &mut code);
    Some(sp + frame_bytes(&code[..read])?)
}

/// Enough for a landing pad, six pushes, and both forms of the rest.
const PROLOGUE_BYTES: usize = 40;

/// The bytes between the stack pointer and the return address after the usual
/// beginning of a function that keeps a frame pointer: it pushes that and other
/// registers, and makes room. `None` if the code begins in another way.
fn frame_bytes(code: &[u8]) -> Option<u64> {
    let code = code.strip_prefix(&[0xf3, 0x0f, 0x1e, 0xfa]).unwrap_or(code);
    // push %rbp; mov %rsp,%rbp
    let mut code = code.strip_prefix(&[0x55, 0x48, 0x89, 0xe5])?;
    let mut words = 1;
    loop {
        code = match code {
            [0x50..=0x57, rest @ ..] | [0x41, 0x50..=0x57, rest @ ..] => rest,
            _ => break,
        };
        words += 1;
    }
    // sub $room,%rsp; 128 fits into one byte only as add $-128,%rsp
    let (room, rest) = match code {
        [0x48, 0x83, 0xec, room @ 0..0x80, rest @ ..] => (u64::from(*room), rest),
        [0x48, 0x83, 0xc4, 0x80, rest @ ..] => (0x80, rest),
        [0x48, 0x81, 0xec, a, b, c, d, rest @ ..] => {
            (u64::from(u32::from_le_bytes([*a, *b, *c, *d])), rest)
        }
        _ => return None,
    };
    // movq $0,(%rsp): it touches its stack page by page and goes on from there.
    let touches = rest.starts_with(&[0x48, 0xc7, 0x04, 0x24]);
    (!touches).then_some(room + words * 8)
}

/// What a frame could resume with if the word at `slot` is the return address
/// of the function that begins at `function`, and whether the call before it
/// certainly leads there. `None` if the word is no return address.
///
/// Functions that need the frame pointer keep the caller's right below their
/// return address.
pub(super) fn resume(
    slot: u64,
    word: u64,
    function: Option<u64>,
    copy: &StackCopy<'_>,
    modules: &Modules,
) -> Option<(Resume, bool)> {
    let certain = calls_before(word, modules.memory()).find_map(|call| match call {
        Call::To(target) => leads_to(target, function?, modules),
        Call::Somewhere => Some(false),
    })?;
    let fp = copy.word(slot - 8)?;
    let resume = Resume {
        frame: FrameAddress::from_return_address(word)?,
        registers: Registers::new(word, slot + 8, fp),
    };
    Some((resume, certain))
}

/// `Some(true)` if a call of `target` arrives at `function`; `Some(false)` if
/// `target` may go on to it by a jump; `None` if it cannot be it.
fn leads_to(target: u64, function: u64, modules: &Modules) -> Option<bool> {
    let target = through_stub(target, modules.memory()).unwrap_or(target);
    if target == function || modules.function_start(target) == Some(function) {
        return Some(true);
    }
    modules.is_code(target).then_some(false)
}

/// The instruction in front of a return address.
#[derive(Debug, PartialEq, Eq)]
enum Call {
    To(u64),
    Somewhere,
}

/// What the bytes in front of a return address can be read as: what looks like
/// a direct call may be the end of an indirect one.
fn calls_before(return_address: u64, memory: Memory) -> impl Iterator<Item = Call> {
    let mut bytes = [0; CALL_BYTES_MAX];
    let start = return_address.wrapping_sub(CALL_BYTES_MAX as u64);
    let whole = memory.read(start, &mut bytes) == bytes.len();
    let calls = whole.then(|| calls_at_end(&bytes, return_address, memory));
    calls.into_iter().flatten().flatten()
}

fn calls_at_end(bytes: &[u8; CALL_BYTES_MAX], end: u64, memory: Memory) -> [Option<Call>; 2] {
    let told = match *bytes {
        [_, _, 0xe8, a, b, c, d] => Some(Call::To(relative(end, [a, b, c, d]))),
        [_, 0xff, 0x15, a, b, c, d] => memory.read_u64(relative(end, [a, b, c, d])).map(Call::To),
        _ => None,
    };
    [told, is_indirect_call(bytes).then_some(Call::Somewhere)]
}

/// `call` through a register or memory: `ff`, then an operand whose middle
/// bits are 2 and whose form tells how long it is.
fn is_indirect_call(bytes: &[u8; CALL_BYTES_MAX]) -> bool {
    (2..=CALL_BYTES_MAX).any(|length| {
        let call = &bytes[CALL_BYTES_MAX - length..];
        call[0] == 0xff && call[1] >> 3 & 7 == 2 && operand_bytes(call[1]) == length - 1
    })
}

/// How many bytes an operand takes, its form included.
fn operand_bytes(form: u8) -> usize {
    let (mode, register) = (form >> 6, form & 7);
    let scaled = usize::from(mode != 3 && register == 4);
    let displacement = match (mode, register) {
        (0, 5) | (2, _) => 4,
        (1, _) => 1,
        _ => 0,
    };
    1 + scaled + displacement
}

/// Where a linkage stub jumps to: `jmp *slot(%rip)`, perhaps behind a landing
/// pad and with a prefix.
fn through_stub(target: u64, memory: Memory) -> Option<u64> {
    let mut bytes = [0; 11];
    let read = memory.read(target, &mut bytes);
    let code = &bytes[..read];
    let code = code.strip_prefix(&[0xf3, 0x0f, 0x1e, 0xfa]).unwrap_or(code);
    let code = code.strip_prefix(&[0xf2]).unwrap_or(code);
    let displacement = code.strip_prefix(&[0xff, 0x25])?.first_chunk::<4>()?;
    let end = target + (read - code.len() + 6) as u64;
    memory.read_u64(relative(end, *displacement))
}

fn relative(end: u64, displacement: [u8; 4]) -> u64 {
    end.wrapping_add_signed(i64::from(i32::from_le_bytes(displacement)))
}

#[cfg(test)]
mod tests {
    use super::Memory;
    use super::{Call, calls_at_end, frame_bytes, is_unknown, through_stub, without_frame};
    use crate::Modules;

    const END: u64 = 0x40_0000;

    #[test]
    fn a_direct_call_tells_its_target() {
        let call = [0x90, 0x90, 0xe8, 0xfb, 0xff, 0xff, 0xff];
        assert_eq!(
            calls_at_end(&call, END, Memory::Own)[0],
            Some(Call::To(END - 5))
        );
    }

    #[test]
    fn what_only_looks_like_a_direct_call_may_be_an_indirect_one() {
        // mov 0x18e8ea(%rip),%rax; call *%rax
        let calls = [0x05, 0xea, 0xe8, 0x18, 0, 0xff, 0xd0];
        let [direct, indirect] = calls_at_end(&calls, END, Memory::Own);
        assert!(matches!(direct, Some(Call::To(_))));
        assert_eq!(indirect, Some(Call::Somewhere));
    }

    #[test]
    fn a_call_through_memory_is_followed() {
        let pointer = 0x1234_u64;
        let end = &raw const pointer as u64 - 0x10;
        let call = [0x90, 0xff, 0x15, 0x10, 0, 0, 0];
        assert_eq!(
            calls_at_end(&call, end, Memory::Own)[0],
            Some(Call::To(0x1234))
        );
    }

    #[test]
    fn a_stub_is_seen_through() {
        let target = 0x5678_u64;
        let mut stub = vec![0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0x25, 0x06, 0, 0, 0, 0, 0];
        stub.extend([0; 4]);
        stub.extend(target.to_le_bytes());
        let start = stub.as_ptr() as u64;
        assert_eq!(through_stub(start, Memory::Own), Some(target));
        assert_eq!(through_stub(start + 1, Memory::Own), None);
    }

    #[test]
    fn the_beginning_of_a_function_tells_where_it_returns_to() {
        // push %rbp; mov %rsp,%rbp; push %r15; push %rbx; sub $0x20,%rsp
        let small = [
            0x55, 0x48, 0x89, 0xe5, 0x41, 0x57, 0x53, 0x48, 0x83, 0xec, 0x20,
        ];
        assert_eq!(frame_bytes(&small), Some(0x20 + 3 * 8));
        // endbr64; push %rbp; mov %rsp,%rbp; sub $0x118,%rsp
        let large = [
            0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0x48, 0x89, 0xe5, 0x48, 0x81, 0xec, 0x18, 1, 0, 0,
        ];
        assert_eq!(frame_bytes(&large), Some(0x118 + 8));
    }

    #[test]
    fn other_beginnings_tell_nothing() {
        // sub $0x28,%rsp: no frame pointer
        assert_eq!(frame_bytes(&[0x48, 0x83, 0xec, 0x28]), None);
        // and $-64,%rsp in between
        let aligned = [
            0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xe4, 0xc0, 0x48, 0x83, 0xec, 0x40,
        ];
        assert_eq!(frame_bytes(&aligned), None);
        // sub $0x1000,%rsp; movq $0,(%rsp): page by page
        let paged = [
            0x55, 0x48, 0x89, 0xe5, 0x48, 0x81, 0xec, 0, 0x10, 0, 0, 0x48, 0xc7, 0x04, 0x24, 0,
        ];
        assert_eq!(frame_bytes(&paged), None);
    }

    #[test]
    fn calls_through_registers_are_calls_to_somewhere() {
        for call in [
            [0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xd0],
            [0x90, 0x90, 0x90, 0x90, 0x41, 0xff, 0xd4],
            [0x90, 0x90, 0x90, 0x90, 0xff, 0x50, 0x18],
            [0x90, 0x90, 0x90, 0xff, 0x54, 0x24, 0x08],
            [0x90, 0xff, 0x90, 0, 1, 0, 0],
            [0xff, 0x94, 0xc8, 0, 1, 0, 0],
        ] {
            assert_eq!(
                calls_at_end(&call, END, Memory::Own)[1],
                Some(Call::Somewhere),
                "{call:x?}"
            );
        }
    }

    #[test]
    fn other_instructions_are_not_calls() {
        for other in [
            [0x90; 7],
            // jmp *%rax
            [0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xe0],
            // jmp rel32
            [0x90, 0x90, 0xe9, 0, 0, 0, 0],
        ] {
            assert_eq!(
                calls_at_end(&other, END, Memory::Own),
                [None, None],
                "{other:x?}"
            );
        }
    }

    #[test]
    fn an_unknown_register_is_recognised_wherever_a_rule_reaches() {
        let registers = without_frame(1, 2, &Modules::current());
        assert!(is_unknown(registers.bp()));
        assert!(is_unknown(registers.bp() - 0x100));
        assert!(is_unknown(registers.bp() + 8));
        assert!(!is_unknown(0x7fff_ffff_f000));
    }
}
