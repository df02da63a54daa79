//! Which thread owns which slot.
//!
//! A thread gets a slot when it polls something for the first time, or when its
//! runtime starts it, and gives it back when it ends. Registering allocates and
//! locks; it happens once a thread.

use std::{
    cell::{Cell, OnceCell},
    sync::{
        Arc, OnceLock,
        atomic::{
            AtomicU32, AtomicU64, AtomicUsize,
            Ordering::{AcqRel, Acquire, Relaxed},
        },
    },
};

use asyncwatch_stack::Thread;

use super::slot::{Base, Slot};
use crate::{clock::Ticks, drops, runtimes, self_test};

/// 1,024 slots of about 1 KiB: 1 MiB if all are used.
const SLOTS_MAX: usize = 1_024;

static SLOTS: [OnceLock<Box<Slot>>; SLOTS_MAX] = [const { OnceLock::new() }; SLOTS_MAX];
static USED: AtomicU32 = AtomicU32::new(0);
/// Polls made by threads that have ended.
static PAST_POLLS: AtomicU64 = AtomicU64::new(0);

/// The thread that owns a slot.
#[derive(Debug)]
pub(crate) struct ThreadInfo {
    pub(crate) thread: Thread,
    /// Number of the tokio worker plus one; 0 while it is none.
    worker: AtomicUsize,
    runtime: AtomicU64,
    /// It is ours: what it polls is nothing of the program's.
    pub(crate) own: bool,
}

impl ThreadInfo {
    /// Number of the tokio worker that it is now, on a multi-thread runtime.
    pub(crate) fn worker(&self) -> Option<usize> {
        self.worker.load(Relaxed).checked_sub(1)
    }

    /// The runtime it polls for; 0 if none was entered.
    pub(crate) fn runtime(&self) -> u64 {
        self.runtime.load(Relaxed)
    }

    /// As findings name it: `worker 1`, ``thread `main` ``; with the runtime where the
    /// program has several.
    pub(crate) fn label(&self) -> String {
        let thread = match self.worker() {
            Some(worker) => format!("worker {worker}"),
            None if self.thread.name().is_empty() => format!("thread {}", self.thread.tid()),
            None => format!("thread `{}`", self.thread.name()),
        };
        match runtimes::one_of_several(self.runtime()) {
            Some(runtime) => format!("{thread} of {runtime}"),
            None => thread,
        }
    }

    /// Looks anew which worker it is, and of which runtime: `block_in_place` makes
    /// another thread the worker, and a thread may run one runtime after another.
    /// To be called on the thread itself.
    ///
    /// Whether it is another runtime than before.
    fn refresh(&self) -> bool {
        if self.own {
            return false;
        }
        let worker = tokio::runtime::worker_index().map_or(0, |worker| worker + 1);
        self.worker.store(worker, Relaxed);
        if worker == 0
            && let Ok(handle) = tokio::runtime::Handle::try_current()
        {
            let runtime = runtimes::number(handle.id());
            return self.runtime.swap(runtime, Relaxed) != runtime;
        }
        false
    }
}

thread_local! {
    /// The slot, once there is one.
    static CURRENT: Cell<Option<&'static Slot>> = const { Cell::new(None) };
    /// No slot was left, or the thread registers just now, or it is ending.
    static WITHOUT: Cell<bool> = const { Cell::new(false) };
    static OWNER: Owner = const { Owner { held: OnceCell::new() } };
}

/// Gives the slot back when the thread ends.
struct Owner {
    held: OnceCell<(&'static Slot, Arc<ThreadInfo>)>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        CURRENT.set(None);
        WITHOUT.set(true);
        if let Some((slot, info)) = self.held.take() {
            let polls = slot.release();
            if !info.own {
                PAST_POLLS.fetch_add(polls, Relaxed);
            }
        }
    }
}

/// The calling thread's slot.
#[inline]
pub(crate) fn current() -> Option<&'static Slot> {
    match CURRENT.get() {
        Some(slot) => Some(slot),
        None => register(),
    }
}

