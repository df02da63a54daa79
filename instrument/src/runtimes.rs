//! The tokio runtimes that polls were seen on.
//!
//! A handle keeps a runtime's drivers alive, so one that shows no activity is
//! given up after [`IDLE`] and asked for again when its threads poll.

use std::{
    hash::{Hash, Hasher},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::runtime::{Handle, RuntimeFlavor};

use crate::registry::{
    slab,
    task::{Kind, Task},
};

/// For how long an idle runtime's handle is kept.
const IDLE: Duration = Duration::from_secs(3);
/// Entries of tasks that are looked at to count the woken ones: 1 MiB of them.
const WOKEN_LOOKED_AT: usize = 4_096;
/// Runtimes whose metrics are shown at a time.
const RUNTIMES_MAX: usize = 64;

static RUNTIMES: Mutex<Vec<Entry>> = Mutex::new(Vec::new());
/// Every runtime that was ever handed in, the oldest first; past [`RUNTIMES_MAX`] they
/// have no names.
static NAMES: Mutex<Vec<Named>> = Mutex::new(Vec::new());

struct Named {
    id: u64,
    /// Given by the program, to the runtime or to its threads.
    name: Option<String>,
}

/// Threads that the program gave no name.
const TOKIOS_NAMES: &[&str] = &["tokio-rt-worker", "tokio-runtime-worker"];

struct Entry {
    id: u64,
    handle: Handle,
    active: Instant,
    polls: u64,
}

/// The number behind one of tokio's opaque ids.
#[inline]
pub(crate) fn number(id: impl Hash) -> u64 {
    let mut number = Number(0);
    id.hash(&mut number);
    number.0
}

/// tokio's ids hash as the one integer they are; anything else is folded.
struct Number(u64);

impl Hasher for Number {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    #[inline]
    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.wrapping_mul(31).wrapping_add(u64::from(byte));
        }
    }
}

/// Hands in the calling thread's runtime and returns its number; 0 if there is none.
pub(crate) fn hand_in() -> u64 {
    let Ok(handle) = Handle::try_current() else {
        return 0;
    };
    let id = number(handle.id());
    learn_name(id, &handle);
    let mut runtimes = RUNTIMES.lock().unwrap_or_else(PoisonError::into_inner);
    let active = Instant::now();
    if let Some(entry) = runtimes.iter_mut().find(|entry| entry.id == id) {
        entry.active = active;
    } else if runtimes.len() < RUNTIMES_MAX {
        runtimes.push(Entry {
            id,
            handle,
            active,
            polls: 0,
        });
    }
    id
}

fn learn_name(id: u64, handle: &Handle) {
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let known = names.iter().position(|known| known.id == id);
    let unknown = match known {
        Some(at) => names[at].name.is_none(),
        None => names.len() < RUNTIMES_MAX,
    };
    if !unknown {
        return;
    }
    // The thread of a `current_thread` runtime is the program's, and so is its name.
    let has_threads = handle.runtime_flavor() == RuntimeFlavor::MultiThread;
    let of_threads = || {
        tokio::runtime::worker_index().filter(|_| has_threads)?;
        let thread = std::thread::current();
        let name = thread.name()?;
        (!TOKIOS_NAMES.contains(&name)).then(|| name.to_owned())
    };
    let name = handle.name().map(str::to_owned).or_else(of_threads);
    match known {
        Some(at) => names[at].name = name,
        None => names.push(Named { id, name }),
    }
}

/// The name of runtime `id`, if the program has had more than one: ``runtime `io` ``,
/// or `runtime 2`.
pub(crate) fn one_of_several(id: u64) -> Option<String> {
    let names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if names.len() < 2 {
        return None;
    }
    let at = names.iter().position(|known| known.id == id)?;
    Some(match &names[at].name {
        Some(name) => format!("runtime `{name}`"),
        None => format!("runtime {}", at + 1),
    })
}

/// The known runtimes.
pub(crate) fn handles() -> Vec<(u64, Handle)> {
    let runtimes = RUNTIMES.lock().unwrap_or_else(PoisonError::into_inner);
    runtimes
        .iter()
        .map(|entry| (entry.id, entry.handle.clone()))
        .collect()
}

/// Whether the handle of runtime `id` is held.
pub(crate) fn is_known(id: u64) -> bool {
    let runtimes = RUNTIMES.lock().unwrap_or_else(PoisonError::into_inner);
    runtimes.iter().any(|entry| entry.id == id)
}

/// Tasks queued on runtime `id` that wait for `worker` or for any worker.
pub(crate) fn queued(id: u64, worker: Option<usize>) -> Option<u64> {
    let queue = queue(id, worker)?;
    Some(queue.local + queue.global)
}

