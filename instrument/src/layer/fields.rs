//! What tokio writes on its spans and events, by the names it uses.
//!
//! tokio promises none of these names: what is not recognised is left out, and a
//! layer that recognises nothing says so (see [`coverage`](crate::coverage)).

use std::fmt::{Debug, Write};

use tracing::field::{Field, Visit};

/// A place in the source that one visit collects.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Place {
    fn record_u64(&mut self, field: &Field, value: u64) {
        let value = u32::try_from(value).unwrap_or(0);
        match field.name() {
            "loc.line" => self.line = value,
            "loc.col" => self.column = value,
            _ => {}
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "loc.file" {
            value.clone_into(&mut self.file);
        }
    }
}

/// A span `runtime.spawn`.
#[derive(Debug, Default)]
pub(super) struct Spawn {
    pub(super) place: Place,
    /// tokio's number of the task.
    pub(super) id: u64,
    /// `task`, `local` or `block_on`.
    pub(super) kind: String,
    /// Given by the program, or empty.
    pub(super) name: String,
    /// Bytes of the future as it was spawned, before tokio boxed it.
    pub(super) original_size: Option<u64>,
    /// Bytes of the future as tokio keeps it.
    pub(super) size: Option<u64>,
}

impl Visit for Spawn {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "task.id" => self.id = value,
            "size.bytes" => self.size = Some(value),
            "original_size.bytes" => self.original_size = Some(value),
            _ => self.place.record_u64(field, value),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.place.record_str(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = match field.name() {
            "kind" => &mut self.kind,
            "task.name" => &mut self.name,
            _ => return,
        };
        // Writing to a string fails only if the value's own formatting does.
        let _ = write!(text, "{value:?}");
    }
}

/// A span `runtime.resource`.
#[derive(Debug, Default)]
pub(super) struct Resource {
    pub(super) place: Place,
    /// `Mutex`, `RwLock`, `Interval` …
    pub(super) concrete_type: String,
}

impl Visit for Resource {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.place.record_u64(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "concrete_type" => value.clone_into(&mut self.concrete_type),
            _ => self.place.record_str(field, value),
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

/// An event that tells what a poll of a resource came to.
#[derive(Debug, Default)]
pub(super) struct PollOp {
    pub(super) is_ready: Option<bool>,
}

impl Visit for PollOp {
    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "is_ready" {
            self.is_ready = Some(value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

/// An event that tells of a change to a lock.
#[derive(Debug, Default)]
pub(super) struct LockState {
    exclusive: Option<bool>,
    readers: bool,
    operation: Operation,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Operation {
    #[default]
    Override,
    Add,
    Subtract,
}

impl LockState {
    /// Whether somebody took the lock (`true`) or let go of it (`false`); `None` if
    /// it tells of something else.
    pub(super) fn taken(&self) -> Option<bool> {
        match (&self.operation, self.readers) {
            (Operation::Add, true) => Some(true),
            (Operation::Subtract, true) => Some(false),
            _ => self.exclusive,
        }
    }

    /// Whether that is the only one who can have it.
    pub(super) fn is_exclusive(&self) -> bool {
        !self.readers
    }
}

impl Visit for LockState {
    fn record_bool(&mut self, field: &Field, value: bool) {
        if matches!(field.name(), "locked" | "write_locked") {
            self.exclusive = Some(value);
        }
    }

    fn record_u64(&mut self, field: &Field, _: u64) {
        self.readers |= field.name() == "current_readers";
    }

    fn record_i64(&mut self, field: &Field, _: i64) {
        self.readers |= field.name() == "current_readers";
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "current_readers.op" {
            self.operation = match value {
                "add" => Operation::Add,
                "sub" => Operation::Subtract,
                _ => Operation::Override,
            };
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

/// An event that tells what was done to a waker.
#[derive(Debug, Default)]
pub(super) struct WakerOp {
    /// The number of the span of the task it wakes.
    pub(super) span: u64,
    pub(super) is_clone: bool,
}

impl Visit for WakerOp {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "task.id" {
            self.span = value;
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.is_clone |= field.name() == "op" && value == "waker.clone";
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}
