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

/// A layer that does nothing: asyncwatch is not enabled.
#[cfg(feature = "layer")]
#[inline(always)]
pub fn layer() -> tracing_subscriber::layer::Identity {
    tracing_subscriber::layer::Identity::new()
}

/// Runs `f`: asyncwatch is not enabled.
#[inline(always)]
pub fn allow_blocking<R>(_reason: &'static str, f: impl FnOnce() -> R) -> R {
    f()
}

/// Runs `f`: asyncwatch is not enabled.
#[inline(always)]
pub fn forbid_blocking<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// The root future as it is.
#[doc(hidden)]
#[inline(always)]
pub fn root<F: Future>(future: F, _name: &str) -> F {
    future
}

/// The runtime as it is.
#[doc(hidden)]
#[inline(always)]
pub fn running<R>(runtime: R) -> R {
    runtime
}

/// What a test asks for; nobody looks at it.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub name: &'static str,
    pub max_poll: Option<Duration>,
    pub deny: &'static [Code],
    pub allow: &'static [Code],
    pub timeout: Option<Duration>,
}

/// Runs the future, whatever the rules.
#[doc(hidden)]
#[track_caller]
#[inline(always)]
pub fn run_test<R: AnyRuntime, F: Future>(
    _rules: Rules,
    runtime: R,
    body: impl FnOnce() -> F,
) -> F::Output {
    runtime.block_on(body())
}

/// A runtime of either sort.
#[doc(hidden)]
pub trait AnyRuntime {
    /// Runs a future on it to the end.
    fn block_on<F: Future>(&self, future: F) -> F::Output;
}

impl AnyRuntime for tokio::runtime::Runtime {
    #[track_caller]
    #[inline(always)]
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        tokio::runtime::Runtime::block_on(self, future)
    }
}

impl AnyRuntime for tokio::runtime::LocalRuntime {
    #[track_caller]
    #[inline(always)]
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        tokio::runtime::LocalRuntime::block_on(self, future)
    }
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

    /// The future itself: asyncwatch is not enabled.
    #[inline(always)]
    fn detached(self, _reason: &'static str) -> Self {
        self
    }

    /// The future itself: asyncwatch is not enabled.
    #[inline(always)]
    fn allow_blocking(self, _reason: &'static str) -> Self {
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

    /// Your `on_thread_start`.
    #[must_use]
    pub fn on_thread_start(self, f: impl Fn() + Send + Sync + 'static) -> Hooks {
        self.set(|builder| {
            builder.on_thread_start(f);
        })
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

/// Default address of the dashboard's server.
pub const DEFAULT_ADDR: &str = "127.0.0.1:6670";
/// Default limit of a poll.
pub const DEFAULT_MAX_POLL: Duration = Duration::from_millis(100);
/// Nothing is waited for: asyncwatch is not enabled.
pub const FINISH_WAIT: Duration = Duration::ZERO;

/// The kind of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// A poll held its thread for at least the limit.
    SlowPoll,
    /// A worker polled so much that woken tasks waited long for it.
    StarvedWorker,
    /// A future was dropped without ever having been polled.
    NeverAwaited,
    /// A task was dropped before it had finished.
    TaskDroppedPending,
    /// Tasks of one spawn site pile up and are never woken again.
    TaskLeaked,
    /// A task panicked and nobody awaits its handle.
    PanicUnobserved,
    /// A runtime was entered where it cannot be, or was missing.
    NestedBlockOn,
    /// Closures wait because every thread of the blocking pool is taken.
    BlockingPoolSaturated,
    /// Closures on the blocking pool still ran when their runtime shut down.
    BlockingOutlivesRuntime,
    /// A task wakes itself in every poll and so never sleeps.
    SelfWake,
    /// A task waits, and nobody is left to wake it.
    LostWaker,
    /// A task has run since it was spawned without once yielding.
    NeverYielded,
    /// A future is so large that moving it is dear and dangerous.
    LargeFuture,
    /// Outputs of finished tasks pile up because nobody takes them.
    Unjoined,
    /// An interval fires back to back to make up for missed ticks.
    TimerBurst,
    /// Tasks queue for an async lock whose holder awaits something slow.
    AsyncContention,
}

/// A finding; there is none while asyncwatch is not enabled.
#[derive(Clone, Copy, Debug)]
pub struct Finding<'a>(std::convert::Infallible, std::marker::PhantomData<&'a ()>);

