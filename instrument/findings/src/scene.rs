//! What a thread is there for at one moment, by the functions on its stack.
//!
//! For whoever sees stacks only, and knows of no poll when it begins or ends: the
//! innermost function that tokio is known by decides. Works on whole names with inlined
//! functions, and on bare symbols; the latter show less of an optimised program.

use crate::frames::{is_below, is_block_on, is_task_poll};

/// What one function says about the thread that runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The runtime polls a task: a spawned one, one of a `LocalSet`, or a closure of the
    /// blocking pool.
    TaskPoll,
    /// The runtime drives a future that was given to `block_on`.
    BlockOn,
    /// The blocking pool, whose threads are there to be blocked.
    BlockingPool,
    /// `block_in_place`: other tasks have been moved away.
    BlockInPlace,
    /// The runtime itself, between polls: it waits for work, or looks for it.
    Runtime,
    /// The runtime around the future of a `block_on`: in an optimised program, the code
    /// of that future may be a part of such a function. Only symbols say so.
    AroundRoot,
    /// A place where blocking was allowed for a reason, or a test of asyncwatch's own.
    Allowed,
    /// A panic that is being told: where that takes long is not what is wrong.
    Panic,
}

/// What a stack says about its thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// In the poll of a task.
    Task {
        /// The outermost frame of those that the runtime polls it with.
        at: usize,
    },
    /// In the poll of a future that was given to `block_on`.
    Root {
        /// The innermost frame of `block_on`.
        at: usize,
    },
    /// In the poll of a future that was given to `block_on`, or in the runtime's own code
    /// around it: only the inlined functions can tell.
    PerhapsRoot {
        /// The innermost frame that is the runtime's.
        at: usize,
    },
    /// Somewhere it may block: in the blocking pool, in `block_in_place`, where it was
    /// allowed, or in the runtime between polls.
    MayBlock,
    /// On a stack that tokio has no part in.
    Elsewhere,
}

/// The scheduler that runs on one thread.
const ONE_THREAD: &str = "tokio::runtime::scheduler::current_thread";

/// What a function says by its symbol alone, which stands for all that was inlined in it.
/// Its name is as [`display_name`](crate::display_name) gives it.
pub fn mark_of_symbol(name: &str) -> Option<Mark> {
    const AROUND: &[&str] = &[
        ONE_THREAD,
        "tokio::runtime::context",
        "tokio::runtime::runtime",
        "tokio::task::coop",
    ];
    let waits = |name: &str| {
        let function = name.rsplit("::").next().unwrap_or(name);
        function.starts_with("park")
    };
    match mark_of(name) {
        Some(Mark::Runtime) if is_below(name, ONE_THREAD) && !waits(name) => Some(Mark::AroundRoot),
        None if AROUND.iter().any(|module| is_below(name, module)) => Some(Mark::AroundRoot),
        mark => mark,
    }
}

/// What a function says, by its name as [`display_name`](crate::display_name) gives it.
pub fn mark_of(name: &str) -> Option<Mark> {
    let function = name.rsplit("::").next().unwrap_or(name);
    if is_below(name, "tokio") {
        if is_task_poll(name) {
            return Some(Mark::TaskPoll);
        }
        if function == "block_in_place" {
            return Some(Mark::BlockInPlace);
        }
        if is_block_on(name) {
            return Some(Mark::BlockOn);
        }
        if is_below(name, "tokio::runtime::blocking") {
            return Some(Mark::BlockingPool);
        }
        const BETWEEN: &[&str] = &[
            "tokio::runtime::driver",
            "tokio::runtime::io",
            "tokio::runtime::park",
            "tokio::runtime::process",
            "tokio::runtime::scheduler",
            "tokio::runtime::signal",
            "tokio::runtime::time::Driver",
        ];
        let between = BETWEEN.iter().any(|module| is_below(name, module));
        // Called from polls, to register and to wake: not a place to wait in.
        let called = name.contains("::Handle::") || name.contains("::handle::");
        let called = called || is_below(name, "tokio::runtime::io::Registration");
        // Around the poll of a root future as well as around parking, which says so itself.
        let called = called || (is_below(name, ONE_THREAD) && function == "enter");
        return (between && !called).then_some(Mark::Runtime);
    }
    if name.starts_with("std::panicking::") {
        const TELLING: &[&str] = &[
            "begin_panic",
            "begin_panic_handler",
            "default_hook",
            "panic_with_hook",
            "rust_panic_with_hook",
        ];
        return TELLING.contains(&function).then_some(Mark::Panic);
    }
    const ALLOWED: &[&str] = &[
        "asyncwatch::allow_blocking",
        "asyncwatch::off::allow_blocking",
        "asyncwatch_instrument::probe::allowed",
        "asyncwatch_instrument::self_test",
    ];
    let allowed = ALLOWED.iter().any(|module| is_below(name, module));
    allowed.then_some(Mark::Allowed)
}

