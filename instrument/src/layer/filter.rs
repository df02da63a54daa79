//! Which of tokio's spans and events are looked at.
//!
//! Everything else, the program's own included, is told never to reach the layer, so
//! that it costs nothing and no other layer sees more than before. Each decision is
//! made once for a place in tokio's source, and then remembered by `tracing`.

use tracing::{Metadata, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::layer::{Context, Filter};

pub(super) const SPAWN: &str = "runtime.spawn";
pub(super) const RESOURCE: &str = "runtime.resource";
pub(super) const ASYNC_OP: &str = "runtime.resource.async_op";
pub(super) const POLL_OP: &str = "runtime::resource::poll_op";
pub(super) const STATE: &str = "runtime::resource::state_update";
pub(super) const WAKER: &str = "tokio::task::waker";

/// Lets pass what the layer understands.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnlyTokio {
    /// While asyncwatch is off nothing passes.
    pub(super) on: bool,
}

impl OnlyTokio {
    fn wants(self, metadata: &Metadata<'_>) -> bool {
        self.on && is_wanted(metadata)
    }
}

impl<S> Filter<S> for OnlyTokio {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.wants(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(if self.on {
            LevelFilter::TRACE
        } else {
            LevelFilter::OFF
        })
    }
}

fn is_wanted(metadata: &Metadata<'_>) -> bool {
    let module = metadata.module_path().unwrap_or_default();
    if metadata.is_span() {
        return match metadata.name() {
            // Not `tokio::task::blocking`: closures are not polled.
            SPAWN => metadata.target() == "tokio::task",
            RESOURCE => is_lock(module) || module == "tokio::time::interval",
            // Not the semaphores that tokio builds its locks and channels on.
            ASYNC_OP => module == "tokio::util::trace",
            _ => false,
        };
    }
    match metadata.target() {
        POLL_OP => module == "tokio::util::trace",
        STATE => is_lock(module),
        WAKER => true,
        _ => false,
    }
}

fn is_lock(module: &str) -> bool {
    module == "tokio::sync::mutex" || module.starts_with("tokio::sync::rwlock")
}
