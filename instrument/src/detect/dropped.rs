//! Tasks that are dropped before they have finished, on their way to the reporter.
//!
//! The first few of a site come with the stack of the drop, which tells why; the rest is
//! counted, because an abort or a shutdown may drop a hundred thousand at a time.

use std::collections::HashMap;

use asyncwatch_findings::Code;
use asyncwatch_stack::RawStack;

use crate::{
    clock,
    registry::{
        sites,
        task::{Kind, Task},
    },
    settings,
    slow::TaskIdentity,
    trial,
};

/// Drops of a site that come with a stack.
const TRACED_PER_SITE: u64 = 16;
/// Frames of the drop's stack that are kept.
const FRAMES_MAX: usize = 64;

/// One or several tasks of one site that were dropped.
#[derive(Clone, Debug)]
pub(crate) struct Dropped {
    /// Without a name and a number where it stands for several.
    pub(crate) task: TaskIdentity,
    pub(crate) polls: Option<u64>,
    pub(crate) source: Source,
    pub(crate) stack: Option<RawStack>,
    pub(crate) count: u64,
    pub(crate) unix_ns: u64,
}

/// Who tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The runtime: it has ended a task outside of any poll, which it does when it shuts
    /// down.
    Hooks,
    /// A watched future that was dropped; whether its whole task was, only the stack tells.
    Future,
    /// The same where the hooks will tell of shutdowns.
    FutureBesideHooks,
}

/// A task ends, or may end, without having finished.
pub(crate) fn pending(task: &'static Task, source: Source) {
    let Some(site) = task.site() else { return };
    let earlier = match source {
        Source::FutureBesideHooks => site.count_cut_short(),
        Source::Hooks | Source::Future => site.count_dropped(),
    };
    let is_traced =
        || earlier < TRACED_PER_SITE || trial::keeps(task.runtime(), Code::TaskDroppedPending);
    if std::thread::panicking()
        || !is_traced()
        || task.is_detached()
        || !settings::wants(Code::TaskDroppedPending)
    {
        return;
    }
    crate::task_dropped(Dropped {
        task: TaskIdentity::of(task),
        polls: Some(task.polls()),
        source,
        stack: Some(asyncwatch_stack::own_trace(FRAMES_MAX)),
        count: 1,
        unix_ns: clock::now_unix_ns(),
    });
}

/// What has been told of those that are only counted.
#[derive(Default)]
pub(super) struct Counted(HashMap<u32, u64>);

impl Counted {
    /// Those that were counted since the last look.
    pub(super) fn look(&mut self) -> Vec<Dropped> {
        if !settings::wants(Code::TaskDroppedPending) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for row in sites::rows() {
            let site = row.site;
            let untraced = site.dropped().saturating_sub(TRACED_PER_SITE);
            let told = self.0.entry(site.id).or_default();
            let new = untraced - (*told).min(untraced);
            *told = untraced;
            if new > 0 {
                found.push(Dropped {
                    task: TaskIdentity {
                        id: 0,
                        kind: Kind::Task,
                        name: row.name,
                        runtime: 0,
                        spawned_at: Some(site.location),
                    },
                    polls: None,
                    source: Source::Hooks,
                    stack: None,
                    count: new,
                    unix_ns: clock::now_unix_ns(),
                });
            }
        }
        found
    }
}
