//! Watched futures: a wrapper that reports its polls, on stable Rust.

use std::{
    any::type_name,
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::task::JoinHandle;

use super::{allowed::AllowBlocking, watch::Watch};
use crate::{registry::task::Kind, settings};

pin_project! {
    /// A future whose polls are watched; made by [`WatchExt::watched`].
    ///
    /// While nothing is watched it only polls what it wraps.
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Watched<F> {
        #[pin]
        future: F,
        watch: Option<Watch>,
    }
}

/// Makes futures watched.
pub trait WatchExt: Future + Sized {
    /// Watches the polls of this future: slow ones are reported with the stack of
    /// the culprit, and its numbers are shown under the place of this call.
    ///
    /// Inside a task it becomes a line of its own below the task's; a slow poll is
    /// blamed on the innermost watched future. The name is the future's type name.
    /// Costs an entry of 256 bytes, and per poll what `asyncwatch` costs a task.
    #[track_caller]
    fn watched(self) -> Watched<Self> {
        Watched::new(self, Kind::Future, None)
    }

    /// Like [`watched`](WatchExt::watched), under a name of yours.
    ///
    /// Names are kept for the life of the process, 4,096 distinct ones at most: name
    /// a kind of work, not each piece of it.
    #[track_caller]
    fn watched_as(self, name: &str) -> Watched<Self> {
        Watched::new(self, Kind::Future, Some(name))
    }

    /// Says that the task this future is spawned as is meant to go on by itself: nobody
    /// waits for it, and it may end with the runtime.
    ///
    /// `tokio::spawn(report().detached("runs as long as the program"))` is never a
    /// `task-leaked`, `panic-unobserved`, `unjoined` or `task-dropped-pending`. `reason`
    /// says to readers of the code why; it is not evaluated.
    #[track_caller]
    fn detached(self, reason: &'static str) -> Watched<Self> {
        let _ = reason;
        let watched = Watched::new(self, Kind::Future, None);
        if let Some(watch) = &watched.watch {
            watch.detach();
        }
        watched
    }

    /// Counts none of this future's time against the polls it is part of.
    ///
    /// For futures that block because they are made so. `reason` says to readers of the
    /// code why that is right here; it is not evaluated. A section of code is allowed to
    /// block by [`allow_blocking`](crate::allow_blocking()).
    fn allow_blocking(self, reason: &'static str) -> AllowBlocking<Self> {
        AllowBlocking::new(reason, self)
    }
}

impl<F: Future> WatchExt for F {}

/// [`tokio::spawn`] with a watched future.
///
/// Needed where the runtime has no hooks of ours (without `tokio_unstable`, or on a
/// runtime that was not built [`watched`](crate::RuntimeBuilderExt::watched)); with
/// them it adds a name and the scheduled time.
///
/// # Panics
///
/// As `tokio::spawn`, outside a runtime.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(Watched::new(future, Kind::Task, None))
}

/// [`tokio::task::spawn_local`] with a watched future: the only way to see tasks of
/// a `LocalSet`, which tokio's hooks do not reach.
///
/// # Panics
///
/// As `tokio::task::spawn_local`, outside a `LocalSet` or local runtime.
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    tokio::task::spawn_local(Watched::new(future, Kind::Local, None))
}

/// Watches the root future of a `block_on`.
#[track_caller]
pub fn root<F: Future>(future: F, name: &str) -> Watched<F> {
    Watched::new(future, Kind::BlockOn, Some(name))
}

impl<F: Future> Watched<F> {
    #[track_caller]
    fn new(future: F, kind: Kind, name: Option<&str>) -> Watched<F> {
        // Outside of the closure, which has a caller of its own.
        let location = Location::caller();
        let watch = settings::on()
            .then(|| Watch::begin(kind, name, type_name::<F>(), location))
            .flatten();
        Watched { future, watch }
    }
}

impl<F: Future> Future for Watched<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        match this.watch {
            Some(watch) => watch.poll(this.future, context),
            None => this.future.poll(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_only_polls_while_nothing_is_watched() {
        // Unit tests never switch watching on.
        let watched = async { 5 }.watched_as("five");
        assert!(watched.watch.is_none());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("runtime");
        assert_eq!(runtime.block_on(watched), 5);
    }

    #[test]
    fn it_keeps_the_auto_traits() {
        fn is_send<T: Send + Sync + Unpin>(_: &T) {}
        is_send(&std::future::ready(1).watched());
    }
}
