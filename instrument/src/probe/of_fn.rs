//! The futures of functions under `#[asyncwatch::watch]`.
//!
//! Each knows where it was made until its first poll; one that is dropped before is
//! reported ([`never_awaited`](crate::never_awaited)). The first poll shows where it
//! stands: the outermost one of its task gets a [`Watch`], so that the task is seen
//! even where the runtime has no hooks of ours. All others, which are polled inside
//! it, only pass the poll on.

use std::{
    future::Future,
    mem,
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::{wakes, watch::Watch};
use crate::{
    large::Function,
    never_awaited::{Unawaited, WatchedFn},
    settings,
};

pin_project! {
    /// The future of a watched function: two words more than what it wraps.
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct OfFn<M: WatchedFn, F> {
        #[pin]
        future: F,
        state: State<M>,
    }
}

/// What is known of the future. The guard is a field of its own, so that dropping it
/// asks nothing of the future's lifetimes.
enum State<M: WatchedFn> {
    /// It was not polled yet.
    Made(Unawaited<M>),
    /// No watched future of its task is polled around it.
    Outermost(Box<Watch>),
    /// It is polled inside the outermost one, or nothing is watched.
    Within,
}

impl<M: WatchedFn, F: Future> OfFn<M, F> {
    /// The future of function `M`, made where that was called.
    #[track_caller]
    #[inline]
    pub fn new(future: F) -> OfFn<M, F> {
        OfFn {
            future,
            state: State::Made(Unawaited::new()),
        }
    }
}

impl<M: WatchedFn, F> std::fmt::Debug for OfFn<M, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.state {
            State::Made(unawaited) => unawaited.fmt(f),
            _ => write!(f, "OfFn({})", M::NAME),
        }
    }
}

impl<M: WatchedFn, F: Future> Future for OfFn<M, F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if let State::Made(_) = this.state {
            this.state.first_poll(size_of::<F>());
        }
        let poll = match this.state {
            State::Outermost(watch) => watch.poll(this.future, context),
            _ => this.future.poll(context),
        };
        if poll.is_pending() {
            wakes::waits_in(State::<M>::FUNCTION);
        }
        poll
    }
}

impl<M: WatchedFn> State<M> {
    const FUNCTION: &'static Function = &Function {
        name: M::NAME,
        defined: Some((M::FILE, M::LINE)),
    };

    fn first_poll(&mut self, bytes: usize) {
        let State::Made(unawaited) = mem::replace(self, State::Within) else {
            return;
        };
        let made: &'static Location<'static> = unawaited.polled();
        if settings::on()
            && let Some(watch) = Watch::outermost(Self::FUNCTION, made)
        {
            if !M::BOXED {
                watch.note_size(bytes, *Self::FUNCTION, made.into());
            }
            *self = State::Outermost(Box::new(watch));
        }
    }
}