/// What a stack says, by the marks of its frames, the innermost first.
///
/// Closures of the blocking pool are polled like tasks; the pool around tells them
/// apart, even where the compiler left nothing inside.
pub fn scene(marks: &[Option<Mark>]) -> Scene {
    let Some(first) = marks.iter().position(Option::is_some) else {
        return Scene::Elsewhere;
    };
    let is_around = marks[first] == Some(Mark::AroundRoot);
    let sure = |mark: &Option<Mark>| !matches!(mark, None | Some(Mark::AroundRoot));
    let innermost = marks.iter().position(sure).unwrap_or(first);
    match marks[innermost] {
        Some(Mark::BlockOn | Mark::AroundRoot) if is_around => Scene::PerhapsRoot { at: first },
        Some(Mark::TaskPoll) => {
            let outward = &marks[innermost..];
            let end = outward
                .iter()
                .position(|mark| mark.is_some_and(|mark| mark != Mark::TaskPoll));
            let inside = &outward[..end.unwrap_or(outward.len())];
            let last = inside.iter().rposition(Option::is_some).unwrap_or(0);
            match end.and_then(|end| outward[end]) {
                Some(Mark::BlockingPool) => Scene::MayBlock,
                _ => Scene::Task {
                    at: innermost + last,
                },
            }
        }
        Some(Mark::BlockOn) => Scene::Root { at: innermost },
        _ => Scene::MayBlock,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display_name;

    fn seen(names: &[&str]) -> Scene {
        let marks: Vec<_> = names
            .iter()
            .map(|name| mark_of(&display_name(name)))
            .collect();
        scene(&marks)
    }

    const WORKER: [&str; 4] = [
        "tokio::runtime::scheduler::multi_thread::worker::run",
        "<tokio::runtime::blocking::task::BlockingTask<T> as core::future::future::Future>::poll",
        "tokio::runtime::task::raw::poll",
        "tokio::runtime::blocking::pool::Inner::run",
    ];

    fn on_a_worker(inside: &[&str]) -> Scene {
        seen(&[inside, &WORKER].concat())
    }

    #[test]
    fn a_task_that_sleeps_is_in_its_poll() {
        let stack = [
            "clock_nanosleep",
            "std::thread::sleep",
            "app::handler::{{closure}}",
            "tokio::runtime::task::core::Core<T,S>::poll::{{closure}}",
            "std::panicking::catch_unwind",
            "tokio::runtime::task::raw::poll",
            "tokio::runtime::scheduler::multi_thread::worker::Context::run_task",
        ];
        assert_eq!(on_a_worker(&stack), Scene::Task { at: 5 });
        // Optimised, by symbols alone.
        let stack = ["clock_nanosleep", "tokio::runtime::task::raw::poll"];
        let run = "tokio::runtime::scheduler::multi_thread::worker::Context::run_task";
        assert_eq!(
            on_a_worker(&[stack[0], stack[1], run]),
            Scene::Task { at: 1 }
        );
    }

    #[test]
    fn a_worker_between_polls_may_wait() {
        let parked = [
            "syscall",
            "tokio::runtime::scheduler::multi_thread::park::Parker::park",
            "tokio::runtime::scheduler::multi_thread::worker::Context::park_timeout",
        ];
        assert_eq!(on_a_worker(&parked), Scene::MayBlock);
        assert_eq!(on_a_worker(&["epoll_wait"]), Scene::MayBlock);
    }

    #[test]
    fn closures_of_the_blocking_pool_may_block() {
        let pool = "tokio::runtime::blocking::pool::Inner::run";
        let closure = ["read", "app::load", "tokio::runtime::task::raw::poll", pool];
        assert_eq!(seen(&closure), Scene::MayBlock);
        let closure = [
            "read",
            "app::load",
            "<tokio::runtime::blocking::task::BlockingTask<T> as core::future::future::Future>::poll",
            "tokio::runtime::task::raw::poll",
            pool,
        ];
        assert_eq!(seen(&closure), Scene::MayBlock);
    }

    #[test]
    fn the_root_of_block_on_is_polled_too() {
        let sleeping = [
            "clock_nanosleep",
            "app::tests::it_works::{{closure}}",
            "tokio::runtime::scheduler::current_thread::CoreGuard::block_on::{{closure}}",
            "tokio::runtime::runtime::Runtime::block_on",
        ];
        assert_eq!(seen(&sleeping), Scene::Root { at: 2 });
        // Line tables alone do not name closures, nor types.
        let sleeping = [
            "clock_nanosleep",
            "app::main::{{closure}}",
            "{closure#0}<app::main::{async_block_env#0}>",
            "tokio::task::coop::budget",
            "tokio::runtime::scheduler::current_thread::enter",
            "tokio::runtime::context::set_scheduler",
            "tokio::runtime::scheduler::current_thread::CoreGuard::block_on",
        ];
        assert_eq!(seen(&sleeping), Scene::Root { at: 6 });
        let parked = [
            "epoll_wait",
            "tokio::runtime::io::driver::Driver::turn",
            "tokio::runtime::scheduler::current_thread::enter",
            "tokio::runtime::scheduler::current_thread::Context::park",
            "tokio::runtime::scheduler::current_thread::CoreGuard::block_on::{{closure}}",
        ];
        assert_eq!(seen(&parked), Scene::MayBlock);
        let parked = [
            "syscall",
            "tokio::runtime::park::Inner::park",
            "tokio::runtime::park::CachedParkThread::block_on",
        ];
        assert_eq!(seen(&parked), Scene::MayBlock);
    }

    #[test]
    fn symbols_of_an_optimised_program_leave_open_whether_a_root_is_polled() {
        let by_symbols = |names: &[&str]| {
            let marks: Vec<_> = names
                .iter()
                .map(|name| mark_of_symbol(&display_name(name)))
                .collect();
            scene(&marks)
        };
        let around = [
            "std::thread::functions::sleep",
            "tokio::runtime::scheduler::current_thread::Context::enter",
            "tokio::runtime::context::scoped::Scoped<T>::set",
            "tokio::runtime::scheduler::current_thread::CoreGuard::block_on",
        ];
        assert_eq!(by_symbols(&around), Scene::PerhapsRoot { at: 1 });
        let alone = ["sleep", "tokio::runtime::context::runtime::enter_runtime"];
        assert_eq!(by_symbols(&alone), Scene::PerhapsRoot { at: 1 });
        let parked = [
            "epoll_wait",
            "tokio::runtime::scheduler::current_thread::Context::park",
            around[3],
        ];
        assert_eq!(by_symbols(&parked), Scene::MayBlock);
        let spawns = [
            "futex",
            "tokio::runtime::context::current::with_current",
            "tokio::runtime::task::raw::poll",
            around[1],
        ];
        assert_eq!(by_symbols(&spawns), Scene::Task { at: 2 });
        let worker = "tokio::runtime::scheduler::multi_thread::worker::Context::run";
        assert_eq!(by_symbols(&["futex", worker]), Scene::MayBlock);
    }

    #[test]
    fn a_task_of_a_local_set_is_a_task() {
        let stack = [
            "clock_nanosleep",
            "app::local::{{closure}}",
            "tokio::runtime::task::raw::poll",
            "tokio::task::local::LocalSet::tick",
            "<tokio::task::local::RunUntil<T> as core::future::future::Future>::poll",
            "tokio::runtime::scheduler::current_thread::CoreGuard::block_on",
        ];
        assert_eq!(seen(&stack), Scene::Task { at: 2 });
    }

    #[test]
    fn what_is_allowed_is_not_a_poll() {
        let in_place = ["read", "tokio::task::blocking::block_in_place"];
        let poll = "tokio::runtime::task::raw::poll";
        assert_eq!(
            on_a_worker(&[in_place[0], in_place[1], poll]),
            Scene::MayBlock
        );
        let panic = "std::panicking::rust_panic_with_hook";
        assert_eq!(on_a_worker(&["read", panic, poll]), Scene::MayBlock);
        let caught = "std::panicking::try";
        let run = "tokio::runtime::scheduler::multi_thread::worker::Context::run_task";
        assert_eq!(
            on_a_worker(&["read", caught, poll, run]),
            Scene::Task { at: 2 }
        );
    }

    #[test]
    fn other_stacks_are_elsewhere() {
        assert_eq!(seen(&["read", "main", "_start"]), Scene::Elsewhere);
    }
}
