//! The ends of slow polls, on their way from the polling threads to the watchdog.

use std::sync::LazyLock;

use asyncwatch_findings::{Code, TaskRef};
use crossbeam_queue::ArrayQueue;

use crate::{
    clock::Ticks,
    drops,
    registry::{
        sites::Site,
        slot::Base,
        task::{Kind, Task},
    },
    source::SourceLine,
};

/// The watchdog empties the queue at least every 50 ms by default, and each entry
/// stands for a poll that reached the limit: 1,024 threads at once.
const QUEUE: usize = 1_024;

static ENDS: LazyLock<ArrayQueue<SlowEnd>> = LazyLock::new(|| ArrayQueue::new(QUEUE));

/// A slow poll has ended.
#[derive(Clone, Debug)]
pub(crate) struct SlowEnd {
    pub(crate) slot: u32,
    /// The number of its first stretch.
    pub(crate) origin: u64,
    pub(crate) task: TaskIdentity,
    /// The accounting at its begin; `None` where polls are not timed.
    pub(crate) base: Option<Base>,
    /// Its begin, moved by nested polls; `None` where polls are not timed.
    pub(crate) start: Option<Ticks>,
    pub(crate) end: Ticks,
    /// The accounting at its end.
    pub(crate) account: Option<Base>,
}

/// What to remember of a task that may be gone when it is reported.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TaskIdentity {
    pub(crate) id: u64,
    pub(crate) kind: Kind,
    pub(crate) name: &'static str,
    /// 0 for one that was made outside of any.
    pub(crate) runtime: u64,
    pub(crate) spawned_at: Option<SourceLine>,
}

impl TaskIdentity {
    pub(crate) fn of(task: &'static Task) -> TaskIdentity {
        TaskIdentity {
            id: task.public_id(),
            kind: task.kind(),
            name: task.name(),
            runtime: task.runtime(),
            spawned_at: task.site().map(|site: &'static Site| site.location),
        }
    }

    /// As findings name it.
    pub(crate) fn to_ref(self) -> TaskRef {
        TaskRef {
            id: self.id,
            name: self.name.to_owned(),
            kind: self.kind.as_str().to_owned(),
            spawned_at: self.spawned_at.map(SourceLine::to_location),
        }
    }
}

/// Makes the queue, so that the poll path never allocates it.
pub(crate) fn prepare() {
    LazyLock::force(&ENDS);
}

/// Queues an end; counts it as dropped if there is no room.
pub(crate) fn push(end: SlowEnd) {
    if ENDS.push(end).is_err() {
        drops::count(drops::What::Events(Code::SlowPoll));
    }
}

pub(crate) fn pop() -> Option<SlowEnd> {
    ENDS.pop()
}
