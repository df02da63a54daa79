//! What a build has kept of its debug information.

/// What the main executable can tell about itself, and so how good its stacks
/// can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DebugInfo {
    /// Files and lines, and inlined functions. With `line-tables-only` an
    /// inlined function is named without its path (`{async_fn#0}`); with
    /// `limited`, for a few percent more disk space, it has it
    /// (`app::session::load::{{closure}}`).
    LineTables,
    /// The names of functions, without lines; what was inlined is missing, and
    /// in a release build that is most of the async code. Setting
    /// `debug = "limited"` in the profile brings it back.
    SymbolsOnly,
    /// Nothing: stacks are objects and offsets.
    Stripped,
}

/// What the main executable can tell about itself. It reads the head of its
/// file, once; to be called at start-up, not on the poll path.
#[must_use]
pub fn has_debuginfo() -> DebugInfo {
    crate::platform::debug_info()
}
