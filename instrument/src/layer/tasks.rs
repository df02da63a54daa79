//! Tasks as tokio's spans show them: entering one begins a poll, leaving it ends it.
//!
//! A task that the runtime's hooks know has an entry already, and its poll has begun
//! when its span is entered: then only the name is added. All others (tasks of a
//! `LocalSet`, roots of `block_on`, tasks of runtimes that were not built watched) get
//! an entry here, and a wrapper inside of them gives way to it as to one of the hooks.
//! Dropping a future enters its span too, and is counted as a poll.

use std::{
    cell::{Cell, RefCell},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use super::{fields::Spawn, holding::Holding};
use crate::{
    drops,
    registry::{
        names::Name,
        sites::{self, Site},
        slab,
        slot::Slot,
        slots,
        task::{Birth, Kind, Task},
    },
    source::SourceLine,
};

/// What hangs on a task's span.
pub(super) struct TaskSpan {
    /// The layer that put it there: there may be several.
    pub(super) layer: u32,
    id: u64,
    kind: Kind,
    site: &'static Site,
    name: Option<&'static Name>,
    parent: u64,
    /// The entry that is kept here; none where somebody else counts its polls. Known
    /// from the first poll on.
    entry: OnceLock<Option<&'static Task>>,
    holding: OnceLock<Arc<Holding>>,
    /// Somebody else counts its polls after all.
    retired: AtomicBool,
}

impl TaskSpan {
    pub(super) fn new(layer: u32, fields: &Spawn) -> Option<TaskSpan> {
        let kind = match &*fields.kind {
            "task" => Kind::Task,
            "local" => Kind::Local,
            "block_on" => Kind::BlockOn,
            _ => return None,
        };
        let place = &fields.place;
        let Some(place) = SourceLine::kept(&place.file, place.line, place.column) else {
            drops::count(drops::What::Sites);
            return None;
        };
        Some(TaskSpan {
            layer,
            id: fields.id,
            kind,
            site: sites::of(place, kind),
            name: Some(&*fields.name)
                .filter(|name| !name.is_empty())
                .and_then(Name::intern),
            parent: slots::known().and_then(Slot::current).map_or(0, Task::id),
            entry: OnceLock::new(),
            holding: OnceLock::new(),
            retired: AtomicBool::new(false),
        })
    }

    /// The locks that the task holds.
    pub(super) fn holding(&self) -> &Arc<Holding> {
        self.holding.get_or_init(Arc::default)
    }

    /// The same, if it ever held one.
    pub(super) fn known_holding(&self) -> Option<&Holding> {
        self.holding.get().map(|holding| &**holding)
    }

    fn entry(&self, slot: &'static Slot) -> Option<&'static Task> {
        if self.retired.load(Relaxed) {
            return None;
        }
        *self.entry.get_or_init(|| {
            let hooked = slot.current().filter(|task| task.id() == self.id);
            if let Some(task) = hooked {
                if self.name.is_some() && task.name().is_empty() {
                    task.set_name(self.name);
                }
                return None;
            }
            slab::insert(&Birth {
                id: self.id,
                kind: self.kind,
                site: self.site,
                name: self.name,
                parent: self.parent,
                runtime: slots::runtime_here(),
            })
        })
    }

    /// The entry is needed no more: the task has ended, or has another one.
    pub(super) fn retire(&self) {
        if let Some(&Some(task)) = self.entry.get()
            && !self.retired.swap(true, Relaxed)
        {
            slots::end(task);
        }
    }
}

/// A task's span that this thread is in.
struct Entered {
    span: u64,
    /// Its poll was begun here.
    counted: bool,
    /// Nobody has asked yet which poll this is.
    fresh: Cell<bool>,
    /// A wrapper counts its polls from now on.
    gives_way: Cell<bool>,
}

thread_local! {
    static ENTERED: RefCell<Vec<Entered>> = const { RefCell::new(Vec::new()) };
    static IGNORED: Cell<bool> = const { Cell::new(false) };
}

/// The thread is one of ours: what it spawns is not the program's.
pub(crate) fn ignore_this_thread() {
    let _ = IGNORED.try_with(|ignored| ignored.set(true));
}

pub(super) fn is_ignored() -> bool {
    IGNORED.try_with(Cell::get).unwrap_or(true)
}

/// A poll of the task `span` begins.
pub(super) fn enter(span: u64, task: &TaskSpan) {
    let Some(slot) = slots::current() else { return };
    let entry = task.entry(slot);
    let entered = Entered {
        span,
        counted: entry.is_some(),
        fresh: Cell::new(true),
        gives_way: Cell::new(false),
    };
    let noted = ENTERED.try_with(|all| all.try_borrow_mut().map(|mut all| all.push(entered)));
    if let (Ok(Ok(())), Some(entry)) = (noted, entry) {
        slot.enter_watched(entry);
    }
}

/// The span `span` is left; which need not be that of a task. Tells whether it is that of
/// one that gives way.
pub(super) fn exit(span: u64) -> bool {
    let left = ENTERED.try_with(|all| {
        let mut all = all.try_borrow_mut().ok()?;
        all.pop_if(|entered| entered.span == span)
    });
    let Ok(Some(left)) = left else { return false };
    if left.counted
        && let Some(slot) = slots::known()
    {
        slot.leave();
    }
    left.gives_way.get()
}

/// The root that is polled for the first time is that of the `block_on` around it, and
/// counts its polls itself.
pub(crate) fn root_is_watched() {
    let is_root = slots::known()
        .and_then(Slot::current)
        .is_some_and(|task| task.kind() == Kind::BlockOn);
    if is_root {
        // While the thread ends nothing is left to give way.
        let _ = ENTERED.try_with(|all| {
            if let Ok(all) = all.try_borrow()
                && let Some(entered) = all.last()
            {
                entered.gives_way.set(entered.counted);
            }
        });
    }
}

/// The span of the task that is being polled on this thread.
pub(super) fn current_span() -> Option<u64> {
    ENTERED
        .try_with(|all| Some(all.try_borrow().ok()?.last()?.span))
        .ok()?
}

/// Whether this is asked for the first time in the present poll.
pub(super) fn is_fresh() -> bool {
    let fresh = |all: &RefCell<Vec<Entered>>| {
        let all = all.try_borrow().ok()?;
        Some(all.last()?.fresh.replace(false))
    };
    ENTERED.try_with(fresh).ok().flatten().unwrap_or(false)
}
