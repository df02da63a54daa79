//! Whether anybody still holds a task's `JoinHandle`, and whether anybody can wake it.
//!
//! tokio's API does not tell. But the waker that it polls a task with points to the
//! task's header, which begins with its state: one word with flags and the number of
//! references. This module reads that word, never writes it, and only if
//! [`learn`] found on tasks of its own that exactly the tokio that is linked here
//! keeps it the way [`TaskState`] says. Otherwise nothing is known of any task, and
//! what rests on it is off.

#![expect(unsafe_code, reason = "the state word lies behind a waker's pointer")]

use std::{
    future::poll_fn,
    ptr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicPtr, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    task::{Poll, RawWakerVTable, Waker},
    thread,
};

const RUNNING: usize = 1;
const COMPLETE: usize = 1 << 1;
const NOTIFIED: usize = 1 << 2;
const JOIN_INTEREST: usize = 1 << 3;
const JOIN_WAKER: usize = 1 << 4;
const CANCELLED: usize = 1 << 5;
const FLAGS: usize = RUNNING | COMPLETE | NOTIFIED | JOIN_INTEREST | JOIN_WAKER | CANCELLED;
const REFERENCES_SHIFT: u32 = FLAGS.trailing_ones();

/// The table of tokio's task wakers; null until [`learn`] has succeeded.
static TABLE: AtomicPtr<RawWakerVTable> = AtomicPtr::new(ptr::null_mut());

/// The state of a tokio task at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskState(usize);

impl TaskState {
    /// Its future has returned or panicked, or it was cancelled.
    pub(crate) fn is_complete(self) -> bool {
        self.0 & COMPLETE != 0
    }

    /// Its `JoinHandle` exists.
    pub(crate) fn has_handle(self) -> bool {
        self.0 & JOIN_INTEREST != 0
    }

    /// Somebody has polled its `JoinHandle`, or it is in a `JoinSet`. Only while it
    /// is not complete.
    pub(crate) fn is_awaited(self) -> bool {
        self.0 & JOIN_WAKER != 0
    }

    /// It is not polled, will not be, and was not cancelled, unless somebody wakes it.
    pub(crate) fn is_asleep(self) -> bool {
        self.0 & (RUNNING | COMPLETE | NOTIFIED | CANCELLED) == 0
    }

    /// References that are neither the runtime's own nor the `JoinHandle`: wakers and
    /// abort handles. Of a task that [sleeps](TaskState::is_asleep).
    pub(crate) fn others_of_sleeper(self) -> usize {
        let own = 1 + usize::from(self.has_handle());
        (self.0 >> REFERENCES_SHIFT).saturating_sub(own)
    }
}

/// The state of the task that `waker` wakes; `None` if that is no task of the tokio
/// linked here, or if [`learn`] did not succeed.
#[inline]
pub(crate) fn of(waker: &Waker) -> Option<TaskState> {
    if !ptr::eq(waker.vtable(), TABLE.load(Acquire)) {
        return None;
    }
    // SAFETY: a waker with this table points to the header of a task, which it keeps
    // alive for as long as it is borrowed here: a clone counts as a reference to the
    // task, and the waker lent to a poll lives no longer than that poll, which holds a
    // reference. `learn` saw that the header begins with the state word, and that tokio
    // changes it while others read it, which only an atomic can.
    let state = unsafe { &*waker.data().cast::<AtomicUsize>() };
    Some(TaskState(state.load(Acquire)))
}

/// Whether states are known here.
pub(crate) fn is_known() -> bool {
    !TABLE.load(Relaxed).is_null()
}

/// Looks at tasks of its own, on a thread and a runtime of its own, whether their states
/// are where they are expected, and turns [`of`] on if so. Takes well under a
/// millisecond.
///
/// # Errors
///
/// Why [`of`] stays off.
pub(crate) fn learn() -> Result<(), &'static str> {
    let tested = thread::Builder::new()
        .name("asyncwatch".to_owned())
        .spawn(|| {
            // They are nothing to the program's subscriber.
            tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::new(), test)
        })
        .map(thread::JoinHandle::join);
    let Ok(Ok(table)) = tested else {
        return Err("the test did not run");
    };
    TABLE.store(ptr::from_ref(table?).cast_mut(), Release);
    Ok(())
}

/// Another shape of tokio than the known one.
const UNKNOWN: &str = "this version of tokio keeps the state of its tasks differently";

fn test() -> Result<&'static RawWakerVTable, &'static str> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|_| "no runtime to test on")?;
    let spawned = runtime.block_on(life_of_a_task())?;
    let local = runtime.block_on(tokio::task::LocalSet::new().run_until(life_of_a_local_task()))?;
    if ptr::eq(spawned, local) {
        Ok(spawned)
    } else {
        Err(UNKNOWN)
    }
}

