//! Guesses where a function was called from, for when unwinding needs a
//! register that the kernel does not show.
//!
//! It only proposes; whoever asks unwinds on from each proposal and keeps the
//! first that arrives where the thread began.

use super::arch::{self, Registers};
use super::modules::Modules;
use super::stack_copy::StackCopy;
use framehop::FrameAddress;

/// How many proposals of each kind are worth unwinding.
const PROPOSALS_MAX: usize = 32;

/// A frame to go on from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resume {
    /// Where the caller goes on.
    pub(super) frame: FrameAddress,
    /// Its registers.
    pub(super) registers: Registers,
}

/// The possible callers of the function at `address` whose frame begins at
/// `sp`, the likeliest first: the one where its code says that it keeps its
/// return address, then those whose call certainly leads to it, then those
/// whose call might; nearer ones first.
pub(super) fn callers(
    address: u64,
    sp: u64,
    copy: &StackCopy<'_>,
    modules: &Modules,
) -> impl Iterator<Item = Resume> {
    let function = modules.function_start(address);
    let told = function.and_then(|function| arch::return_slot(function, sp, modules.memory()));
    let told = told.and_then(|slot| {
        let word = copy.word(slot).filter(|word| modules.is_code(*word))?;
        let (resume, _) = arch::resume(slot, word, function, copy, modules)?;
        Some(resume)
    });
    let (mut certain, mut possible) = (Vec::new(), Vec::new());
    for (slot, word) in copy.words_from(sp) {
        if certain.len() == PROPOSALS_MAX {
            break;
        }
        if !modules.is_code(word) {
            continue;
        }
        match arch::resume(slot, word, function, copy, modules) {
            Some((resume, true)) => certain.push(resume),
            Some((resume, false)) if possible.len() < PROPOSALS_MAX => possible.push(resume),
            _ => {}
        }
    }
    told.into_iter().chain(certain).chain(possible)
}
