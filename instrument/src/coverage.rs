//! What is watched and what is not, in sentences for people.
//!
//! Partial coverage that looks complete is worse than none: this is said at start,
//! in the dashboard and in every report.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use asyncwatch_findings::Coverage;

use crate::{
    probe::join_state,
    self_test::{self, Verdict},
};

static WATCHED_RUNTIME: AtomicBool = AtomicBool::new(false);
static FOREIGN_PARK_HOOK: AtomicBool = AtomicBool::new(false);
static FOREIGN_START_HOOK: AtomicBool = AtomicBool::new(false);
static NO_JOIN_STATE: Mutex<Option<&'static str>> = Mutex::new(None);
#[cfg(feature = "layer")]
static LAYER: AtomicBool = AtomicBool::new(false);
#[cfg(feature = "layer")]
static LAYER_IS_TOLD: AtomicBool = AtomicBool::new(false);
static NO_STACKS: Mutex<Option<String>> = Mutex::new(None);

/// A runtime was built with our hooks.
pub(crate) fn note_watched_runtime() {
    WATCHED_RUNTIME.store(true, Relaxed);
}

/// The program's own `on_thread_park` was left in place.
pub(crate) fn note_foreign_park_hook() {
    FOREIGN_PARK_HOOK.store(true, Relaxed);
}

/// The program's own `on_thread_start` was left in place.
pub(crate) fn note_foreign_start_hook() {
    FOREIGN_START_HOOK.store(true, Relaxed);
}

/// The program was given a layer for its subscriber.
#[cfg(feature = "layer")]
pub(crate) fn note_layer() {
    LAYER.store(true, Relaxed);
}

/// tokio told the layer of a task.
#[cfg(feature = "layer")]
pub(crate) fn note_layer_is_told() {
    if !LAYER_IS_TOLD.load(Relaxed) {
        LAYER_IS_TOLD.store(true, Relaxed);
    }
}

/// Stacks cannot be taken here, and why.
pub(crate) fn note_no_stacks(why: String) {
    *NO_STACKS.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
}

/// Whether stacks are taken here at all.
pub(crate) fn takes_stacks() -> bool {
    let why_not = NO_STACKS.lock().unwrap_or_else(PoisonError::into_inner);
    why_not.is_none()
}

/// The state of tasks cannot be read here, and why.
pub(crate) fn note_no_join_state(why: &'static str) {
    *NO_JOIN_STATE.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
}

/// Every aspect, covered or not.
pub(crate) fn list() -> Vec<Coverage> {
    let mut list = vec![spawned_tasks(), wrapped(), stacks(), verdict()];
    list.extend(tried_out());
    list.extend(join_state());
    #[cfg(feature = "layer")]
    list.extend(layer());
    if FOREIGN_PARK_HOOK.load(Relaxed) {
        list.push(aspect(
            "parks",
            false,
            "parks are not counted, because the program has its own `on_thread_park`: pass it to `watched_with`",
        ));
    }
    if FOREIGN_START_HOOK.load(Relaxed) {
        list.push(aspect(
            "blocking-pool",
            false,
            "what the threads of the blocking pool do is not looked at, because the program has its own `on_thread_start`: pass it to `watched_with`",
        ));
    }
    list
}

fn aspect(aspect: &str, covered: bool, detail: impl Into<String>) -> Coverage {
    Coverage {
        aspect: aspect.to_owned(),
        covered,
        detail: detail.into(),
    }
}

fn spawned_tasks() -> Coverage {
    let hooks = cfg!(tokio_unstable);
    let (covered, detail) = match (hooks, WATCHED_RUNTIME.load(Relaxed)) {
        (true, false) if layer_is_told() => (true, "every task is seen, as tokio tells the layer"),
        (true, true) => (
            true,
            "every task spawned on a watched runtime is seen, those of dependencies too",
        ),
        (true, false) => (
            false,
            "no runtime was built watched, so of tasks from `tokio::spawn` only functions under `#[asyncwatch::watch]` are seen: use `#[asyncwatch::main]` or call `.watched()` on the runtime's `Builder`",
        ),
        (false, _) => (
            false,
            "of tasks from `tokio::spawn` only functions under `#[asyncwatch::watch]` are seen: build with RUSTFLAGS=\"--cfg tokio_unstable\" to see all, or spawn with `asyncwatch::spawn`",
        ),
    };
    aspect("spawned-tasks", covered, detail)
}

fn wrapped() -> Coverage {
    if layer_is_told() {
        return aspect(
            "wrapped-futures",
            true,
            "futures that are `.watched()` are seen, and `LocalSet` tasks and roots of `block_on`, as tokio tells the layer",
        );
    }
    aspect(
        "wrapped-futures",
        true,
        "roots of `#[asyncwatch::main]` and `#[asyncwatch::test]`, functions under `#[asyncwatch::watch]` and futures that are `.watched()` are seen; of `LocalSet` tasks and other `block_on` roots only these",
    )
}

/// Only where it is missing, or needed and there.
fn join_state() -> Option<Coverage> {
    match *NO_JOIN_STATE.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(why) => Some(aspect(
            "join-state",
            false,
            format!(
                "panics that nobody awaits, outputs that nobody takes and lost wakers are not found: {why}"
            ),
        )),
        None if join_state::is_known() => Some(aspect(
            "join-state",
            true,
            "whether anybody awaits a task or can wake it is known of watched tasks: `asyncwatch::spawn`, and tasks made of `#[asyncwatch::watch]`ed functions",
        )),
        None => None,
    }
}

#[cfg(feature = "layer")]
fn layer_is_told() -> bool {
    LAYER_IS_TOLD.load(Relaxed)
}

#[cfg(not(feature = "layer"))]
fn layer_is_told() -> bool {
    false
}

/// Nothing if there is none.
#[cfg(feature = "layer")]
fn layer() -> Option<Coverage> {
    let detail = match (LAYER.load(Relaxed), layer_is_told()) {
        (false, _) => return None,
        (true, true) => {
            "tokio tells the layer of the tasks of every runtime, of queues for its locks and of intervals"
        }
        (true, false) => {
            "the layer has been told of no task yet: tokio needs its feature `tracing` and RUSTFLAGS=\"--cfg tokio_unstable\", the layer has to be part of the subscriber that is in force, and no filter may stand before it"
        }
    };
    Some(aspect("layer", layer_is_told(), detail))
}

fn stacks() -> Coverage {
    match &*NO_STACKS.lock().unwrap_or_else(PoisonError::into_inner) {
        None => aspect(
            "stacks",
            true,
            "stacks of slow polls are taken while they still block",
        ),
        Some(why) => aspect(
            "stacks",
            false,
            format!("slow polls are reported without a stack: {why}"),
        ),
    }
}

/// Nothing while it is still being tried out.
fn tried_out() -> Option<Coverage> {
    match self_test::verdict() {
        Verdict::Pending => None,
        Verdict::Works => Some(aspect(
            "self-test",
            true,
            "a known slow poll was caught with its stack when watching began, while it blocked and while it computed",
        )),
        Verdict::Fails(why) => Some(aspect("self-test", false, why.join("; "))),
    }
}

fn verdict() -> Coverage {
    if std::path::Path::new("/proc/self/schedstat").exists() {
        aspect(
            "verdict",
            true,
            "time without a CPU is told from blocking, so a busy machine is never blamed on the program",
        )
    } else {
        aspect(
            "verdict",
            false,
            "this system does not tell how long a thread waited for a CPU (no /proc/self/schedstat), so off-CPU time counts only where the thread was seen asleep",
        )
    }
}
