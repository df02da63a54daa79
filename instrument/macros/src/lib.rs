//! The attribute macros of asyncwatch: `main`, `test`, `watch` and `allow_blocking`.
//!
//! This crate only rewrites source code. What the rewritten code calls, it
//! calls through `::asyncwatch::__private`; whether those calls do anything is
//! decided there. Users meet these macros as `asyncwatch::main` and so on and
//! never depend on this crate themselves.

mod allow;
mod attributes;
mod body;
mod entry;
mod facade;
mod function;
mod options;
mod rules;
mod settings;
mod skip;
mod watch;

use proc_macro::TokenStream;

/// Runs an `async fn main` on a watched tokio runtime.
///
/// A drop-in replacement for `#[tokio::main]`: it takes the same arguments and
/// builds the same runtime, with asyncwatch's hooks installed and the function
/// itself watched as the root future. Before the process goes on, findings that
/// are still on their way are written out, even if the body panicked. With
/// asyncwatch disabled the result is what `#[tokio::main]` gives.
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `flavor` | `"multi_thread"`, `"current_thread"` or `"local"` | `"multi_thread"` |
/// | `worker_threads` | threads of a `multi_thread` runtime | one per core |
/// | `start_paused` | start with tokio's clock paused (not `multi_thread`) | `false` |
/// | `unhandled_panic` | `"ignore"` or `"shutdown_runtime"` (not `multi_thread`; needs `--cfg tokio_unstable`) | `"ignore"` |
/// | `name` | the name of the runtime | none |
/// | `crate` | path of the tokio crate | the one asyncwatch uses |
/// | `asyncwatch` | path of the asyncwatch crate, if it was renamed | `"::asyncwatch"` |
///
/// The runtime features of tokio that a flavor needs (`rt-multi-thread` for the
/// default one) are enabled in the application's own dependency on tokio.
///
/// ```ignore
/// #[asyncwatch::main(flavor = "multi_thread", worker_threads = 4)]
/// async fn main() -> anyhow::Result<()> {
///     serve().await
/// }
/// ```
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(options::Entry::Main, args.into(), item.into()).into()
}

/// Runs an `async fn` as a test on a watched tokio runtime.
///
/// A drop-in replacement for `#[tokio::test]`: it takes the arguments of
/// [`macro@main`], of which `flavor` defaults to `"current_thread"` here, and
/// leaves other attributes (`#[ignore]`, `#[should_panic]`) where they are.
///
/// ```ignore
/// #[asyncwatch::test(start_paused = true)]
/// async fn retries_after_a_second() {
///     assert!(fetch().await.is_ok());
/// }
/// ```
///
/// # Tests that fail by what is found
///
/// By itself the attribute only has the test watched: findings are told, and fail an
/// `asyncwatch check`. These arguments make the test itself fail, with plain `cargo
/// test` too:
///
/// | argument | meaning |
/// |---|---|
/// | `max_poll = "20ms"` | a poll on the test's runtime that computes or blocks for so long is a slow one, and fails the test; wins over `ASYNCWATCH_MAX_POLL` and `--max-poll` |
/// | `deny(never_awaited, ..)` | findings of these kinds fail the test; `slow_poll` alone keeps the common limit |
/// | `allow(slow_poll, ..)` | findings of these kinds are only counted, also under `asyncwatch check` |
/// | `timeout = "10s"` | if the test has not ended by then (of real time, whatever tokio's clock says), it fails, and tells all its tasks and what its threads do |
///
/// ```ignore
/// #[asyncwatch::test(max_poll = "20ms", deny(never_awaited, task_leaked), timeout = "10s")]
/// async fn an_order_is_saved() {
///     // A poll that blocks for 20 ms, a forgotten `.await`, a task that is left behind:
///     // each fails the test, and the finding is in the panic's message.
///     let _ = shop().save(order()).await;
/// }
/// ```
///
/// The verdict falls when the body has ended and its runtime has shut down, so an error
/// that the test ignores cannot hide a finding. A test that panics by itself keeps its
/// panic, and what was found is printed. Time without a CPU counts for nothing.
///
/// A finding belongs to the test on whose runtime it happened: tests that run side by
/// side have limits of their own and do not answer for each other, nor for runtimes
/// and threads that the body makes by itself. With `deny(task_leaked)`, every task of
/// the runtime that is still alive 100 ms after the body has ended is a leak, unless it
/// is `.detached("why")`.
///
/// Where a thread of the test is stuck in a poll when the time is up, nothing can end
/// it: then everything is printed and the process exits with code 101.
///
/// Codes may also be written as they are elsewhere, `deny("slow-poll")`. With asyncwatch
/// disabled the four arguments do nothing, the timeout included. They do not go with
/// `#[should_panic]`, `allow` excepted.
#[proc_macro_attribute]
pub fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(options::Entry::Test, args.into(), item.into()).into()
}

/// Watches the futures of `async fn`s: one that is dropped without ever having
/// been polled is reported with the place where it was made.
///
/// Goes on an `async fn`, or on an `impl`, a `trait` or an inline `mod`, where
/// it covers every `async fn` inside. Functions that return
/// `Box::pin(async move { .. })` or end in an `async move` block (which is what
/// `#[async_trait]` makes) are covered too. It can be stacked with other
/// attribute macros in any order: those that stand below it are expanded first.
///
/// A watched future is two pointers larger than an unwatched one. The outermost of a
/// task has the numbers and the slow polls of that task, also where the runtime has no
/// hooks. Futures that a
/// `select!` inside a watched item was free to drop are not reported. Where a
/// function is handed over as a value (`get(handler)`), the place of the call is
/// not known; the function is.
///
/// What changes for the function: it becomes a plain `fn` that returns
/// `impl Future`, so a `#[must_use]` of its own speaks of the future rather than
/// of the awaited value. `const fn`s and functions with a foreign ABI stay as
/// they are, and so does everything when asyncwatch is disabled.
///
/// The argument `asyncwatch = "path"` names the asyncwatch crate if it was
/// renamed.
///
/// ```ignore
/// #[asyncwatch::watch]
/// impl Session {
///     async fn save(&self) -> io::Result<()> { .. }
/// }
///
/// let _saved = session.save(); // never awaited: reported, with this line
/// ```
#[proc_macro_attribute]
pub fn watch(args: TokenStream, item: TokenStream) -> TokenStream {
    watch::expand(cfg!(feature = "enabled"), args.into(), item.into()).into()
}

/// Counts none of a function's time against the poll it runs in.
///
/// The argument says to readers of the code why blocking is right there, and may not be
/// empty. On an `async fn`, or a function that returns an `async move` block, every poll
/// of it is excused. What has to be quick inside is put into `forbid_blocking`. With
/// asyncwatch disabled the function stays as it is.
///
/// The second argument `asyncwatch = "path"` names the asyncwatch crate if it was
/// renamed.
///
/// ```ignore
/// #[asyncwatch::allow_blocking("the file is small and read once")]
/// fn load_settings() -> io::Result<Settings> { .. }
/// ```
#[proc_macro_attribute]
pub fn allow_blocking(args: TokenStream, item: TokenStream) -> TokenStream {
    allow::expand(cfg!(feature = "enabled"), args.into(), item.into()).into()
}
