//! Sections in which blocking is meant, and sections in those where it is not.
//!
//! The slot says of an allowed section that the thread polls nobody's task: its time is
//! taken out of the poll around it, and the watchdog looks away. A forbidden section in
//! it is a stretch of that poll again.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use crate::{
    registry::{
        slot::{Inside, Slot, WasInside},
        slots,
    },
    settings,
};

/// Runs `f`, and counts none of its time against the poll it runs in.
///
/// `reason` says to readers of the code why blocking is right here; it is not
/// evaluated. While nothing is watched, it just runs `f`. Costs two clock readings,
/// about 50 ns. The attribute `#[asyncwatch::allow_blocking("reason")]` does the same
/// for a whole function.
///
/// # Panics
///
/// Only if `f` does; watching goes on rightly then.
///
/// ```
/// let config = asyncwatch_instrument::allow_blocking("once, before we serve", || {
///     std::fs::read_to_string("/etc/hostname")
/// });
/// # let _ = config;
/// ```
pub fn allow_blocking<R>(reason: &'static str, f: impl FnOnce() -> R) -> R {
    let _allowed = Allowed::begin(reason);
    f()
}

/// Runs `f`, and counts its time again where [`allow_blocking`] is in force around it:
/// for a callback in a section that is allowed as a whole. Elsewhere it just runs `f`.
///
/// ```
/// use asyncwatch_instrument::{allow_blocking, forbid_blocking};
///
/// let lines = allow_blocking("the file is small", || {
///     let text = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
///     forbid_blocking(|| text.lines().count())
/// });
/// # let _ = lines;
/// ```
pub fn forbid_blocking<R>(f: impl FnOnce() -> R) -> R {
    let slot = slots::known().filter(|slot| slot.is_allowed());
    let _leave = slot.and_then(|slot| {
        slot.enter_again(slot.suspended_task()?)
            .then_some(Leave(slot))
    });
    f()
}

/// A section in which blocking is meant lasts until this is dropped, which has to
/// happen on the same thread and in the same poll. For generated code.
#[doc(hidden)]
#[derive(Debug)]
pub struct Allowed {
    #[expect(dead_code, reason = "ends the section when it is dropped")]
    section: Option<Section>,
}

#[derive(Debug)]
enum Section {
    /// In a poll, whose time does not count now.
    InPoll {
        #[expect(dead_code, reason = "leaves the slot when it is dropped")]
        leave: Leave,
    },
    /// In no poll that is seen: none in here is to be seen, either.
    OutsidePolls {
        #[expect(dead_code, reason = "ends it when it is dropped")]
        inside: WasInside,
    },
}

impl Allowed {
    /// The section begins; `reason` is for readers.
    pub fn begin(reason: &'static str) -> Allowed {
        let _ = reason;
        Allowed::on(slots::known)
    }

    fn on(slot: fn() -> Option<&'static Slot>) -> Allowed {
        let slot = settings::on().then(slot).flatten();
        Allowed {
            section: slot.and_then(Section::begin),
        }
    }
}

impl Section {
    fn begin(slot: &'static Slot) -> Option<Section> {
        if slot.is_allowed() {
            return None;
        }
        Some(if slot.depth() > 0 {
            slot.enter(None);
            Section::InPoll { leave: Leave(slot) }
        } else {
            Section::OutsidePolls {
                inside: slot.go_inside(Inside::here()),
            }
        })
    }
}

pin_project! {
    /// A future whose polls may block; made by
    /// [`WatchExt::allow_blocking`](crate::WatchExt::allow_blocking).
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    #[derive(Debug)]
    pub struct AllowBlocking<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> AllowBlocking<F> {
    /// Allows `future` to block; `reason` is for readers.
    #[doc(hidden)]
    pub fn new(reason: &'static str, future: F) -> AllowBlocking<F> {
        let _ = reason;
        AllowBlocking { future }
    }
}

impl<F: Future> Future for AllowBlocking<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        // The thread's first poll may be this one.
        let _allowed = Allowed::on(slots::current);
        this.future.poll(context)
    }
}

/// Leaves the slot, also when a panic passes by.
#[derive(Debug)]
pub(crate) struct Leave(pub(crate) &'static Slot);

impl Drop for Leave {
    #[inline]
    fn drop(&mut self) {
        self.0.leave();
    }
}
