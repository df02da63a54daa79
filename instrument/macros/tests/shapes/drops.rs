//! Arguments are dropped when, and in the order in which, an `async fn` drops
//! them. Each function exists twice from one source: watched, and plain.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};

/// Says its name when it is dropped.
struct Loud(&'static str, Log);

type Log = Rc<RefCell<Vec<&'static str>>>;

impl Drop for Loud {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

impl Loud {
    fn touch(&self) -> u8 {
        u8::from(!self.0.is_empty())
    }
}

struct Fields {
    used: Loud,
    _unused: Loud,
}

macro_rules! twice {
    ($($(#[$attr:meta])* async fn $name:ident $args:tt $body:block)*) => {
        #[asyncwatch::watch]
        mod watched {
            use super::*;
            $($(#[$attr])* pub(super) async fn $name $args $body)*
        }
        mod plain {
            use super::*;
            $($(#[$attr])* pub(super) async fn $name $args $body)*
        }
    };
}

twice! {
    async fn simple(a: Loud, b: Loud, c: Loud) {
        a.touch();
        tokio::task::yield_now().await;
        drop(b);
        c.touch();
    }

    async fn ignored(_: Loud, b: Loud, _: Loud, _d: Loud) {
        let local = Loud("local", b.1.clone());
        tokio::task::yield_now().await;
        drop(local);
    }

    async fn patterns((a, _): (Loud, Loud), b: Loud, Fields { used, .. }: Fields) {
        let _local = Loud("local", b.1.clone());
        a.touch();
        used.touch();
        tokio::task::yield_now().await;
    }

    async fn temporaries(a: Loud, b: Loud) {
        Loud("temporary", a.1.clone()).touch();
        match Loud("tail", b.1.clone()).touch() {
            1 => drop(a),
            _ => a.1.borrow_mut().push("kept"),
        }
    }
}

impl Fields {
    #[asyncwatch::watch]
    async fn watched(self, b: Loud) {
        self.used.touch();
        tokio::task::yield_now().await;
        drop(b);
    }

    async fn plain(self, b: Loud) {
        self.used.touch();
        tokio::task::yield_now().await;
        drop(b);
    }

    #[asyncwatch::watch]
    async fn watched_unused(self, _: Loud) {
        tokio::task::yield_now().await;
    }

    async fn plain_unused(self, _: Loud) {
        tokio::task::yield_now().await;
    }
}

/// The order in which things are dropped if the future is polled this often.
fn order<F: Future>(polls: usize, make: impl FnOnce(&dyn Fn(&'static str) -> Loud) -> F) -> String {
    let log = Log::default();
    let loud = |name| Loud(name, log.clone());
    {
        let mut future = pin!(make(&loud));
        log.borrow_mut().push("made");
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..polls {
            if future.as_mut().poll(&mut context).is_ready() {
                break;
            }
            log.borrow_mut().push("polled");
        }
        log.borrow_mut().push("end");
    }
    log.borrow().join(" ")
}

fn fields(loud: &dyn Fn(&'static str) -> Loud) -> Fields {
    Fields {
        used: loud("used"),
        _unused: loud("unused"),
    }
}

/// Compares a watched function and its plain twin: never polled, left half-way,
/// and run to the end.
macro_rules! assert_same {
    ($watched:expr, $plain:expr, $($named:literal),*) => {
        for polls in [0, 1, 9] {
            let wanted = order(polls, $plain);
            assert_eq!(order(polls, $watched), wanted, "after {polls} polls");
            $(assert!(wanted.contains($named), "{wanted}");)*
        }
    };
}

#[test]
fn simple_arguments() {
    assert_same!(
        |l| watched::simple(l("a"), l("b"), l("c")),
        |l| plain::simple(l("a"), l("b"), l("c")),
        "a",
        "b",
        "c"
    );
}

#[test]
fn ignored_arguments() {
    assert_same!(
        |l| watched::ignored(l("a"), l("b"), l("c"), l("d")),
        |l| plain::ignored(l("a"), l("b"), l("c"), l("d")),
        "a",
        "c",
        "d"
    );
}

#[test]
fn patterns() {
    assert_same!(
        |l| watched::patterns((l("a0"), l("a1")), l("b"), fields(l)),
        |l| plain::patterns((l("a0"), l("a1")), l("b"), fields(l)),
        "a0",
        "a1",
        "unused"
    );
}

#[test]
fn temporaries() {
    assert_same!(
        |l| watched::temporaries(l("a"), l("b")),
        |l| plain::temporaries(l("a"), l("b")),
        "a",
        "b"
    );
}

#[test]
fn receivers() {
    assert_same!(
        |l| fields(l).watched(l("b")),
        |l| fields(l).plain(l("b")),
        "used",
        "unused",
        "b"
    );
    assert_same!(
        |l| fields(l).watched_unused(l("b")),
        |l| fields(l).plain_unused(l("b")),
        "used",
        "unused",
        "b"
    );
}