/// What a task is expected to show from its spawn to its end.
async fn life_of_a_task() -> Result<&'static RawWakerVTable, &'static str> {
    let subject = Subject::default();
    let handle = tokio::spawn(subject.clone().run());
    subject.is_polled(1).await?;
    subject.in_poll(RUNNING | JOIN_INTEREST, 3)?;
    subject.shows(JOIN_INTEREST, 3)?;
    let abort = handle.abort_handle();
    subject.shows(JOIN_INTEREST, 4)?;
    drop(abort);
    subject.shows(JOIN_INTEREST, 3)?;

    let joiner = tokio::spawn(handle);
    subject.wake()?;
    subject.shows(NOTIFIED | JOIN_INTEREST, 4)?;
    subject.is_polled(2).await?;
    subject.shows(JOIN_INTEREST | JOIN_WAKER, 3)?;
    joiner.abort();
    // Its handle is gone with it.
    let _ = joiner.await;
    subject.shows(0, 2)?;
    subject.finish()?;
    subject.is_polled(3).await?;
    subject.in_poll(RUNNING, 3)?;
    subject.shows(COMPLETE, 1)?;

    let kept = Subject::default();
    let handle = tokio::spawn(kept.clone().run());
    kept.is_polled(1).await?;
    kept.finish()?;
    kept.is_polled(2).await?;
    kept.shows(COMPLETE | JOIN_INTEREST, 2)?;
    drop(handle);
    kept.shows(COMPLETE, 1)?;
    same(subject.table()?, kept.table()?)
}

async fn life_of_a_local_task() -> Result<&'static RawWakerVTable, &'static str> {
    let subject = Subject::default();
    let handle = tokio::task::spawn_local(subject.clone().run());
    subject.is_polled(1).await?;
    subject.in_poll(RUNNING | JOIN_INTEREST, 3)?;
    subject.shows(JOIN_INTEREST, 3)?;
    drop(handle);
    subject.shows(0, 2)?;
    subject.finish()?;
    subject.is_polled(2).await?;
    subject.shows(COMPLETE, 1)?;
    subject.table()
}

fn same(
    one: &'static RawWakerVTable,
    other: &'static RawWakerVTable,
) -> Result<&'static RawWakerVTable, &'static str> {
    if ptr::eq(one, other) {
        Ok(one)
    } else {
        Err(UNKNOWN)
    }
}

/// A task to look at: it sleeps until it is told to finish.
#[derive(Clone, Default)]
struct Subject(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    polls: u32,
    /// As the last poll found it.
    in_poll: Option<TaskState>,
    waker: Option<Waker>,
    finish: bool,
}

impl Subject {
    async fn run(self) {
        poll_fn(|context| {
            let mut seen = self.lock();
            seen.polls += 1;
            seen.in_poll = read(context.waker());
            if seen.waker.is_none() {
                seen.waker = Some(context.waker().clone());
            }
            if seen.finish {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Gives way until it has been polled so often, and has come to rest.
    async fn is_polled(&self, times: u32) -> Result<(), &'static str> {
        for _ in 0..100 {
            tokio::task::yield_now().await;
            if self.lock().polls >= times {
                tokio::task::yield_now().await;
                return Ok(());
            }
        }
        Err(UNKNOWN)
    }

    fn in_poll(&self, flags: usize, references: usize) -> Result<(), &'static str> {
        expect(self.lock().in_poll, flags, references)
    }

    fn shows(&self, flags: usize, references: usize) -> Result<(), &'static str> {
        let state = self.lock().waker.as_ref().and_then(read);
        expect(state, flags, references)
    }

    fn wake(&self) -> Result<(), &'static str> {
        let waker = self.lock().waker.clone().ok_or(UNKNOWN)?;
        waker.wake();
        Ok(())
    }

    fn finish(&self) -> Result<(), &'static str> {
        self.lock().finish = true;
        self.wake()
    }

    fn table(&self) -> Result<&'static RawWakerVTable, &'static str> {
        self.lock().waker.as_ref().map(Waker::vtable).ok_or(UNKNOWN)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The word that `waker` points to, if there is one: read by the kernel, because
/// nothing is known of it yet.
fn read(waker: &Waker) -> Option<TaskState> {
    let address = waker.data().addr();
    if address == 0 || !address.is_multiple_of(align_of::<AtomicUsize>()) {
        return None;
    }
    asyncwatch_stack::read_word(address).map(TaskState)
}

fn expect(state: Option<TaskState>, flags: usize, references: usize) -> Result<(), &'static str> {
    match state {
        None => Err("this system does not let it be tested"),
        Some(state) if state.0 == flags | references << REFERENCES_SHIFT => Ok(()),
        Some(_) => Err(UNKNOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linked_tokio_is_known() {
        if cfg!(target_os = "linux") {
            assert_eq!(learn(), Ok(()));
        }
    }

    #[test]
    fn only_wakers_of_tasks_have_a_state() {
        let _ = learn();
        assert_eq!(of(Waker::noop()), None);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("runtime");
        let mine = async { poll_fn(|context| Poll::Ready(of(context.waker()))).await };
        assert_eq!(runtime.block_on(mine), None, "a root future is no task");
    }

    #[test]
    fn a_state_tells_who_is_left() {
        let sleeper = TaskState(JOIN_INTEREST | 3 << REFERENCES_SHIFT);
        assert!(sleeper.is_asleep() && sleeper.has_handle() && !sleeper.is_awaited());
        assert_eq!(sleeper.others_of_sleeper(), 1);
        assert_eq!(TaskState(1 << REFERENCES_SHIFT).others_of_sleeper(), 0);
        assert!(!TaskState(CANCELLED | 1 << REFERENCES_SHIFT).is_asleep());
        assert!(TaskState(COMPLETE).is_complete());
    }
}
