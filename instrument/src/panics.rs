//! Panics: what the program's hook is told of them, and those that tell of a runtime in
//! the wrong place.
//!
//! Our hook calls the one that was set before, so nothing that the program prints or
//! does with panics changes. One that is set later takes our place: then panics of
//! tasks are still seen, but not where they were.

use std::{
    any::Any,
    cell::RefCell,
    panic::{PanicHookInfo, set_hook, take_hook},
};

use asyncwatch_findings::{Code, Frame, SourceFiles, is_below_should_panic, message};
use asyncwatch_stack::RawStack;

use crate::{
    clock::{self, Ticks},
    probe::allowed::allow_blocking,
    registry::slots,
    report::{Detected, OnlyIf, Place},
    settings,
    slow::TaskIdentity,
};

/// Frames of a panic's stack that are kept.
pub(crate) const FRAMES_MAX: usize = 128;
/// Bytes of a panic's message that are kept.
const MESSAGE_BYTES_MAX: usize = 300;

thread_local! {
    static LAST: RefCell<Option<Panicked>> = const { RefCell::new(None) };
}

/// What the hook noted of a panic.
#[derive(Clone, Debug)]
pub(crate) struct Panicked {
    pub(crate) message: String,
    pub(crate) stack: RawStack,
    at: Ticks,
}

/// Sets our hook in front of the program's.
pub(crate) fn install() {
    // Whoever panics cannot change the hook.
    if std::thread::panicking() {
        return;
    }
    let theirs = take_hook();
    set_hook(Box::new(move |info| {
        if settings::on() {
            note(info);
        }
        // Printing a backtrace takes as long as it takes.
        allow_blocking("a panic is told", || theirs(info));
        told();
    }));
}

/// The last panic of the calling thread, if it was after `began`.
pub(crate) fn take_since(began: Ticks) -> Option<Panicked> {
    LAST.try_with(RefCell::take)
        .ok()
        .flatten()
        .filter(|panicked| panicked.at >= began)
}

fn note(info: &PanicHookInfo<'_>) {
    let panicked = Panicked {
        message: bounded(message_of(info.payload())),
        stack: asyncwatch_stack::own_trace(FRAMES_MAX),
        at: clock::now(),
    };
    if settings::wants(Code::NestedBlockOn)
        && let Some(mistake) = Mistake::of(&panicked.message)
    {
        crate::found(mistake.detected(&panicked));
    }
    // A thread that ends has no place for it any more.
    let _ = LAST.try_with(|last| last.replace(Some(panicked)));
}

/// The poll now counts as begun later, by the time that telling took.
fn told() {
    let _ = LAST.try_with(|last| {
        if let Some(panicked) = &mut *last.borrow_mut() {
            panicked.at = clock::now();
        }
    });
}

fn message_of(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or_default()
}

/// The first line, cut.
fn bounded(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let mut end = line.len().min(MESSAGE_BYTES_MAX);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line[..end].to_owned()
}

/// A panic of tokio that tells of a runtime where none may be, or of none.
#[derive(Debug)]
struct Mistake {
    /// How tokio's message begins.
    says: &'static str,
    /// What the task did, completing "task … ".
    did: &'static str,
    /// The same at the line.
    label: &'static str,
    help: &'static str,
}

const MISTAKES: &[Mistake] = &[
    Mistake {
        says: "Cannot start a runtime from within a runtime",
        did: "entered a runtime on a thread that already drives one, and panicked",
        label: "`block_on` inside a runtime",
        help: "`.await` the future instead; synchronous code that has to wait for one belongs into `tokio::task::spawn_blocking`",
    },
    Mistake {
        says: "Cannot block the current thread from within a runtime",
        did: "called a blocking method of tokio on a thread that drives tasks, and panicked",
        label: "a blocking call inside a runtime",
        help: "await the async method of the same type (`send`, `recv`, `lock`), or make the call in `tokio::task::spawn_blocking`",
    },
    Mistake {
        says: "Cannot drop a runtime in a context where blocking is not allowed",
        did: "dropped a runtime inside async code, and panicked",
        label: "a runtime is dropped here, which blocks",
        help: "drop it outside of async code or in `spawn_blocking`, or end it with `shutdown_background()`; a blocking client such as `reqwest::blocking` holds one: use the async one",
    },
    Mistake {
        says: "there is no reactor running",
        did: "used tokio where no runtime is, and panicked",
        label: "needs a runtime around it",
        help: "call it in a task, in the future of `block_on`, or after `let _guard = handle.enter()` with the `Handle` of a runtime",
    },
    Mistake {
        says: "A Tokio 1.x context was found, but IO is disabled",
        did: "used I/O on a runtime that was built without it, and panicked",
        label: "needs a runtime with I/O",
        help: "build the runtime with `.enable_io()` or `.enable_all()`",
    },
    Mistake {
        says: "A Tokio 1.x context was found, but timers are disabled",
        did: "used a timer on a runtime that was built without them, and panicked",
        label: "needs a runtime with timers",
        help: "build the runtime with `.enable_time()` or `.enable_all()`",
    },
    Mistake {
        says: "can call blocking only when running on the multi-threaded runtime",
        did: "called `block_in_place` on a runtime of one thread, and panicked",
        label: "nobody could take over this thread's tasks",
        help: "use `tokio::task::spawn_blocking`, or build the runtime with `flavor = \"multi_thread\"`",
    },
    Mistake {
        says: "`spawn_local` called from outside of a",
        did: "called `spawn_local` where no `LocalSet` is, and panicked",
        label: "needs a `LocalSet` around it",
        help: "call it inside `LocalSet::run_until` or on a `LocalRuntime`; a future that is `Send` can go to `tokio::spawn`",
    },
];