/// The calling thread's slot, if it has polled something: a thread that only spawns
/// or drops futures needs none.
#[inline]
pub(crate) fn known() -> Option<&'static Slot> {
    CURRENT.get()
}

/// The account of the calling thread, if it has a slot.
pub(crate) fn account_here(now: Ticks) -> Option<Base> {
    OWNER
        .try_with(|owner| {
            let (_, info) = owner.held.get()?;
            let waits = info.thread.waits_here();
            Some(Base {
                at: now,
                usage: info.thread.usage_here(),
                sleeps: waits.map(|waits| waits.sleeps),
                faults: waits.map(|waits| waits.faults),
            })
        })
        .ok()?
}

/// Brings up to date what is known of the calling thread. For now and then.
pub(crate) fn refresh_here() {
    // While the thread ends there is nothing to know.
    let _ = OWNER.try_with(|owner| {
        if let Some((slot, info)) = owner.held.get()
            && info.refresh()
        {
            slot.adopt_limit(info);
        }
    });
}

/// The runtime that the calling thread is in; 0 if none.
pub(crate) fn runtime_here() -> u64 {
    // Workers stay with their runtime.
    let of_worker = |owner: &Owner| {
        let (_, info) = owner.held.get()?;
        info.worker().map(|_| info.runtime())
    };
    if let Ok(Some(runtime)) = OWNER.try_with(of_worker) {
        return runtime;
    }
    tokio::runtime::Handle::try_current().map_or(0, |handle| runtimes::number(handle.id()))
}

/// Ends a task: now, or if this thread is polling it, with that poll.
#[cfg(feature = "layer")]
pub(crate) fn end(task: &'static super::task::Task) {
    let polled_here = known()
        .and_then(Slot::current)
        .is_some_and(|current| std::ptr::eq(current, task));
    if polled_here {
        task.ending.store(true, Relaxed);
    } else {
        super::slab::remove(task);
    }
}

/// Every slot that has ever been used.
pub(crate) fn all() -> impl Iterator<Item = &'static Slot> {
    let used = USED.load(Acquire) as usize;
    SLOTS[..used]
        .iter()
        .filter_map(OnceLock::get)
        .map(|slot| &**slot)
}

/// Has every slot adopt the limit that holds for its thread's polls.
pub(crate) fn adopt_limits() {
    for slot in all() {
        if let Some(info) = slot.info() {
            slot.adopt_limit(&info);
        }
    }
}

/// All polls that were seen in this process.
pub(crate) fn total_polls() -> u64 {
    PAST_POLLS.load(Relaxed) + all().map(Slot::polls).sum::<u64>()
}

/// The slot with this number.
pub(crate) fn at(number: u32) -> Option<&'static Slot> {
    SLOTS.get(number as usize)?.get().map(|slot| &**slot)
}

#[cold]
fn register() -> Option<&'static Slot> {
    if WITHOUT.replace(true) {
        return None;
    }
    let own = self_test::is_here();
    let info = Arc::new(ThreadInfo {
        thread: Thread::current(),
        worker: AtomicUsize::new(tokio::runtime::worker_index().map_or(0, |worker| worker + 1)),
        runtime: AtomicU64::new(if own { 0 } else { runtimes::hand_in() }),
        own,
    });
    let slot = claim(&info);
    let Some(slot) = slot else {
        drops::count(drops::What::Threads);
        return None;
    };
    let held = OWNER.try_with(|owner| owner.held.set((slot, info)).is_ok());
    if held == Ok(true) {
        CURRENT.set(Some(slot));
        Some(slot)
    } else {
        slot.release();
        None
    }
}

fn claim(info: &Arc<ThreadInfo>) -> Option<&'static Slot> {
    loop {
        if let Some(slot) = all().find(|slot| slot.claim(info)) {
            return Some(slot);
        }
        let number = USED
            .fetch_update(AcqRel, Acquire, |used| {
                ((used as usize) < SLOTS_MAX).then_some(used + 1)
            })
            .ok()?;
        let slot = SLOTS[number as usize].get_or_init(|| Box::new(Slot::new(number)));
        // Another thread that looks for a free slot may have been faster.
        if slot.claim(info) {
            return Some(slot);
        }
    }
}
