//! Threads to look at, and what their stacks say.

#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test file uses its own part of this"
)]

use asyncwatch_stack::{
    Activity, CaptureError, Capturer, RawStack, Still, Symbol, Symboliser, Thread,
};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

/// Deep recursion needs room, unoptimised.
const STACK_BYTES: usize = 16 << 20;

/// A poll that never ends.
pub(crate) fn always() -> Still {
    static SEQ: AtomicU64 = AtomicU64::new(1);
    Still {
        seq: &SEQ,
        expected: 1,
    }
}

/// Runs `body` on a thread that can be looked at.
pub(crate) fn subject<T: Send + 'static>(
    body: impl FnOnce() -> T + Send + 'static,
) -> (Thread, JoinHandle<T>) {
    let (send, receive) = mpsc::channel();
    let run = move || {
        send.send(Thread::current()).expect("the test waits for it");
        body()
    };
    let handle = thread::Builder::new().stack_size(STACK_BYTES).spawn(run);
    let handle = handle.expect("threads can be had");
    (receive.recv().expect("it introduces itself"), handle)
}

/// Waits until `thread` sleeps in one of the calls `names`.
pub(crate) fn wait_for_call(thread: &Thread, names: &[&str]) {
    loop {
        match thread.activity() {
            Activity::Syscall(call) if names.contains(&&*call.name()) => return,
            Activity::Gone => panic!("the thread ended before it called {names:?}"),
            _ => thread::yield_now(),
        }
    }
}

/// Captures until it succeeds. On a busy machine a running thread may not get
/// its turn in time; nothing else may go wrong.
pub(crate) fn insist(capturer: &mut Capturer, thread: &Thread) -> RawStack {
    loop {
        match capturer.capture(thread, always()) {
            Ok(stack) => return stack,
            Err(CaptureError::NoAnswer | CaptureError::Moved | CaptureError::Busy) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// All the symbols on a stack, innermost first.
pub(crate) fn symbols(symboliser: &mut Symboliser, stack: &RawStack) -> Vec<Symbol> {
    stack
        .addresses
        .iter()
        .flat_map(|&address| symboliser.resolve(address).to_vec())
        .collect()
}

/// The last parts of the paths of all the functions on a stack.
pub(crate) fn names(symboliser: &mut Symboliser, stack: &RawStack) -> Vec<String> {
    symbols(symboliser, stack)
        .into_iter()
        .map(|symbol| match symbol.function.rsplit_once("::") {
            Some((_, name)) => name.to_owned(),
            None => symbol.function,
        })
        .collect()
}

/// Asserts that `wanted` are among `names`, in this order.
#[track_caller]
pub(crate) fn assert_in_order(names: &[String], wanted: &[&str]) {
    let mut rest = names.iter();
    for name in wanted {
        assert!(
            rest.any(|there| there == name),
            "`{name}` is not in its place in {names:#?}"
        );
    }
}

/// Threads that do nothing but use the CPU, until dropped.
pub(crate) struct Burners(Arc<AtomicBool>, Vec<JoinHandle<()>>);

impl Burners {
    pub(crate) fn start(count: usize) -> Burners {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..count)
            .map(|_| {
                let stop = Arc::clone(&stop);
                thread::spawn(move || while !stop.load(Ordering::Relaxed) {})
            })
            .collect();
        Burners(stop, threads)
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        for thread in self.1.drain(..) {
            thread.join().expect("a burner cannot fail");
        }
    }
}
