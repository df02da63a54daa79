//! Whose frames a stack is made of, and which of them to blame.
//!
//! Works on names and paths alone. What the frames' addresses were, and how they
//! became names, is the business of whoever made the [`Frame`]s.

use crate::{
    Frame,
    name::{self, display_name},
    place::{self, Place},
};

/// Whose code a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The user's own workspace.
    User,
    /// A crate or library that the program uses.
    Dependency,
    /// Rust's standard library.
    Std,
    /// tokio and what stands between it and a task's code: futures, hyper, tower.
    Runtime,
    /// The instrumentation itself.
    Asyncwatch,
}

/// Which frames of a stack tell the story, as indices into it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Blame {
    /// The innermost frame of the user's own code.
    pub culprit: Option<usize>,
    /// What the culprit called.
    pub blocking: Option<usize>,
}

/// Crates whose frames only carry a poll from the runtime to the task's code.
const RUNTIME: &[&str] = &[
    "axum",
    "axum_core",
    "axum_server",
    "actix_http",
    "actix_rt",
    "actix_server",
    "actix_service",
    "actix_web",
    "async_compat",
    "async_stream",
    "futures",
    "futures_buffered",
    "futures_channel",
    "futures_concurrency",
    "futures_core",
    "futures_executor",
    "futures_io",
    "futures_lite",
    "futures_sink",
    "futures_task",
    "futures_util",
    "h2",
    "hyper",
    "hyper_util",
    "mio",
    "pin_project",
    "pin_project_lite",
    "poem",
    "rocket",
    "salvo",
    "salvo_core",
    "tide",
    "tokio",
    "tokio_macros",
    "tokio_metrics",
    "tokio_stream",
    "tokio_util",
    "tonic",
    "tower",
    "tower_http",
    "tower_layer",
    "tower_service",
    "tracing",
    "tracing_core",
    "tracing_futures",
    "tracing_subscriber",
    "warp",
];

/// The crates of the standard library.
const STD: &[&str] = &[
    "std",
    "core",
    "alloc",
    "test",
    "proc_macro",
    "backtrace_rs",
    "rustc_demangle",
    "panic_unwind",
    "compiler_builtins",
];

/// Our own crates, as far as they are linked into programs.
const OWN: &[&str] = &[
    "asyncwatch",
    "asyncwatch_instrument",
    "asyncwatch_stack",
    "asyncwatch_findings",
    "asyncwatch_wire",
];

/// Whose code a function is, by its name and the path of its source.
///
/// Without a path nothing tells the user's crates from others: unknown crates are
/// then [`Owner::Dependency`]. So are all crates of a program that was installed
/// from a registry; [`blame`] has a rule for both.
pub fn owner(function: &str, file: Option<&str>) -> Owner {
    let krate = name::crate_of(function);
    let krate = krate.as_deref();
    if krate.is_some_and(|krate| OWN.contains(&krate)) {
        return Owner::Asyncwatch;
    }
    match file.map(place::place) {
        Some(Place::Std) => Owner::Std,
        Some(Place::Asyncwatch) => Owner::Asyncwatch,
        Some(Place::Package(package)) => owner_of_crate(&package.replace('-', "_")),
        Some(Place::Foreign) => Owner::Dependency,
        // A patched runtime in the user's tree is still the runtime.
        Some(Place::Local) => match krate.map(owner_of_crate) {
            Some(owner @ (Owner::Std | Owner::Runtime)) => owner,
            _ => Owner::User,
        },
        None => krate.map_or(Owner::Dependency, owner_of_crate),
    }
}

fn owner_of_crate(krate: &str) -> Owner {
    if STD.contains(&krate) {
        Owner::Std
    } else if RUNTIME.contains(&krate) {
        Owner::Runtime
    } else if OWN.contains(&krate) {
        Owner::Asyncwatch
    } else {
        Owner::Dependency
    }
}

/// Sets each frame's `user`, and completes names that came without a path from the
/// path of their file (`write` in std's `fs.rs` becomes `std::fs::write`).
pub fn mark(frames: &mut [Frame]) {
    for frame in frames {
        let function = name::complete(&frame.function, frame.file.as_deref());
        frame.function = function;
        frame.user = frame_owner(frame) == Owner::User;
    }
}

pub(crate) fn frame_owner(frame: &Frame) -> Owner {
    owner(&frame.function, frame.file.as_deref())
}

/// The name of a frame as people call it, whether [`mark`]ed before or not.
pub(crate) fn frame_name(frame: &Frame) -> String {
    display_name(&name::complete(&frame.function, frame.file.as_deref()))
}

