//! The facade while asyncwatch is not enabled: the same names, doing what plain
//! tokio does.

use std::{future::Future, net::SocketAddr, path::PathBuf, time::Duration};

use tokio::task::JoinHandle;

/// Does nothing: asyncwatch is not enabled.
#[inline(always)]
pub fn install() {}

/// Does nothing: asyncwatch is not enabled.
#[inline(always)]
pub fn finish() {}

/// [`tokio::spawn`].
#[track_caller]
#[inline(always)]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future)
}

/// [`tokio::task::spawn_local`].
#[track_caller]
#[inline(always)]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    tokio::task::spawn_local(future)
}

/// Runs `f`: asyncwatch is not enabled.
#[inline(always)]
pub fn allow_blocking<R>(_reason: &'static str, f: impl FnOnce() -> R) -> R {
    f()
}

/// The root future as it is.
#[doc(hidden)]
#[inline(always)]
pub fn root<F: Future>(future: F, _name: &str) -> F {
    future
}

/// Futures as they are.
pub trait WatchExt: Future + Sized {
    /// The future itself: asyncwatch is not enabled.
    #[inline(always)]
    fn watched(self) -> Self {
        self
    }

    /// The future itself: asyncwatch is not enabled.
    #[inline(always)]
    fn watched_as(self, _name: &str) -> Self {
        self
    }
}

impl<F: Future> WatchExt for F {}

/// Your own runtime hooks, set as they are.
#[derive(Default)]
pub struct Hooks(Vec<SetHook>);

type SetHook = Box<dyn FnOnce(&mut tokio::runtime::Builder)>;

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooks").finish_non_exhaustive()
    }
}

impl Hooks {
    /// No hooks of your own.
    pub fn new() -> Hooks {
        Hooks::default()
    }

    fn set(mut self, hook: impl FnOnce(&mut tokio::runtime::Builder) + 'static) -> Hooks {
        self.0.push(Box::new(hook));
        self
    }

    /// Your `on_thread_park`.
    #[must_use]
    pub fn on_thread_park(self, f: impl Fn() + Send + Sync + 'static) -> Hooks {
        self.set(|builder| {
            builder.on_thread_park(f);
        })
    }
}

#[cfg(tokio_unstable)]
impl Hooks {
    /// Your `on_task_spawn`.
    #[must_use]
    pub fn on_task_spawn(
        self,
        f: impl Fn(&tokio::runtime::TaskMeta<'_>) + Send + Sync + 'static,
    ) -> Hooks {
        self.set(|builder| {
            builder.on_task_spawn(f);
        })
    }

    /// Your `on_before_task_poll`.
    #[must_use]
    pub fn on_before_task_poll(
        self,
        f: impl Fn(&tokio::runtime::TaskMeta<'_>) + Send + Sync + 'static,
    ) -> Hooks {
        self.set(|builder| {
            builder.on_before_task_poll(f);
        })
    }

    /// Your `on_after_task_poll`.
    #[must_use]
    pub fn on_after_task_poll(
        self,
        f: impl Fn(&tokio::runtime::TaskMeta<'_>) + Send + Sync + 'static,
    ) -> Hooks {
        self.set(|builder| {
            builder.on_after_task_poll(f);
        })
    }

    /// Your `on_task_terminate`.
    #[must_use]
    pub fn on_task_terminate(
        self,
        f: impl Fn(&tokio::runtime::TaskMeta<'_>) + Send + Sync + 'static,
    ) -> Hooks {
        self.set(|builder| {
            builder.on_task_terminate(f);
        })
    }
}

/// Runtimes as they are.
pub trait RuntimeBuilderExt {
    /// Changes nothing: asyncwatch is not enabled.
    fn watched(&mut self) -> &mut Self;

    /// Sets your hooks, and nothing else: asyncwatch is not enabled.
    fn watched_with(&mut self, hooks: Hooks) -> &mut Self;
}

impl RuntimeBuilderExt for tokio::runtime::Builder {
    fn watched(&mut self) -> &mut Self {
        self
    }

    fn watched_with(&mut self, hooks: Hooks) -> &mut Self {
        for set in hooks.0 {
            set(self);
        }
        self
    }
}

/// How polls would be timed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timing {
    /// One timestamp per poll.
    #[default]
    Exact,
    /// No clock on the poll path.
    Light,
}

/// Takes a configuration and does nothing with it: asyncwatch is not enabled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Builder(());

/// Takes a configuration and does nothing with it: asyncwatch is not enabled.
pub fn builder() -> Builder {
    Builder::default()
}

impl Builder {
    /// The defaults.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Has no effect.
    #[must_use]
    pub fn max_poll(self, _: Duration) -> Builder {
        self
    }

    /// Has no effect.
    #[must_use]
    pub fn timing(self, _: Timing) -> Builder {
        self
    }

    /// Has no effect.
    #[must_use]
    pub fn addr(self, _: SocketAddr) -> Builder {
        self
    }

    /// Has no effect.
    #[must_use]
    pub fn no_server(self) -> Builder {
        self
    }

    /// Has no effect.
    #[must_use]
    pub fn report(self, _: impl Into<PathBuf>) -> Builder {
        self
    }

    /// Starts nothing; `false`.
    pub fn install(self) -> bool {
        false
    }
}
