//! The instrumentation of asyncwatch, inside the program that is watched.
//!
//! ```text
//!  program's threads              our threads
//!  probe ──► registry ──► watchdog ──► report ──► log, report file
//!               │                        └──► findings ──┐
//!               └──► snapshots ──────────────────────────┴──► server
//! ```
//!
//! Programs depend on the facade crate `asyncwatch`, which re-exports what they
//! need of this one. The dashboard and the command line know nothing of it: they
//! read the wire and the report stream.
//!
//! Rules that hold here:
//! - The poll path never locks, allocates or logs, and calls the kernel at most once
//!   a millisecond, for the accounting that a verdict needs. A thread's first poll
//!   registers it, which does all three, once; the first poll of a task's outermost
//!   watched function allocates its watch.
//! - Everything of ours runs on three threads of its own; the program never waits
//!   for them, except for at most [`FINISH_WAIT`] when it ends.
//! - Every table and queue is bounded, and what does not fit is counted and shown.

#![cfg_attr(
    not(feature = "server"),
    expect(dead_code, reason = "the server is the only reader of tasks' numbers")
)]

mod clock;
mod config;
mod coverage;
mod detect;
mod drops;
mod ending;
mod endings;
mod large;
#[cfg(feature = "layer")]
mod layer;
mod never_awaited;
mod panics;
mod probe;
mod publish;
mod registry;
mod report;
mod runtimes;
mod self_test;
#[cfg(feature = "server")]
mod server;
mod settings;
mod slow;
mod source;
mod trial;
mod waits;
mod watchdog;

/// The atomics that the slot protocol uses; its models run it on others.
mod sync {
    pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering, fence};
}

use std::{
    sync::{Once, OnceLock},
    time::{Duration, Instant},
};

pub use asyncwatch_findings::{Code, Level};
pub use config::{Builder, DEFAULT_ADDR, DEFAULT_MAX_POLL, Timing};
pub use ending::{AnyRuntime, Running, running};
#[cfg(feature = "layer")]
pub use layer::layer;
pub use never_awaited::{SkipRange, WatchedFn, may_skip};
pub use probe::{
    allowed::{AllowBlocking, Allowed, allow_blocking, forbid_blocking},
    hooks::{Hooks, RuntimeBuilderExt},
    of_fn::OfFn,
    watched::{WatchExt, Watched, root, spawn, spawn_local},
};
pub use report::sink::Finding;
pub use trial::{Rules, run_test};
use watchdog::Occasion;

/// How long a program that ends waits for its last findings to be symbolised and
/// written, at most. Where a report is written, as under `asyncwatch check`, only that
/// nothing more gets done ends the wait so soon; a minute always does.
pub const FINISH_WAIT: Duration = Duration::from_secs(5);

/// How long a test that wants its verdict waits for the watchdog, at most: on a busy
/// machine that may get no CPU for a while.
const SETTLE_WAIT: Duration = Duration::from_secs(30);

static INSTALLED: OnceLock<Installed> = OnceLock::new();

struct Installed {
    reporter: report::Reporter,
    watchdog: Option<watchdog::Nudge>,
    pid: u32,
}

/// Configures asyncwatch; end with [`Builder::install`].
pub fn builder() -> Builder {
    Builder::new()
}

/// Starts asyncwatch as the environment says, unless it runs already.
pub fn install() {
    if INSTALLED.get().is_none() {
        builder().install();
    }
}

/// Hands on what was found so far: to be called when the program ends.
///
/// `#[asyncwatch::main]` and `exit` handlers do so by themselves. Waits until the
/// last findings are written, but no longer than [`FINISH_WAIT`].
pub fn finish() {
    finish_on(Occasion::Finish);
}

fn finish_on(occasion: Occasion) {
    let Some(installed) = installed_here() else {
        return;
    };
    let started = Instant::now();
    if let Some(watchdog) = &installed.watchdog {
        watchdog.and_wait(occasion, FINISH_WAIT / 4);
    }
    installed.reporter.finish(started);
}

/// Has all that was seen so far judged and named, and waits for that: a test wants its
/// verdict.
pub(crate) fn settle() {
    let Some(installed) = installed_here() else {
        return;
    };
    if let Some(watchdog) = &installed.watchdog {
        watchdog.and_wait(Occasion::Finish, SETTLE_WAIT);
    }
    installed.reporter.settle();
}