/// Finds the culprit and what it called, in a stack of one poll.
///
/// The culprit is the innermost frame of the user's code. Where no frame is known
/// to be the user's (a release build without line tables, a program installed from
/// a registry), the crate of the outermost frame that belongs neither to std nor
/// to the runtime is taken for the user's.
pub fn blame(frames: &[Frame]) -> Blame {
    let poll = &frames[..poll_end(frames).unwrap_or(frames.len())];
    let is_users = |at: &usize| frame_owner(&poll[*at]) == Owner::User;
    let culprit = (0..poll.len())
        .filter(is_users)
        .find(|&at| !is_derived(poll, at))
        .or_else(|| innermost_of_likely_user_crate(poll));
    match culprit {
        Some(culprit) => called_at(frames, culprit),
        None => Blame::default(),
    }
}

/// Whether the frame is code that a macro such as `#[derive(Deserialize)]` made, called
/// back by the library that the user's code called: its line is that of the macro, and
/// nobody wrote it.
pub(crate) fn is_derived(poll: &[Frame], at: usize) -> bool {
    let is_users = |frame: &Frame| frame_owner(frame) == Owner::User;
    let Some((caller, outer)) = poll[at + 1..].split_first() else {
        return false;
    };
    is_generated(&poll[at]) && !is_users(caller) && outer.iter().any(is_users)
}

/// Derived code lies in a constant without a name; inlined, only the names of serde's
/// methods tell it.
fn is_generated(frame: &Frame) -> bool {
    let name = &frame.function;
    if name.contains("::_::") || name.contains("<_::") {
        return true;
    }
    let name = frame_name(frame);
    let method = name.rsplit("::").next().unwrap_or_default();
    matches!(
        method,
        "deserialize" | "serialize" | "visit_map" | "visit_seq"
    )
}

/// The frame at `culprit` and what it called.
pub(crate) fn called_at(frames: &[Frame], culprit: usize) -> Blame {
    Blame {
        culprit: Some(culprit),
        blocking: most_telling(&frames[..culprit]),
    }
}

fn innermost_of_likely_user_crate(poll: &[Frame]) -> Option<usize> {
    let krate = |frame: &Frame| {
        (frame_owner(frame) == Owner::Dependency)
            .then(|| name::crate_of(&frame.function))
            .flatten()
    };
    let likely = poll.iter().rev().find_map(krate)?;
    poll.iter()
        .position(|frame| krate(frame).as_deref() == Some(&*likely))
}

/// Of what the culprit called, the outermost function that people know by name.
fn most_telling(called: &[Frame]) -> Option<usize> {
    let telling =
        |frame: &Frame| frame_owner(frame) != Owner::Asyncwatch && is_telling(&frame_name(frame));
    called
        .iter()
        .rposition(telling)
        .or_else(|| called.iter().rposition(|frame| !frame.function.is_empty()))
        .or(called.len().checked_sub(1))
}

/// Paths of std that say nothing about what a program does.
const NOISE: &[&str] = &[
    "alloc::alloc",
    "alloc::boxed",
    "alloc::vec",
    "core::array",
    "core::convert",
    "core::future",
    "core::iter",
    "core::mem",
    "core::ops",
    "core::option",
    "core::panic",
    "core::pin",
    "core::ptr",
    "core::result",
    "core::task",
    "std::panic",
    "std::panicking",
    "std::sys",
    "std::sys_common",
    "std::thread::LocalKey",
];

fn is_telling(name: &str) -> bool {
    name.contains("::") && !NOISE.iter().any(|noise| is_below(name, noise))
}

