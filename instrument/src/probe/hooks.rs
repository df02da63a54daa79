//! The runtime's own hooks: every task, dependencies' included.
//!
//! tokio's task hooks are unstable; this is the only module that uses them. Each
//! has room for one function, so the program's own go through [`Hooks`], and are
//! called outside the time that counts.

use tokio::runtime::Builder;

#[cfg(tokio_unstable)]
use tokio::runtime::TaskMeta;

use crate::{coverage, detect::pool, registry::slots, settings};

type ThreadHook = Box<dyn Fn() + Send + Sync>;
#[cfg(tokio_unstable)]
type TaskHook = Box<dyn Fn(&TaskMeta<'_>) + Send + Sync>;

/// Your own hooks for a watched runtime.
///
/// tokio keeps one function per hook, and [`watched`](RuntimeBuilderExt::watched)
/// uses these; set yours here instead of on the builder, and both are called.
#[derive(Default)]
pub struct Hooks {
    thread_start: Option<ThreadHook>,
    park: Option<ThreadHook>,
    #[cfg(tokio_unstable)]
    spawn: Option<TaskHook>,
    #[cfg(tokio_unstable)]
    before_poll: Option<TaskHook>,
    #[cfg(tokio_unstable)]
    after_poll: Option<TaskHook>,
    #[cfg(tokio_unstable)]
    terminate: Option<TaskHook>,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooks").finish_non_exhaustive()
    }
}

impl Hooks {
    /// No hooks of your own.
    pub fn new() -> Hooks {
        Hooks::default()
    }

    /// Your [`Builder::on_thread_start`].
    #[must_use]
    pub fn on_thread_start(mut self, f: impl Fn() + Send + Sync + 'static) -> Hooks {
        self.thread_start = Some(Box::new(f));
        self
    }

    /// Your [`Builder::on_thread_park`].
    #[must_use]
    pub fn on_thread_park(mut self, f: impl Fn() + Send + Sync + 'static) -> Hooks {
        self.park = Some(Box::new(f));
        self
    }
}