/// A shorter limit holds from now on: the watchdog is to look by it, not by the one
/// before.
pub(crate) fn look_sooner() {
    settings::rescale();
    if let Some(watchdog) = watchdog_here() {
        watchdog.poke();
    }
}

/// The watchdog, if there is one in this process.
pub(crate) fn watchdog_here() -> Option<&'static watchdog::Nudge> {
    installed_here()?.watchdog.as_ref()
}

/// Says what is wrong with the system or with how it is watched.
pub(crate) fn warn(message: String) {
    if let Some(installed) = INSTALLED.get() {
        installed.reporter.warn(message);
    }
}

/// A root future has ended; its runtime may be shut down next.
pub(crate) fn root_ended(root: detect::RootEnd) {
    if let Some(watchdog) = watchdog_here() {
        watchdog.and_wait(Occasion::RootEnded(root), FINISH_WAIT / 4);
    }
}

/// In a forked child our threads do not exist.
fn installed_here() -> Option<&'static Installed> {
    INSTALLED
        .get()
        .filter(|installed| installed.pid == std::process::id())
}

/// Hands on that tasks were dropped before they had finished, if there is a reporter.
pub(crate) fn task_dropped(dropped: detect::Dropped) {
    if let Some(installed) = INSTALLED.get() {
        installed.reporter.task_dropped(dropped);
    }
}

/// Hands what a detector found to the reporter, if there is one.
pub(crate) fn found(detected: report::Detected) {
    if let Some(installed) = INSTALLED.get() {
        installed.reporter.detected(detected);
    }
}

fn install_with(builder: Builder) -> bool {
    let mut first = false;
    INSTALLED.get_or_init(|| {
        first = true;
        start(builder.with_environment())
    });
    first && settings::on()
}

fn start(config: Builder) -> Installed {
    if !config.on {
        return Installed {
            reporter: report::Reporter::none(),
            watchdog: None,
            pid: std::process::id(),
        };
    }
    clock::begin();
    for &code in Code::ALL {
        settings::set(code, config.level_of(code), config.limit_of(code));
    }
    let capturer = asyncwatch_stack::Capturer::new()
        .map_err(|why| coverage::note_no_stacks(why.to_string()))
        .ok();
    clock::measure();
    let reporter = report::start(&config);
    let watchdog = watchdog::start(reporter.clone(), capturer)
        .map_err(|why| reporter.warn(format!("slow polls are not found: no thread: {why}")))
        .ok();
    look_at_endings();
    settings::switch_on(config.timing == Timing::Exact, config.max_poll);
    #[cfg(feature = "server")]
    if let Some(addr) = config.addr {
        server::start(addr, reporter.clone());
    }
    if let Some(watchdog) = &watchdog {
        self_test::start(watchdog.clone());
    }
    at_exit::register();
    Installed {
        reporter,
        watchdog,
        pid: std::process::id(),
    }
}

/// Prepares for what tells of tasks that end, or can never go on, if that is wanted now
/// and was not before.
pub(crate) fn look_at_endings() {
    static STATES: Once = Once::new();
    static PANICS: Once = Once::new();
    let wants = |codes: &[Code]| codes.iter().copied().any(settings::wants);
    if wants(&[Code::PanicUnobserved, Code::Unjoined, Code::LostWaker]) {
        STATES.call_once(|| {
            if let Err(why) = probe::join_state::learn() {
                coverage::note_no_join_state(why);
            }
        });
    }
    if wants(&[Code::PanicUnobserved, Code::NestedBlockOn]) {
        PANICS.call_once(panics::install);
    }
}

mod at_exit {
    #![expect(unsafe_code, reason = "atexit is a C function")]

    /// Has the last findings written also when the program calls `exit`.
    pub(crate) fn register() {
        extern "C" fn finish() {
            crate::finish_on(crate::Occasion::Exit);
            #[cfg(feature = "server")]
            crate::server::withdraw();
        }
        #[cfg(unix)]
        // SAFETY: `finish` is a plain function that unwinds into nobody: it only
        // waits for other threads, and catches nothing because nothing panics there.
        unsafe {
            libc::atexit(finish);
        }
    }
}
