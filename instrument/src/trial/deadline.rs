//! A test's time: what is told, and what is done, when it is up.
//!
//! A thread of ours waits for the end of the test. If that does not come in time it
//! notes what every task and thread does, and has the root future end. A thread that is
//! stuck in a poll cannot be ended; then the notes are printed and the process exits, as
//! nobody would ever read them otherwise.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Release},
        },
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    task::{Context, Poll, Waker},
    thread::{self, JoinHandle},
    time::Duration,
};

use asyncwatch_findings::humanise;
use pin_project_lite::pin_project;

use super::dump;
use crate::report::to_stderr;

/// For so long a test may take to end once it was told to.
const TO_END: Duration = Duration::from_secs(5);
/// The exit code of a test process with failures.
const FAILED: i32 = 101;

/// The time of one test.
pub(super) struct Deadline {
    call: Arc<Call>,
    /// Dropped when the test has ended.
    running: Sender<()>,
    /// Gives what was noted if the time was up.
    thread: Option<JoinHandle<Option<String>>>,
}

/// How the root future is told to end.
#[derive(Debug, Default)]
struct Call {
    over: AtomicBool,
    /// `block_on` polls with one waker from first to last.
    waker: OnceLock<Waker>,
}

impl Deadline {
    pub(super) fn start(name: &'static str, runtime: u64, timeout: Duration) -> Deadline {
        let call = Arc::new(Call::default());
        let (running, ended) = channel();
        let theirs = call.clone();
        let thread = thread::Builder::new()
            .name("asyncwatch-tim".to_owned())
            .spawn(move || watch(name, runtime, timeout, &theirs, &ended))
            .map_err(|why| crate::warn(format!("`{name}` has no timeout: no thread: {why}")))
            .ok();
        Deadline {
            call,
            running,
            thread,
        }
    }

    /// The test has ended; what was noted if that was too late.
    pub(super) fn end(self) -> Option<String> {
        drop(self.running);
        self.thread?.join().ok().flatten()
    }
}

fn watch(
    name: &str,
    runtime: u64,
    timeout: Duration,
    call: &Call,
    ended: &Receiver<()>,
) -> Option<String> {
    if ended.recv_timeout(timeout) != Err(RecvTimeoutError::Timeout) {
        return None;
    }
    let seen = dump::look(runtime);
    call.over.store(true, Release);
    if let Some(waker) = call.waker.get() {
        waker.wake_by_ref();
    }
    let text = format!(
        "test `{name}` did not end within {}\n\n{}",
        humanise(timeout),
        seen.render()
    );
    if ended.recv_timeout(TO_END) == Err(RecvTimeoutError::Timeout) {
        to_stderr(&format!(
            "{text}\nerror[asyncwatch]: a thread of the test is stuck and cannot be ended, so the process exits\n"
        ));
        std::process::exit(FAILED);
    }
    Some(text)
}

pin_project! {
    /// A future that ends with `None` when its time is up.
    pub(super) struct Within<F> {
        #[pin]
        future: F,
        call: Option<Arc<Call>>,
    }
}

/// The future within the time of its test, if that has one.
pub(super) fn within<F: Future>(deadline: Option<&Deadline>, future: F) -> Within<F> {
    Within {
        future,
        call: deadline.map(|deadline| deadline.call.clone()),
    }
}

impl<F: Future> Future for Within<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Some(call) = this.call {
            // Before it is asked, so that a call between the two is not missed.
            call.waker.get_or_init(|| context.waker().clone());
            if call.over.load(Acquire) {
                return Poll::Ready(None);
            }
        }
        this.future.poll(context).map(Some)
    }
}
