//! The watch over one future: its entry, and what to do around each of its polls.
//!
//! Whoever wraps a future ([`Watched`](super::watched::Watched),
//! [`OfFn`](super::of_fn::OfFn)) has it polled by its [`Watch`]. That has an entry of its own, until the first poll shows that the
//! runtime's hooks already have one for the same task: then it stays, without
//! counting anything twice, and everything it learns belongs to their entry.

use std::{
    any::type_name,
    future::Future,
    mem,
    panic::Location,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::{Context, Poll, Waker},
};

use asyncwatch_findings::Code;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::{allowed::Leave, wakes::Wakes};
use crate::{
    detect::{self, Source},
    endings,
    large::{self, Function},
    registry::{
        names::Name,
        sites::{self, Site},
        slab,
        slot::{Inside, Slot},
        slots,
        task::{Birth, Kind, OWN_IDS, Task},
    },
    runtimes, settings,
    source::SourceLine,
};

static NEXT_ID: AtomicU64 = AtomicU64::new(OWN_IDS + 1);

/// The watch over one future.
pub(crate) struct Watch {
    entry: Entry,
    wakes: Option<Wakes>,
    /// The task it was first polled in; `None` before.
    inside: Option<Inside>,
    /// It is over the root future of a whole program or test.
    root: bool,
    /// Its last poll was ready.
    finished: bool,
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
        let name = match name {
            Some(name) => Name::intern(name),
            None => site.type_name(function_of(type_name)),
        };
        let runtime = Handle::try_current().map_or(0, |handle| runtimes::number(handle.id()));
        let mut watch = Watch::with_entry(kind, site, name, runtime)?;
        watch.root = kind == Kind::BlockOn;
        Some(watch)
    }

    /// The watch over a future that is polled for the first time, of `function`, if no
    /// other watched future of its task is polled around it.
    ///
    /// `None` also where a poll that takes long is in nobody's way: outside of any
    /// runtime, on its blocking threads, in an allowed section.
    pub(crate) fn outermost(
        function: &'static Function,
        made: &'static Location<'static>,
    ) -> Option<Watch> {
        let slot = match slots::known() {
            Some(slot) => slot,
            None if Handle::try_current().is_err() => return None,
            None => slots::current()?,
        };
        let inside = Inside::here();
        if slot.is_inside(inside) {
            return None;
        }
        if let Some(task) = hooked(slot, inside) {
            if is_spawned_at(task, made.into()) && task.name().is_empty() {
                task.set_name(task.site().and_then(|site| site.type_name(function.name)));
            }
            return Some(Watch {
                entry: Entry::Hooks {
                    task,
                    id: task.id(),
                },
                wakes: Wakes::new(task, false).map(|wakes| wakes.of(function)),
                inside: Some(inside),
                root: false,
                finished: false,
            });
        }
        if slot.depth() > 0 && slot.current().is_none() {
            return None;
        }
        let runtime = Handle::try_current().ok()?;
        let kind = kind_here(inside, &runtime)?;
        let site = sites::of(made, kind);
        let runtime = runtimes::number(runtime.id());
        let mut watch = Watch::with_entry(kind, site, site.type_name(function.name), runtime)?;
        watch.inside = Some(inside);
        watch.wakes = watch.wakes.take().map(|wakes| wakes.of(function));
        if let Entry::Own(task) = watch.entry {
            task.set_tokio_id(inside.tokio_id());
        }
        Some(watch)
    }

    fn with_entry(
        kind: Kind,
        site: &'static Site,
        name: Option<&'static Name>,
        runtime: u64,
    ) -> Option<Watch> {
        let task = slab::insert(&Birth {
            id: NEXT_ID.fetch_add(1, Relaxed),
            kind,
            site,
            name,
            parent: slots::known().and_then(Slot::current).map_or(0, Task::id),
            runtime,
        })?;
        Some(Watch {
            entry: Entry::Own(task),
            wakes: Wakes::new(task, settings::exact()),
            inside: None,
            root: false,
            finished: false,
        })
    }

    /// Nobody is meant to wait for the task that the future is spawned as.
    pub(crate) fn detach(&self) {
        if let Entry::Own(task) = self.entry {
            task.set_detached();
        }
    }

    /// The entry that has the task's numbers.
    pub(crate) fn task(&self) -> Option<&'static Task> {
        self.entry.task()
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
            None => {
                let function = Function {
                    name: function_of(type_name::<F>()),
                    defined: None,
                };
                self.first_poll(slot, size_of::<F>(), function)
            }
        };
        let _outer = slot.go_inside(inside);
        let poll = match self.entry {
            Entry::Own(task) => self.poll_in_slot(task, slot, future, context),
            Entry::Hooks { .. } => self.poll_followed(slot, future, context),
        };
        self.finished = poll.is_ready();
        poll
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
        self.poll_followed(slot, future, context)
    }

    /// Polls, and follows its wakes and how it ends.
    #[inline]
    fn poll_followed<F: Future>(
        &mut self,
        slot: &'static Slot,
        future: Pin<&mut F>,
        context: &mut Context<'_>,
    ) -> Poll<F::Output> {
        let waker = context.waker();
        let unwinding = Unwinding {
            waker,
            entry: self.entry,
            slot,
        };
        let poll = match &mut self.wakes {
            Some(wakes) => wakes.poll(future, context, slot),
            None => future.poll(context),
        };
        mem::forget(unwinding);
        if poll.is_ready()
            && settings::wants(Code::Unjoined)
            && let Some(task) = self.entry.task()
        {
            endings::returned(waker, task);
        }
        poll
    }

    /// Learns which task it is in, and gives way to the hooks' entry of the same task,
    /// which has all the numbers and now gets the name.
    #[cold]
    fn first_poll(&mut self, slot: &'static Slot, bytes: usize, function: Function) -> Inside {
        let inside = Inside::here();
        self.inside = Some(inside);
        let site = self.task().and_then(Task::site);
        self.first_in(slot, inside);
        if let Some(site) = site.filter(|_| !slot.is_inside(inside)) {
            self.note_size(bytes, function, site.location);
        }
        inside
    }

    /// The future has `bytes`, and is the outermost one of its task.
    pub(crate) fn note_size(&self, bytes: usize, function: Function, made: SourceLine) {
        let in_task = self.inside.is_some_and(|inside| inside.tokio_id() != 0);
        if let Some(task) = self.task().filter(|_| in_task) {
            large::note(bytes, function, made, task);
        }
    }

    fn first_in(&mut self, slot: &'static Slot, inside: Inside) {
        let Entry::Own(own) = self.entry else { return };
        #[cfg(feature = "layer")]
        if own.kind() == Kind::BlockOn {
            crate::layer::root_is_watched();
        }
        if own.is_detached() {
            let around = hooked(slot, inside);
            let around = around.or_else(|| slot.current().filter(|_| slot.is_inside(inside)));
            if let Some(task) = around {
                task.set_detached();
            }
        }
        let spawned = matches!(own.kind(), Kind::Task | Kind::Local);
        match hooked(slot, inside) {
            Some(task) if spawned || own.is_detached() || is_whole(task, own) => {
                task.take_name(own);
                self.give_way(own, task);
            }
            _ if spawned => own.set_tokio_id(inside.tokio_id()),
            _ => {}
        }
    }

    fn give_way(&mut self, own: &'static Task, hooks: &'static Task) {
        self.entry = Entry::Hooks {
            task: hooks,
            id: hooks.id(),
        };
        self.wakes = Wakes::new(hooks, false);
        slab::withdraw(own);
    }
}

