//! Seeing polls: the two sources that feed the registry.
//!
//! [`hooks`] sees every task of a runtime built with them (under `tokio_unstable`);
//! [`watched`] sees the futures it wraps, each through its [`watch`], on stable Rust. A future seen by both is
//! counted once: a wrapped task hands what it knows to the entry the hooks made,
//! and steps aside.

pub(crate) mod allowed;
pub(crate) mod hooks;
pub(crate) mod join_state;
pub(crate) mod note;
pub(crate) mod of_fn;
pub(crate) mod wakes;
pub(crate) mod watch;
pub(crate) mod watched;