/// Tasks queued on runtime `id` that `worker` will have to poll: its own, and its share
/// of those that wait for any.
pub(crate) fn waiting_for(id: u64, worker: Option<usize>) -> Option<u64> {
    let queue = queue(id, worker)?;
    Some(queue.local + queue.global / queue.workers)
}

struct Queue {
    local: u64,
    global: u64,
    workers: u64,
}

fn queue(id: u64, worker: Option<usize>) -> Option<Queue> {
    let runtimes = RUNTIMES.lock().unwrap_or_else(PoisonError::into_inner);
    let handle = &runtimes.iter().find(|entry| entry.id == id)?.handle;
    let metrics = handle.metrics();
    let local = local_queue(&metrics, handle.runtime_flavor(), worker) as u64;
    let global = metrics.global_queue_depth() as u64;
    drop(runtimes);
    Some(Queue {
        local,
        // Without the local queues, what is seen of wakes may tell more.
        global: if cfg!(tokio_unstable) {
            global
        } else {
            global.max(woken(id))
        },
        workers: metrics.num_workers().max(1) as u64,
    })
}

/// Watched tasks of runtime `id` that were seen to be woken and wait for their poll.
fn woken(id: u64) -> u64 {
    let waits = |task: &&Task| task.is_woken() && task.runtime() == id && task.id() != 0;
    let waiting = slab::all().take(WOKEN_LOOKED_AT).filter(waits);
    waiting.filter(|task| task.kind() != Kind::Future).count() as u64
}

#[cfg(tokio_unstable)]
fn local_queue(
    metrics: &tokio::runtime::RuntimeMetrics,
    flavor: RuntimeFlavor,
    worker: Option<usize>,
) -> usize {
    let worker = match flavor {
        RuntimeFlavor::CurrentThread => Some(0),
        _ => worker,
    };
    worker
        .filter(|&worker| worker < metrics.num_workers())
        .map_or(0, |worker| metrics.worker_local_queue_depth(worker))
}

#[cfg(not(tokio_unstable))]
fn local_queue(_: &tokio::runtime::RuntimeMetrics, _: RuntimeFlavor, _: Option<usize>) -> usize {
    0
}

/// Gives up handles of runtimes on which nothing was polled for a while.
///
/// `polls` tells how many polls the threads of a runtime have made so far.
pub(crate) fn let_go(polls: impl Fn(u64) -> u64) {
    let mut runtimes = RUNTIMES.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    let mut gone = Vec::new();
    for n in (0..runtimes.len()).rev() {
        let entry = &mut runtimes[n];
        let polls = polls(entry.id);
        if polls != entry.polls {
            entry.polls = polls;
            entry.active = now;
        } else if now.duration_since(entry.active) > IDLE {
            gone.push(runtimes.swap_remove(n));
        }
    }
    // Dropping the last handle may close files: not under the lock.
    drop(runtimes);
    drop(gone);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_numbers() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("runtime");
        let (first, second) = runtime.block_on(async {
            let first = tokio::spawn(async { tokio::task::id() })
                .await
                .expect("task");
            let second = tokio::spawn(async { tokio::task::id() })
                .await
                .expect("task");
            (first, second)
        });
        assert_eq!(number(first).to_string(), first.to_string());
        assert_eq!(number(second).to_string(), second.to_string());
    }

    #[test]
    fn runtimes_are_named_by_themselves_or_by_their_threads_or_numbered() {
        let build = |builder: &mut tokio::runtime::Builder| builder.build().expect("runtime");
        let multi = tokio::runtime::Builder::new_multi_thread;
        let runtimes = [
            build(multi().worker_threads(1).name("io")),
            build(multi().worker_threads(1).thread_name("database")),
            build(&mut tokio::runtime::Builder::new_current_thread()),
        ];
        let names = runtimes.each_ref().map(|runtime| {
            let _inside = runtime.enter();
            // The thread that enters it does not bear its name; its workers do.
            hand_in();
            let id = runtime.block_on(async { tokio::spawn(async { hand_in() }).await });
            id.expect("the task ends well")
        });
        let [io, database, other] = names.map(|id| one_of_several(id).expect("there are several"));
        assert_eq!(io, "runtime `io`");
        assert_eq!(database, "runtime `database`");
        let number = other.strip_prefix("runtime ").expect("a number");
        assert!(number.parse::<usize>().is_ok(), "{other}");
    }

    #[test]
    fn an_idle_runtime_is_let_go_and_comes_back() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("runtime");
        let _inside = runtime.enter();
        let id = hand_in();
        assert_ne!(id, 0);
        let known = || handles().iter().any(|(known, _)| *known == id);
        assert!(known());
        let long_ago = Instant::now().checked_sub(IDLE * 2).expect("uptime");
        for entry in RUNTIMES.lock().expect("lock").iter_mut() {
            if entry.id == id {
                entry.active = long_ago;
            }
        }
        let_go(|_| 0);
        assert!(!known());
        hand_in();
        assert!(known());
    }
}