/// Whether the path is `module` or something in it.
pub(crate) fn is_below(path: &str, module: &str) -> bool {
    path.strip_prefix(module)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Cuts everything from the runtime's poll of the task outward: what is left is
/// what the poll did.
///
/// A `block_on` that a task's own code calls is part of the poll and stays. A stack
/// without a known boundary stays whole.
pub fn trim(frames: &mut Vec<Frame>) {
    if let Some(end) = poll_end(frames) {
        frames.truncate(end);
    }
}

/// [`trim`]s the stack of a poll that was taken while `nested` watched futures were
/// polled inside it: their wrappers go, what they called stays.
pub fn trim_outer(frames: &mut Vec<Frame>, nested: usize) {
    for _ in 0..nested {
        let ends = |frame: &Frame| {
            let name = frame_name(frame);
            is_own_poll(&name) || is_task_poll(&name)
        };
        let Some(at) = frames.iter().position(ends) else {
            break;
        };
        let is_wrapper = |frame: &&Frame| frame_owner(frame) == Owner::Asyncwatch;
        let wrappers = frames[at..].iter().take_while(is_wrapper).count();
        if wrappers == 0 {
            break;
        }
        frames.drain(at..at + wrappers);
    }
    trim(frames);
}

/// Whether the innermost calls wait for a `Mutex` or an `RwLock` of std.
pub fn waits_for_lock(frames: &[Frame]) -> bool {
    const LOCKS: &[&str] = &[
        "std::sync::Mutex",
        "std::sync::RwLock",
        "std::sys::sync::mutex",
        "std::sys::sync::rwlock",
    ];
    let called = &frames[..blame(frames).culprit.unwrap_or(frames.len())];
    called
        .iter()
        .map(frame_name)
        .any(|name| LOCKS.iter().any(|lock| is_below(&name, lock)))
}

/// Index of the innermost frame that is no longer part of the poll.
pub(crate) fn poll_end(frames: &[Frame]) -> Option<usize> {
    let names: Vec<String> = frames.iter().map(frame_name).collect();
    let innermost = names.iter().position(|name| is_boundary(name))?;
    let boundary = if is_block_on(&names[innermost]) {
        enclosing_task_poll(&names, innermost).unwrap_or(innermost)
    } else {
        innermost
    };
    Some(without_glue(&names, boundary))
}

/// The poll of a task whose code called the `block_on` at `from`. The worker loop
/// itself runs as a task of the blocking pool, and is none.
fn enclosing_task_poll(names: &[String], from: usize) -> Option<usize> {
    let at = from + names[from..].iter().position(|name| is_task_poll(name))?;
    let of_blocking_pool = names[from..at]
        .iter()
        .any(|name| is_below(name, "tokio::runtime::blocking"));
    (!of_blocking_pool).then_some(at)
}

/// The runtime's own closures and unwind guards inside the boundary go with it.
fn without_glue(names: &[String], boundary: usize) -> usize {
    let inside = names[..boundary].iter().rev();
    let mut end = boundary;
    for (depth, name) in inside.enumerate() {
        if is_runtime_glue(name) {
            end = boundary - depth - 1;
        } else if !is_unwind_glue(name) {
            break;
        }
    }
    end
}

fn is_boundary(name: &str) -> bool {
    is_task_poll(name) || is_block_on(name) || is_own_poll(name)
}

pub(crate) fn is_task_poll(name: &str) -> bool {
    const POLLS: &[&str] = &[
        "tokio::runtime::task::core::Core::poll",
        "tokio::runtime::task::core::poll",
        "tokio::runtime::task::harness::poll_future",
        "tokio::runtime::task::harness::Harness::poll",
        "tokio::runtime::task::harness::Harness::poll_inner",
        "tokio::runtime::task::harness::poll",
        "tokio::runtime::task::harness::poll_inner",
        "tokio::runtime::task::raw::poll",
        "tokio::runtime::task::raw::RawTask::poll",
    ];
    POLLS.contains(&name)
}

pub(crate) fn is_block_on(name: &str) -> bool {
    let function = name.rsplit("::").next().unwrap_or(name);
    is_below(name, "tokio::runtime") && matches!(function, "block_on" | "block_on_inner")
}

/// The wrapper of a watched future that begins a poll of its own. The wrappers of
/// `#[watch]`ed functions do not: they stand between the functions of one poll.
fn is_own_poll(name: &str) -> bool {
    const WITHIN: &[&str] = &[
        "asyncwatch_instrument::probe::allowed",
        "asyncwatch_instrument::probe::of_fn",
        "asyncwatch_instrument::probe::watch",
    ];
    name == "asyncwatch_instrument::probe::watch::Watch::poll_in_slot"
        || (is_wrapper(name) && !WITHIN.iter().any(|module| is_below(name, module)))
}

/// Any wrapper of a future.
fn is_wrapper(name: &str) -> bool {
    name.ends_with("::poll") && OWN.iter().any(|krate| is_below(name, krate))
}

fn is_runtime_glue(name: &str) -> bool {
    const GLUE: &[&str] = &[
        "tokio::runtime::task::core",
        "tokio::runtime::task::harness",
        "tokio::runtime::coop",
        "tokio::runtime::context",
        "tokio::runtime::park",
        "tokio::runtime::scheduler",
        "tokio::task::coop",
        "tokio::loom",
    ];
    GLUE.iter().any(|module| is_below(name, module)) && !name.ends_with("block_in_place")
}

fn is_unwind_glue(name: &str) -> bool {
    const GLUE: &[&str] = &[
        "core::panic",
        "core::ops::function",
        "std::panic",
        "std::panicking",
        "std::thread::LocalKey",
    ];
    name == "__rust_try" || GLUE.iter().any(|module| is_below(name, module))
}

/// Whether the code runs inside `tokio::task::block_in_place`, where blocking is
/// what it is meant to do.
pub fn in_block_in_place(frames: &[Frame]) -> bool {
    frames
        .iter()
        .map(frame_name)
        .any(|name| is_below(&name, "tokio") && name.ends_with("::block_in_place"))
}

/// Whether the code runs in a closure of `spawn_blocking`, on a thread that is there to
/// be blocked. Not where the closure drives a runtime of its own or a `LocalSet`, and
/// blocks their other tasks.
pub fn in_blocking_closure(frames: &[Frame]) -> bool {
    frames
        .iter()
        .map(frame_name)
        .take_while(|name| !is_task_poll(name) && !is_below(name, "tokio::runtime::scheduler"))
        .any(|name| is_below(&name, "tokio::runtime::blocking::task"))
}

/// Whether the code waits for the C library's allocator. Its locks are held for
/// microseconds, so whoever waits for long waits for a thread that has no CPU.
pub fn waits_for_allocator(frames: &[Frame]) -> bool {
    const ALLOCATOR: &[&str] = &[
        "_int_free",
        "_int_malloc",
        "_int_realloc",
        "arena_get2",
        "arena_get_retry",
        "cfree",
        "malloc_consolidate",
        "tcache_init",
        "tcache_thread_shutdown",
    ];
    /// From the wait to the allocator's own functions.
    const DEPTH_MAX: usize = 4;
    let inner = || frames.iter().take(DEPTH_MAX);
    inner().any(|frame| frame.function.contains("lll_lock_wait_private"))
        && inner().any(|frame| {
            let name = frame
                .function
                .trim_start_matches("__GI_")
                .trim_start_matches("__libc_");
            ALLOCATOR.contains(&name)
                || ["malloc", "free", "calloc", "realloc", "memalign"].contains(&name)
        })
}

/// Whether a thread that sleeps in this system call waits for the lock of its process's
/// memory map. That is held for microseconds, so whoever waits for long waits for a thread
/// that has no CPU. One that has the kernel read a file, as `mmap(MAP_POPULATE)` does,
/// waits for the disk.
pub fn waits_for_memory_map(syscall: &str) -> bool {
    const CALLS: &[&str] = &["brk", "madvise", "mmap", "mprotect", "mremap", "munmap"];
    CALLS.contains(&syscall)
}

/// Whether the code waits for a child process to begin, as `vfork` does. That takes
/// microseconds, so whoever waits for long waits for a child that has no CPU.
pub fn waits_for_child_to_begin(frames: &[Frame]) -> bool {
    const DEPTH_MAX: usize = 5;
    let inner = || frames.iter().take(DEPTH_MAX);
    let clones = ["clone", "__clone", "clone3", "__clone3", "vfork", "__vfork"];
    inner().any(|frame| clones.contains(&frame.function.as_str()))
        && inner().any(|frame| frame.function.contains("spawn"))
}

/// Whether a future is dropped because its task was aborted, its runtime shuts down, or
/// there is none to spawn it on, by the stack of the drop.
pub fn aborted_or_shut_down(frames: &[Frame]) -> bool {
    frames
        .iter()
        .map(frame_name)
        .take_while(|name| !is_task_body(name))
        .any(|name| is_cancellation(&name))
}

/// From here outward the stack is about the task that runs, not the one dropped.
fn is_task_body(name: &str) -> bool {
    matches!(
        name,
        "tokio::runtime::task::core::Core::poll"
            | "tokio::runtime::task::core::poll"
            | "tokio::runtime::task::harness::poll_future"
    ) || is_wrapper(name)
}

fn is_cancellation(name: &str) -> bool {
    const CANCELLATIONS: &[&str] = &[
        "cancel_task",
        "close_and_shutdown",
        "close_and_shutdown_all",
        "dealloc",
        "drop_future_or_output",
        "shutdown",
        "shutdown_core",
        "shutdown2",
    ];
    // They take the future, and drop it themselves only if there is no runtime.
    const SPAWNS: &[&str] = &["spawn_inner", "spawn_local_inner", "spawn_named"];
    let function = name.rsplit("::").next().unwrap_or(name);
    (is_below(name, "tokio::runtime") || is_below(name, "tokio::task::local"))
        && CANCELLATIONS.contains(&function)
        || is_below(name, "tokio") && SPAWNS.contains(&function)
}

#[cfg(test)]
pub(crate) mod tests;
