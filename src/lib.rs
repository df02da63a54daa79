//! asyncio's debug mode for tokio: slow polls caught **while they block**, with the
//! stack of the culprit; futures that nobody awaits; live numbers of every task.
//!
//! ```toml
//! [dependencies]
//! asyncwatch = "0.1"
//!
//! [features]
//! asyncwatch = ["asyncwatch/enabled"]
//! ```
//!
//! ```
//! #[asyncwatch::main]
//! async fn main() {
//!     tokio::spawn(async { /* … */ });
//! }
//! ```
//!
//! # Features
//!
//! | feature | what it brings |
//! |---|---|
//! | none | every name below as a pass-through that costs nothing and pulls in nothing but the macros |
//! | `enabled` | everything |
//! | `watch` | watching and findings, without the gRPC server for the dashboard |
//! | `layer` | `layer()` for your `tracing` subscriber: `LocalSet` tasks, `block_on` roots, runtimes that were not built watched, queues for async locks; needs tokio's feature `tracing` |
//! | `schedule-latency` | scheduled time of every task, not only of wrapped ones, for two more clock readings per poll |
//!
//! # What is seen
//!
//! With `RUSTFLAGS="--cfg tokio_unstable"`, every task spawned on a runtime made by
//! [`main`], [`test`] or a [`RuntimeBuilderExt::watched`] builder, dependencies'
//! tasks included. Without it, what is wrapped: the root future of [`main`] and
//! [`test`], [`spawn`], [`spawn_local`] and [`WatchExt::watched`]. What is not seen
//! is said when the program starts, in the dashboard and in every report.
//!
//! # Environment
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `ASYNCWATCH` | `0` switches everything off | `1` |
//! | `ASYNCWATCH_MAX_POLL` | a poll this long is slow | `100ms` |
//! | `ASYNCWATCH_TIMING` | `exact` or `light` | `exact` |
//! | `ASYNCWATCH_ADDR` | where the dashboard connects; `off` for no server | `127.0.0.1:6670` |
//! | `ASYNCWATCH_LEVELS` | `code=allow\|warn\|deny`, separated by commas | every code `warn` |
//! | `ASYNCWATCH_REPORT` | directory for the report stream; set by `asyncwatch check` | none |
//!
//! A wrong value is warned of, and the default used.

// The macros name this crate from outside; its own tests use them from inside.
#[cfg(test)]
extern crate self as asyncwatch;

pub use asyncwatch_macros::{allow_blocking, main, test, watch};

#[cfg(feature = "watch")]
pub use asyncwatch_instrument::{
    Builder, Code, DEFAULT_ADDR, DEFAULT_MAX_POLL, FINISH_WAIT, Finding, Hooks, Level,
    RuntimeBuilderExt, Timing, WatchExt, allow_blocking, builder, finish, forbid_blocking, install,
    spawn, spawn_local,
};

#[cfg(all(feature = "watch", feature = "layer"))]
pub use asyncwatch_instrument::layer;

#[cfg(all(not(feature = "watch"), feature = "layer"))]
pub use off::layer;

#[cfg(not(feature = "watch"))]
mod off;
#[cfg(not(feature = "watch"))]
pub use off::{
    Builder, Code, DEFAULT_ADDR, DEFAULT_MAX_POLL, FINISH_WAIT, Finding, Hooks, Level,
    RuntimeBuilderExt, Timing, WatchExt, allow_blocking, builder, finish, forbid_blocking, install,
    spawn, spawn_local,
};

/// What the macros expand to; not for use by hand, and not stable.
#[doc(hidden)]
pub mod __private {
    pub use tokio;

    #[cfg(feature = "watch")]
    pub use asyncwatch_instrument::{
        AllowBlocking, Allowed, Code, OfFn, Rules, SkipRange, WatchedFn, may_skip, root, run_test,
        running,
    };

    #[cfg(not(feature = "watch"))]
    pub use crate::off::{Code, Rules, root, run_test, running};

    /// The return type of a function type: a way to write `!`.
    pub trait Returns {
        /// What the function returns.
        type Output;
    }

    impl<R> Returns for fn() -> R {
        type Output = R;
    }

    /// Starts asyncwatch and makes the builder of `main` watched.
    pub fn watch_main_builder(builder: &mut tokio::runtime::Builder) {
        use crate::RuntimeBuilderExt as _;
        builder.watched();
    }

    /// Starts asyncwatch and makes the builder of a test watched.
    pub fn watch_test_builder(builder: &mut tokio::runtime::Builder) {
        use crate::RuntimeBuilderExt as _;
        builder.watched();
    }

    /// Hands on the last findings when it is dropped.
    #[derive(Debug)]
    pub struct Finish;

    impl Drop for Finish {
        fn drop(&mut self) {
            crate::finish();
        }
    }
}