#[cfg(tokio_unstable)]
impl Hooks {
    /// Your [`Builder::on_task_spawn`].
    #[must_use]
    pub fn on_task_spawn(mut self, f: impl Fn(&TaskMeta<'_>) + Send + Sync + 'static) -> Hooks {
        self.spawn = Some(Box::new(f));
        self
    }

    /// Your [`Builder::on_before_task_poll`].
    #[must_use]
    pub fn on_before_task_poll(
        mut self,
        f: impl Fn(&TaskMeta<'_>) + Send + Sync + 'static,
    ) -> Hooks {
        self.before_poll = Some(Box::new(f));
        self
    }

    /// Your [`Builder::on_after_task_poll`].
    #[must_use]
    pub fn on_after_task_poll(
        mut self,
        f: impl Fn(&TaskMeta<'_>) + Send + Sync + 'static,
    ) -> Hooks {
        self.after_poll = Some(Box::new(f));
        self
    }

    /// Your [`Builder::on_task_terminate`].
    #[must_use]
    pub fn on_task_terminate(mut self, f: impl Fn(&TaskMeta<'_>) + Send + Sync + 'static) -> Hooks {
        self.terminate = Some(Box::new(f));
        self
    }
}

/// Makes the runtimes of a builder watched.
pub trait RuntimeBuilderExt {
    /// Watches every task spawned on the runtimes that this builder makes, and
    /// starts asyncwatch if nothing did so before, with the configuration of the
    /// environment.
    ///
    /// Without `--cfg tokio_unstable` tokio offers no such hooks; then only what is
    /// wrapped is watched, and asyncwatch says so when it starts. Functions that
    /// were set with tokio's `on_task_spawn`, `on_before_task_poll`,
    /// `on_after_task_poll` or `on_task_terminate` are replaced: pass them to
    /// [`watched_with`](RuntimeBuilderExt::watched_with). One set with
    /// `on_thread_park` is kept, at the price of a second clock reading per poll; one
    /// set with `on_thread_start` too, and then the blocking pool is not looked at.
    fn watched(&mut self) -> &mut Self {
        self.watched_with(Hooks::new())
    }

    /// Like [`watched`](RuntimeBuilderExt::watched), and calls your hooks too.
    fn watched_with(&mut self, hooks: Hooks) -> &mut Self;
}

/// Watches a runtime of our own, on which the program's coverage does not depend.
pub(crate) fn watch_own(builder: &mut Builder) {
    #[cfg(tokio_unstable)]
    tasks::set(builder, None, None, None, None);
    #[cfg(not(tokio_unstable))]
    let _ = builder;
}

impl RuntimeBuilderExt for Builder {
    fn watched_with(&mut self, hooks: Hooks) -> &mut Builder {
        crate::install();
        if settings::on() {
            watch_starts(self, hooks.thread_start);
            watch_parks(self, hooks.park);
        } else {
            hooks.thread_start.map(|own| self.on_thread_start(own));
            hooks.park.map(|own| self.on_thread_park(own));
        }
        #[cfg(tokio_unstable)]
        tasks::set(
            self,
            hooks.spawn,
            hooks.before_poll,
            hooks.after_poll,
            hooks.terminate,
        );
        coverage::note_watched_runtime();
        self
    }
}

/// Notes the threads of the blocking pool.
fn watch_starts(builder: &mut Builder, own: Option<ThreadHook>) {
    if own.is_none() && is_set(builder, "after_start") {
        return coverage::note_foreign_start_hook();
    }
    builder.on_thread_start(move || {
        pool::joins();
        if let Some(own) = &own {
            own();
        }
    });
}

/// Whether the builder has a function for this hook. It shows which are set, though not
/// what they are.
fn is_set(builder: &Builder, hook: &str) -> bool {
    format!("{builder:?}").contains(&format!("{hook}: Some("))
}

/// Counts parks, which also end the chain of timestamps.
fn watch_parks(builder: &mut Builder, own: Option<ThreadHook>) {
    if own.is_none() && is_set(builder, "before_park") {
        settings::unchain();
        coverage::note_foreign_park_hook();
        return;
    }
    builder.on_thread_park(move || {
        if let Some(slot) = slots::current() {
            slot.park();
            slots::refresh_here();
        }
        if let Some(own) = &own {
            own();
        }
    });
}

#[cfg(tokio_unstable)]
mod tasks {
    use super::{Builder, TaskHook, TaskMeta, settings};
    use crate::{
        detect::{dropped, pool},
        registry::{
            pages, sites, slab,
            slot::Slot,
            slots,
            task::{Birth, Kind, Task},
        },
        runtimes,
    };

    /// Sets the hooks: ours composed with the program's, or its own alone.
    pub(super) fn set(
        builder: &mut Builder,
        spawn: Option<TaskHook>,
        before: Option<TaskHook>,
        after: Option<TaskHook>,
        terminate: Option<TaskHook>,
    ) {
        if !settings::on() {
            return set_own(builder, spawn, before, after, terminate);
        }
        #[cfg(feature = "schedule-latency")]
        builder.track_task_schedule_latency();
        builder.on_task_spawn(and_own(spawned, spawn));
        builder.on_task_terminate(and_own(ended, terminate));
        // One straight function for the way to keep time: they are on the poll path.
        if settings::exact() {
            set_polls(builder, begins_exact, ends_exact, before, after);
        } else {
            set_polls(builder, begins_light, ends_light, before, after);
        }
    }

    fn set_polls(
        builder: &mut Builder,
        begins: impl Fn(&TaskMeta<'_>) + Send + Sync + 'static,
        ends: impl Fn(&TaskMeta<'_>) + Send + Sync + 'static,
        before: Option<TaskHook>,
        after: Option<TaskHook>,
    ) {
        match before {
            None => builder.on_before_task_poll(begins),
            Some(own) => builder.on_before_task_poll(move |meta| {
                own(meta);
                begins(meta);
            }),
        };
        match after {
            None => builder.on_after_task_poll(ends),
            Some(own) => builder.on_after_task_poll(move |meta| {
                ends(meta);
                own(meta);
            }),
        };
    }

    fn set_own(
        builder: &mut Builder,
        spawn: Option<TaskHook>,
        before: Option<TaskHook>,
        after: Option<TaskHook>,
        terminate: Option<TaskHook>,
    ) {
        spawn.map(|own| builder.on_task_spawn(own));
        before.map(|own| builder.on_before_task_poll(own));
        after.map(|own| builder.on_after_task_poll(own));
        terminate.map(|own| builder.on_task_terminate(own));
    }

    fn and_own(
        ours: fn(&TaskMeta<'_>),
        own: Option<TaskHook>,
    ) -> impl Fn(&TaskMeta<'_>) + Send + Sync {
        move |meta| {
            ours(meta);
            if let Some(own) = &own {
                own(meta);
            }
        }
    }

    thread_local! {
        /// The last task that ended on this thread without an entry.
        static UNKNOWN_END: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }

    fn spawned(meta: &TaskMeta<'_>) {
        let id = runtimes::number(meta.id());
        if UNKNOWN_END.get() == id {
            return;
        }
        let spawner = slots::known();
        let task = slab::insert(&Birth {
            id,
            kind: Kind::Task,
            site: sites::of(meta.spawned_at(), Kind::Task),
            name: None,
            parent: spawner.and_then(Slot::current).map_or(0, Task::id),
            runtime: slots::runtime_here(),
        });
        if let Some(task) = task
            && !pages::set(id, task)
        {
            slab::remove(task);
        }
    }

    #[inline]
    fn polled(meta: &TaskMeta<'_>) -> Option<&'static Task> {
        let task = pages::get(runtimes::number(meta.id()));
        #[cfg(feature = "schedule-latency")]
        if let (Some(task), Some(latency)) = (task, meta.schedule_latency()) {
            task.add_scheduled(latency.as_nanos() as u64);
        }
        task
    }

    fn begins_exact(meta: &TaskMeta<'_>) {
        if let Some(slot) = slots::current() {
            slot.enter_exact(polled(meta));
        }
    }

    fn ends_exact(_: &TaskMeta<'_>) {
        if let Some(slot) = slots::current() {
            slot.leave_exact();
        }
    }

    fn begins_light(meta: &TaskMeta<'_>) {
        if let Some(slot) = slots::current() {
            slot.enter_light(polled(meta));
        }
    }

    fn ends_light(_: &TaskMeta<'_>) {
        if let Some(slot) = slots::current() {
            slot.leave_light();
        }
    }

    /// tokio says so before the last end of a poll if the task ends in its own poll.
    fn ended(meta: &TaskMeta<'_>) {
        let Some(task) = pages::take(runtimes::number(meta.id())) else {
            // The blocking pool and the worker loops end without having been spawned;
            // and a task that is spawned on a runtime that shuts down ends first.
            UNKNOWN_END.set(runtimes::number(meta.id()));
            return pool::closure_ended();
        };
        let polled_here = slots::known()
            .and_then(Slot::current)
            .is_some_and(|current| std::ptr::eq(current, task));
        if polled_here {
            task.ending
                .store(true, std::sync::atomic::Ordering::Relaxed);
        } else {
            dropped::pending(task, dropped::Source::Hooks);
            slab::remove(task);
        }
    }
}