impl Mistake {
    fn of(message: &str) -> Option<&'static Mistake> {
        MISTAKES
            .iter()
            .find(|mistake| message.starts_with(mistake.says))
    }

    fn detected(&self, panicked: &Panicked) -> Detected {
        let task = slots::known()
            .and_then(|slot| slot.current())
            .map(TaskIdentity::of);
        let who = match task {
            Some(task) => message::task_name(Some(&task.to_ref())),
            None => match std::thread::current().name() {
                Some(name) => format!("thread `{name}`"),
                None => "a thread".to_owned(),
            },
        };
        Detected {
            label: Some(self.label.to_owned()),
            task,
            runtime: slots::runtime_here(),
            stacks: vec![(std::time::Duration::ZERO, panicked.stack.clone())],
            help: Some(self.help.to_owned()),
            notes: vec![format!("tokio said: {}", panicked.message)],
            only_if: Some(OnlyIf::Frames(panicked.stack.clone(), is_no_test_of_it)),
            ..Detected::new(
                Code::NestedBlockOn,
                format!("{who} {}", self.did),
                Place::Stack,
            )
        }
    }
}

/// A `#[should_panic]` test of the program wants to see the panic.
fn is_no_test_of_it(frames: &[Frame]) -> bool {
    !is_below_should_panic(frames, &SourceFiles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tokio_says_of_misplaced_runtimes_is_known() {
        let said = |work: fn()| {
            let panic = std::panic::catch_unwind(work).expect_err("it panics");
            let message = message_of(&*panic).to_owned();
            Mistake::of(&message).map_or(message, |mistake| mistake.label.to_owned())
        };
        fn runtime() -> tokio::runtime::Runtime {
            tokio::runtime::Builder::new_current_thread()
                .build()
                .expect("runtime")
        }
        assert_eq!(
            said(|| runtime().block_on(async { runtime().block_on(async {}) })),
            "`block_on` inside a runtime"
        );
        assert_eq!(
            said(|| runtime().block_on(async {
                drop(tokio::sync::Mutex::new(1).blocking_lock());
            })),
            "a blocking call inside a runtime"
        );
        assert_eq!(
            said(|| runtime().block_on(async { drop(runtime()) })),
            "a runtime is dropped here, which blocks"
        );
        assert_eq!(
            said(|| drop(tokio::spawn(async {}))),
            "needs a runtime around it"
        );
        assert_eq!(
            said(|| runtime()
                .block_on(async { tokio::time::sleep(std::time::Duration::ZERO).await })),
            "needs a runtime with timers"
        );
        assert_eq!(
            said(|| runtime().block_on(async {
                let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
                listener.set_nonblocking(true).expect("set");
                drop(tokio::net::TcpListener::from_std(listener));
            })),
            "needs a runtime with I/O"
        );
        assert_eq!(
            said(|| runtime().block_on(async { tokio::task::block_in_place(|| {}) })),
            "nobody could take over this thread's tasks"
        );
        assert_eq!(
            said(|| drop(tokio::task::spawn_local(async {}))),
            "needs a `LocalSet` around it"
        );
    }

    #[test]
    fn other_panics_are_none_of_them() {
        assert!(Mistake::of("index out of bounds").is_none());
        assert!(Mistake::of("").is_none());
    }

    #[test]
    fn messages_are_cut_between_characters() {
        assert_eq!(bounded("one\ntwo"), "one");
        let long = "é".repeat(MESSAGE_BYTES_MAX);
        assert_eq!(bounded(&long).len(), MESSAGE_BYTES_MAX);
        assert_eq!(bounded(&format!("x{long}")).len(), MESSAGE_BYTES_MAX - 1);
    }
}
