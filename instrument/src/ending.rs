//! The end of a runtime of `main` or of a test: what still keeps it from ending.

use std::{future::Future, ops::Deref};

use tokio::runtime::{Handle, LocalRuntime, Runtime};

use crate::{detect, runtimes, settings};

/// A runtime of either sort.
pub trait AnyRuntime {
    /// Its handle.
    fn handle(&self) -> &Handle;
    /// Runs a future on it to the end.
    fn block_on<F: Future>(&self, future: F) -> F::Output;
    /// Ends it without waiting for anything.
    fn shutdown_background(self);
}

impl AnyRuntime for Runtime {
    fn handle(&self) -> &Handle {
        Runtime::handle(self)
    }

    #[track_caller]
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        Runtime::block_on(self, future)
    }

    fn shutdown_background(self) {
        Runtime::shutdown_background(self);
    }
}

impl AnyRuntime for LocalRuntime {
    fn handle(&self) -> &Handle {
        LocalRuntime::handle(self)
    }

    #[track_caller]
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        LocalRuntime::block_on(self, future)
    }

    fn shutdown_background(self) {
        LocalRuntime::shutdown_background(self);
    }
}

/// A runtime that is watched while it is dropped.
#[derive(Debug)]
pub struct Running<R: AnyRuntime>(Option<R>);

/// Has the end of `runtime` watched.
pub fn running<R: AnyRuntime>(runtime: R) -> Running<R> {
    Running(Some(runtime))
}

impl<R: AnyRuntime> Deref for Running<R> {
    type Target = R;

    fn deref(&self) -> &R {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl<R: AnyRuntime> Drop for Running<R> {
    fn drop(&mut self) {
        let Some(runtime) = self.0.take() else { return };
        if !settings::on() {
            return;
        }
        let id = runtimes::number(runtime.handle().id());
        detect::while_ending(id, || drop(runtime));
    }
}
