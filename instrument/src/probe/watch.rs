//! The watch over one future: its entry, and what to do around each of its polls.
//!
//! Whoever wraps a future ([`Watched`](super::watched::Watched)) has it polled by its
//! [`Watch`]. That has an entry of its own, until the first poll shows that the
//! runtime's hooks already have one for the same task: then it stays, without
//! counting anything twice, and everything it learns belongs to their entry.

use std::{
    future::Future,
    panic::Location,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::{Context, Poll},
};

use super::{allowed::Leave, wakes::Wakes};
use crate::{
    registry::{
        names::Name,
        sites, slab,
        slot::{Inside, Slot},
        slots,
        task::{Birth, Kind, OWN_IDS, Task},
    },
    runtimes, settings,
};

static NEXT_ID: AtomicU64 = AtomicU64::new(OWN_IDS + 1);

/// The watch over one future.
pub(crate) struct Watch {
    entry: Entry,
    wakes: Option<Wakes>,
    /// The task it was first polled in; `None` before.
    inside: Option<Inside>,
}

/// Who counts its polls.
#[derive(Clone, Copy)]
enum Entry {
    /// Nobody else: it has an entry of its own.
    Own(&'static Task),
    /// The runtime's hooks, in the entry they made for the task `id`.
    Hooks { task: &'static Task, id: u64 },
}

impl Watch {
    /// A watch with an entry of its own; `None` if all entries are in use. The name
    /// is `name`, or that of the type.
    pub(crate) fn begin(
        kind: Kind,
        name: Option<&str>,
        type_name: &'static str,
        location: &'static Location<'static>,
    ) -> Option<Watch> {
        let site = sites::of(location, kind);
        let parent = slots::known().and_then(Slot::current).map_or(0, Task::id);
        let task = slab::insert(&Birth {
            id: NEXT_ID.fetch_add(1, Relaxed),
            kind,
            site,
            name: match name {
                Some(name) => Name::intern(name),
                None => site.type_name(type_name),
            },
            parent,
            runtime: tokio::runtime::Handle::try_current()
                .map_or(0, |handle| runtimes::number(handle.id())),
        })?;
        Some(Watch {
            entry: Entry::Own(task),
            wakes: settings::exact().then(|| Wakes::new(task)),
            inside: None,
        })
    }

    /// The entry that has the task's numbers: its own or that of the hooks, while
    /// that still is this task's.
    pub(crate) fn task(&self) -> Option<&'static Task> {
        match self.entry {
            Entry::Own(task) => Some(task),
            Entry::Hooks { task, id } => (task.id() == id).then_some(task),
        }
    }

    /// Polls `future`, and counts that.
    #[inline]
    pub(crate) fn poll<F: Future>(
        &mut self,
        future: Pin<&mut F>,
        context: &mut Context<'_>,
    ) -> Poll<F::Output> {
        let Some(slot) = slots::current() else {
            return future.poll(context);
        };
        let inside = match self.inside {
            Some(inside) => inside,
            None => self.first_poll(slot),
        };
        let _outer = slot.go_inside(inside);
        match self.entry {
            Entry::Own(task) => self.poll_in_slot(task, slot, future, context),
            Entry::Hooks { .. } => future.poll(context),
        }
    }

    /// The boundary of the poll, to whoever reads a stack.
    #[inline]
    fn poll_in_slot<F: Future>(
        &mut self,
        task: &'static Task,
        slot: &'static Slot,
        future: Pin<&mut F>,
        context: &mut Context<'_>,
    ) -> Poll<F::Output> {
        slot.enter_watched(task);
        let _leave = Leave(slot);
        let Some(wakes) = &mut self.wakes else {
            return future.poll(context);
        };
        match wakes.begin(context.waker(), slot.began()) {
            Some(waker) => future.poll(&mut Context::from_waker(waker)),
            None => future.poll(context),
        }
    }

    /// Learns which task it is in, and gives way to the hooks' entry of the same task,
    /// which has all the numbers and now gets the name.
    #[cold]
    fn first_poll(&mut self, slot: &'static Slot) -> Inside {
        let inside = Inside::here();
        self.inside = Some(inside);
        if let Entry::Own(own) = self.entry
            && matches!(own.kind(), Kind::Task | Kind::Local)
        {
            match hooked(slot, inside) {
                Some(task) => {
                    task.take_name(own);
                    self.give_way(own, task);
                }
                None => own.set_tokio_id(inside.tokio_id()),
            }
        }
        inside
    }

    fn give_way(&mut self, own: &'static Task, hooks: &'static Task) {
        self.entry = Entry::Hooks {
            task: hooks,
            id: hooks.id(),
        };
        self.wakes = None;
        slab::remove(own);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Entry::Own(task) = self.entry {
            slab::remove(task);
        }
    }
}

/// The hooks' entry of the task `inside`, if its poll is the one that runs.
fn hooked(slot: &'static Slot, inside: Inside) -> Option<&'static Task> {
    slot.current()
        .filter(|task| inside.tokio_id() != 0 && task.id() == inside.tokio_id())
}
