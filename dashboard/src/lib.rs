//! The `asyncwatch` command as a library: its terminal dashboard, and the parts
//! that its other commands share.
//!
//! Data flows from [`discover`] (where are programs?) through [`client`] (what do
//! they tell?) and [`model`] (what is known?) to [`tui`] (what is seen?).

pub mod client;
pub mod discover;
pub mod model;
pub mod tui;
