//! A copy of a stack, read at its original addresses.

use std::ops::Range;

/// The ABI lets leaf functions use this much below the stack pointer.
pub(super) const RED_ZONE_BYTES: u64 = 128;

/// Deeper stacks are cut at their outer end. Enough for a few thousand frames;
/// an unoptimised async program uses some tens of KiB.
pub(super) const STACK_BYTES_MAX: usize = 512 << 10;

/// The part of a stack worth copying for a thread whose stack pointer is `sp`;
/// `None` if that is not on this stack.
pub(super) fn live_part(stack: &Range<u64>, sp: u64) -> Option<Range<u64>> {
    if !stack.contains(&sp) {
        return None;
    }
    let start = sp.saturating_sub(RED_ZONE_BYTES).max(stack.start);
    let end = stack.end.min(start + STACK_BYTES_MAX as u64);
    Some(start..end)
}

/// Bytes that were at `base` and above.
#[derive(Clone, Copy, Debug)]
pub(super) struct StackCopy<'a> {
    /// Where the first byte was.
    pub(super) base: u64,
    /// The bytes.
    pub(super) bytes: &'a [u8],
    /// Where the stack itself ends.
    pub(super) top: u64,
}

impl StackCopy<'_> {
    /// The word that was at `address`.
    pub(super) fn word(&self, address: u64) -> Option<u64> {
        let offset = usize::try_from(address.checked_sub(self.base)?).ok()?;
        let word = self.bytes.get(offset..)?.first_chunk::<8>()?;
        Some(u64::from_ne_bytes(*word))
    }

    /// Whether `address` was on the stack, but beyond what was copied of it.
    pub(super) fn is_cut_off(&self, address: u64) -> bool {
        (self.base + self.bytes.len() as u64..self.top).contains(&address)
    }

    /// Every aligned word from `address` up, with where it was.
    pub(super) fn words_from(&self, address: u64) -> impl Iterator<Item = (u64, u64)> {
        let first = address.max(self.base).next_multiple_of(8);
        (first..)
            .step_by(8)
            .map_while(|slot| Some((slot, self.word(slot)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::{RED_ZONE_BYTES, STACK_BYTES_MAX, StackCopy, live_part};

    #[test]
    fn a_shallow_stack_is_copied_whole_with_its_red_zone() {
        let part = live_part(&(0x1000..0x9000), 0x8000);
        assert_eq!(part, Some(0x8000 - RED_ZONE_BYTES..0x9000));
    }

    #[test]
    fn the_red_zone_ends_where_the_stack_does() {
        assert_eq!(live_part(&(0x1000..0x9000), 0x1010), Some(0x1000..0x9000));
    }

    #[test]
    fn a_deep_stack_is_cut_at_the_outer_end() {
        let part = live_part(&(0..u64::MAX), 0x8000).expect("on the stack");
        assert_eq!(part.end - part.start, STACK_BYTES_MAX as u64);
    }

    #[test]
    fn another_stack_is_refused() {
        assert_eq!(live_part(&(0x1000..0x9000), 0x9000), None);
        assert_eq!(live_part(&(0..0), 0), None);
    }

    #[test]
    fn words_are_read_where_they_were() {
        let bytes: Vec<u8> = [1_u64, 2, 3]
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect();
        let copy = StackCopy {
            base: 0x1000,
            bytes: &bytes,
            top: 0x1020,
        };
        assert!(copy.is_cut_off(0x1018) && !copy.is_cut_off(0x1010));
        assert!(!copy.is_cut_off(0x1020));
        assert_eq!(copy.word(0x1008), Some(2));
        assert_eq!(copy.word(0x1011), None);
        assert_eq!(copy.word(0xff8), None);
        let above: Vec<_> = copy.words_from(0x1001).collect();
        assert_eq!(above, [(0x1008, 2), (0x1010, 3)]);
    }
}
