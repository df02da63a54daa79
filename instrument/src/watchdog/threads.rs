//! What the threads of one runtime do at one moment.

use std::time::Duration;

use asyncwatch_stack::{Capturer, RawStack};

use super::glance::Glance;
use crate::{
    clock,
    registry::{
        slot::Slot,
        slots::{self, ThreadInfo},
        task::Task,
    },
    slow::TaskIdentity,
};

/// A thread that polls, or waits for something to poll.
#[derive(Clone, Debug)]
pub(crate) struct ThreadSeen {
    /// For people.
    pub(crate) label: String,
    pub(crate) poll: Option<PollSeen>,
}

/// What it polls.
#[derive(Clone, Debug)]
pub(crate) struct PollSeen {
    pub(crate) task: Option<TaskIdentity>,
    /// For how long; `None` where polls are not timed.
    pub(crate) held: Option<Duration>,
    pub(crate) stack: Option<RawStack>,
    /// The system call it sleeps in, with its object.
    pub(crate) syscall: Option<String>,
}

/// Looks at the threads that poll for `runtime`.
pub(super) fn of(runtime: u64, mut capturer: Option<&mut Capturer>) -> Vec<ThreadSeen> {
    let mut seen = Vec::new();
    for slot in slots::all() {
        let Some(info) = slot.info().filter(|info| info.runtime() == runtime) else {
            continue;
        };
        seen.push(ThreadSeen {
            label: label(&info),
            poll: poll(slot, capturer.as_deref_mut()),
        });
    }
    seen
}

/// Which runtime it is of goes without saying.
fn label(info: &ThreadInfo) -> String {
    match info.worker() {
        Some(worker) => format!("worker {worker}"),
        None => format!("thread `{}`", info.thread.name()),
    }
}

fn poll(slot: &'static Slot, capturer: Option<&mut Capturer>) -> Option<PollSeen> {
    let levels = slot.levels()?;
    let reading = levels.iter().flatten().next_back()?.reading;
    let mut searched = 0;
    let taken = Glance::new(slot, reading.sequence, capturer, &mut searched)
        .stacks()
        .into_iter()
        .next();
    let (stack, syscall) = taken.map_or((None, None), |taken| (Some(taken.stack), taken.syscall));
    let held = || clock::to_duration(clock::now().saturating_sub(reading.start));
    Some(PollSeen {
        task: Task::from_ptr(reading.task).map(TaskIdentity::of),
        held: (reading.start != 0).then(held),
        stack,
        syscall,
    })
}