impl Entry {
    /// The entry that has the task's numbers, its own or that of the hooks, while that
    /// still is this task's.
    fn task(self) -> Option<&'static Task> {
        match self {
            Entry::Own(task) => Some(task),
            Entry::Hooks { task, id } => (task.id() == id).then_some(task),
        }
    }
}

/// Tells of a panic that passes by; forgotten when there was none.
struct Unwinding<'w> {
    waker: &'w Waker,
    entry: Entry,
    slot: &'static Slot,
}

impl Drop for Unwinding<'_> {
    fn drop(&mut self) {
        endings::panicked(self.waker, self.entry.task(), self.slot.began());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let cut_short = |task: &'static Task| !self.finished && task.kind().is_spawned();
        match self.entry {
            Entry::Own(task) => {
                if self.root {
                    detect::root_ended(task);
                }
                if cut_short(task) {
                    if self.inside.is_none() && hooks_know(task) {
                        return slab::withdraw(task);
                    }
                    detect::dropped::pending(task, Source::Future);
                }
                slab::remove(task);
            }
            Entry::Hooks { .. } => {
                if let Some(task) = self.task().filter(|task| cut_short(task)) {
                    detect::dropped::pending(task, Source::FutureBesideHooks);
                }
            }
        }
    }
}

/// The function that a future's type names: `app::load` for `app::load::{{closure}}`
/// and for the wrapper that `#[watch]` puts around that.
fn function_of(type_name: &'static str) -> &'static str {
    const WRAPPER: &str = "asyncwatch_instrument::probe::of_fn::OfFn<";
    type_name
        .strip_prefix(WRAPPER)
        .and_then(|arguments| arguments.split_once("::__AsyncwatchFn"))
        .map_or(type_name, |(function, _)| function)
        .trim_end_matches("::{{closure}}")
}

/// The hooks' entry of the task `inside`, if its poll is the one that runs.
fn hooked(slot: &'static Slot, inside: Inside) -> Option<&'static Task> {
    slot.current()
        .filter(|task| inside.tokio_id() != 0 && task.id() == inside.tokio_id())
}

/// Whether the hooks have an entry for the task of `own`, which ends here without ever
/// having been polled.
#[cfg(tokio_unstable)]
fn hooks_know(own: &'static Task) -> bool {
    let spawned_at = own.site().map(|site| site.location);
    tokio::task::try_id()
        .and_then(|id| crate::registry::pages::get(runtimes::number(id)))
        .zip(spawned_at)
        .is_some_and(|(task, spawned_at)| is_spawned_at(task, spawned_at))
}

#[cfg(not(tokio_unstable))]
fn hooks_know(_: &'static Task) -> bool {
    false
}

/// Whether the watched future `own` is all that the task runs, as in
/// `tokio::spawn(work().watched())`: polled first, and made where that was spawned.
fn is_whole(task: &'static Task, own: &'static Task) -> bool {
    let made = own.site().map(|site| site.location);
    task.polls() == 0 && made.is_some_and(|made| is_spawned_at(task, made))
}

fn is_spawned_at(task: &'static Task, made: SourceLine) -> bool {
    let spawned = task.site().map(|site| site.location);
    spawned.is_some_and(|at| at.line() == made.line() && at.file() == made.file())
}

/// What the future that is polled here is to the runtime; `None` on a thread of its
/// own pool for blocking calls, where `Handle::block_on` is in nobody's way.
fn kind_here(inside: Inside, runtime: &Handle) -> Option<Kind> {
    let worker = tokio::runtime::worker_index().is_some();
    if !worker && is_runtime_thread() {
        return None;
    }
    Some(match runtime.runtime_flavor() {
        _ if inside.tokio_id() == 0 => Kind::BlockOn,
        RuntimeFlavor::MultiThread if !worker => Kind::Local,
        _ => Kind::Task,
    })
}

/// Whether the thread has the name that tokio gives its threads.
fn is_runtime_thread() -> bool {
    std::thread::current()
        .name()
        .is_some_and(|name| name.starts_with("tokio-r"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{never_awaited::WatchedFn, probe::of_fn::OfFn};

    #[test]
    fn futures_are_named_after_their_functions() {
        enum __AsyncwatchFn {}
        impl WatchedFn for __AsyncwatchFn {
            const NAME: &'static str = "f";
            const FILE: &'static str = file!();
            const LINE: u32 = line!();
        }
        async fn load() {}

        fn name_of<F>(_: &F) -> &'static str {
            function_of(type_name::<F>())
        }
        let here = concat!(module_path!(), "::futures_are_named_after_their_functions");
        assert_eq!(name_of(&load()), format!("{here}::load"));
        let wrapped = OfFn::<__AsyncwatchFn, _>::new(load());
        assert_eq!(name_of(&wrapped), here);
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(wrapped);
        assert_eq!(
            name_of(&std::future::ready(1)),
            "core::future::ready::Ready<i32>"
        );
    }
}
