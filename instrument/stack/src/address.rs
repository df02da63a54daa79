//! A code address in this process, with what kind of address it is.

/// Where a frame was: an instruction that has not run yet, or the place a call
/// will return to. The two must not be mixed up: a return address may already
/// belong to the next line, or even to the next function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// The exact program counter, as in the innermost frame.
    Exact(u64),
    /// The address after a call instruction, as in every other frame.
    Return(u64),
}

impl Address {
    /// The bare number.
    #[must_use]
    pub fn raw(self) -> u64 {
        match self {
            Self::Exact(address) | Self::Return(address) => address,
        }
    }

    /// An address inside the instruction that is being executed: the one to
    /// look things up with.
    #[must_use]
    pub fn lookup(self) -> u64 {
        match self {
            Self::Exact(address) => address,
            Self::Return(address) => address.saturating_sub(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn a_return_address_is_looked_up_inside_its_call() {
        assert_eq!(Address::Return(0x1000).lookup(), 0xfff);
        assert_eq!(Address::Exact(0x1000).lookup(), 0x1000);
        assert_eq!(Address::Return(0x1000).raw(), 0x1000);
        assert_eq!(Address::Return(0).lookup(), 0);
    }
}
