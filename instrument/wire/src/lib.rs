//! The wire protocol of asyncwatch, `asyncwatch.v1` over gRPC.
//!
//! Generated from `proto/asyncwatch.proto`, which documents every message; the
//! code is committed, and a test proves it fresh. Only the server in the
//! instrument crate and the client in the dashboard name these types.

/// Messages and services of `asyncwatch.v1`.
#[expect(
    missing_docs,
    reason = "generated code; the proto file is the documentation"
)]
#[cfg_attr(
    any(feature = "server", feature = "client"),
    expect(
        clippy::allow_attributes_without_reason,
        clippy::allow_attributes,
        reason = "generated code brings its own allows"
    )
)]
pub mod v1 {
    include!("generated/asyncwatch.v1.rs");
}

/// How large a message is on the wire: `encoded_len`.
pub use prost::Message;

/// The encoded `FileDescriptorSet` of the protocol, for gRPC reflection.
pub const DESCRIPTOR: &[u8] = include_bytes!("generated/descriptor.bin");

/// Default address of an instrumented program's server.
pub const DEFAULT_ADDR: &str = "127.0.0.1:6670";

/// Bounds of [`v1::PollHistogram`]: powers of two from 256 ns to 2^31 ns (2.1 s).
///
/// `HISTOGRAM_BOUNDS_NS[i]` is the exclusive upper bound of bucket `i`; one more
/// bucket takes everything above.
pub const HISTOGRAM_BOUNDS_NS: [u64; 24] = {
    let mut bounds = [0; 24];
    let mut i = 0;
    while i < bounds.len() {
        bounds[i] = 1 << (8 + i);
        i += 1;
    }
    bounds
};