impl Finding<'_> {
    /// What kind of problem it would be.
    pub fn code(&self) -> Code {
        match self.0 {}
    }

    /// How seriously it would be taken.
    pub fn level(&self) -> Level {
        match self.0 {}
    }

    /// One sentence with the facts.
    pub fn message(&self) -> &str {
        match self.0 {}
    }

    /// How often it was seen.
    pub fn count(&self) -> u64 {
        match self.0 {}
    }

    /// Whether the newest occurrence still goes on.
    pub fn is_ongoing(&self) -> bool {
        match self.0 {}
    }

    /// File and line to blame.
    pub fn culprit(&self) -> Option<(&str, u32)> {
        match self.0 {}
    }

    /// Stable over line shifts, runs and machines.
    pub fn fingerprint(&self) -> &str {
        match self.0 {}
    }

    /// Everything that is known of it.
    pub fn to_json(&self) -> String {
        match self.0 {}
    }
}

impl std::fmt::Display for Finding<'_> {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {}
    }
}

/// How seriously a kind of finding would be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Counted only.
    Allow,
    /// Shown.
    Warn,
    /// Shown, and fails a check.
    Deny,
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
    pub fn grace(self, _: Duration) -> Builder {
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
    pub fn level(self, _: Code, _: Level) -> Builder {
        self
    }

    /// Has no effect.
    #[must_use]
    pub fn limit(self, _: Code, _: &str) -> Builder {
        self
    }

    /// Has no effect: `function` is never called.
    #[must_use]
    pub fn on_finding(self, _: impl Fn(Finding<'_>) + Send + Sync + 'static) -> Builder {
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

#[cfg(test)]
mod tests {
    use std::{
        any::TypeId,
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering::Relaxed},
        },
    };

    use super::*;

    fn type_of<T: 'static>(_: &T) -> TypeId {
        TypeId::of::<T>()
    }

    #[test]
    fn futures_stay_what_they_are() {
        let future = std::future::ready(5);
        let plain = type_of(&future);
        assert_eq!(type_of(&future.clone().watched()), plain);
        assert_eq!(type_of(&future.clone().watched_as("five")), plain);
        assert_eq!(type_of(&future.clone().detached("a test")), plain);
        assert_eq!(type_of(&future.clone().allow_blocking("a test")), plain);
        assert_eq!(type_of(&root(future, "main")), plain);
    }

    #[crate::watch]
    async fn watched_function() -> [u8; 16] {
        [7; 16]
    }

    async fn plain_function() -> [u8; 16] {
        [7; 16]
    }

    #[test]
    fn watched_functions_stay_what_they_are() {
        assert_eq!(
            size_of_val(&watched_function()),
            size_of_val(&plain_function())
        );
    }

    #[crate::test(
        max_poll = "1ms",
        timeout = "1ms",
        deny(slow_poll, "task-leaked"),
        allow(unjoined)
    )]
    async fn rules_of_tests_do_nothing() {
        std::thread::sleep(Duration::from_millis(20));
        tokio::spawn(std::future::pending::<()>());
    }

    #[test]
    fn own_hooks_are_set_all_the_same() {
        let parks = Arc::new(AtomicU32::new(0));
        let counted = parks.clone();
        let hooks = Hooks::new().on_thread_park(move || {
            counted.fetch_add(1, Relaxed);
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .watched_with(hooks)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            spawn(std::future::ready(())).await.expect("it ends well");
            // Nothing to poll until another thread is done.
            let other = || std::thread::sleep(Duration::from_millis(20));
            tokio::task::spawn_blocking(other)
                .await
                .expect("it sleeps well");
        });
        drop(runtime);
        assert!(parks.load(Relaxed) > 0);
    }

    #[test]
    fn nothing_starts() {
        assert!(!builder().max_poll(Duration::from_millis(20)).install());
        install();
        finish();
        assert_eq!(allow_blocking("a test", || forbid_blocking(|| 3)), 3);
    }
}
