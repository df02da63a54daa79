//! What watching a future costs in bytes, and what it leaves as it was.

use std::cell::Cell;
use std::mem::size_of_val;
use std::rc::Rc;

use static_assertions::assert_impl_all;

use asyncwatch::__private::{OfFn, WatchedFn};

enum Named {}

impl WatchedFn for Named {
    const NAME: &'static str = "named";
    const FILE: &'static str = file!();
    const LINE: u32 = 1;
}

type Future = OfFn<Named, std::future::Ready<()>>;

assert_impl_all!(Future: Send, Sync, Unpin, std::panic::UnwindSafe, std::panic::RefUnwindSafe);

macro_rules! twice {
    ($($item:item)*) => {
        #[asyncwatch::watch]
        mod watched {
            $($item)*
        }
        mod plain {
            $($item)*
        }
    };
}

twice! {
    pub(super) async fn empty() {}

    pub(super) async fn holds(buffer: [u8; 128], text: &str) -> usize {
        tokio::task::yield_now().await;
        buffer.len() + text.len()
    }

    pub(super) async fn calls(n: usize) -> usize {
        let text = n.to_string();
        holds([0; 128], &text).await + holds([1; 128], &text).await
    }

    pub(super) async fn local(shared: std::rc::Rc<std::cell::Cell<u8>>) -> u8 {
        tokio::task::yield_now().await;
        shared.get()
    }

    pub(super) struct Big(pub(super) [u8; 256]);

    impl Big {
        pub(super) async fn by_value(self) -> u8 {
            tokio::task::yield_now().await;
            self.0[0]
        }
    }
}

/// The size of the watched future less that of the plain one.
macro_rules! added {
    ($call:expr, $plain:expr) => {{
        let (watched, plain) = (size_of_val(&$call), size_of_val(&$plain));
        crate::take_reports();
        watched as isize - plain as isize
    }};
}

#[test]
fn a_future_grows_by_two_words() {
    // And the padding that their alignment asks of a one-byte future.
    assert!(added!(watched::empty(), plain::empty()) <= 23);
    assert!(added!(watched::holds([0; 128], ""), plain::holds([0; 128], "")) <= 16);
    let shared = Rc::new(Cell::new(1));
    assert!(added!(watched::local(shared.clone()), plain::local(shared)) <= 16);
    let big = added!(
        watched::Big([0; 256]).by_value(),
        plain::Big([0; 256]).by_value()
    );
    assert!(big <= 16, "{big}");
    // Its own and those of the one call that it holds at a time.
    assert!(added!(watched::calls(1), plain::calls(1)) <= 32);
}

fn assert_send<T: Send>(_: &T) {}

#[test]
fn send_stays() {
    assert_send(&watched::empty());
    assert_send(&watched::holds([0; 128], ""));
    assert_send(&watched::calls(1));
}

#[test]
fn a_spawned_future_is_quiet() {
    let output = crate::quietly(async {
        let spawned = tokio::spawn(watched::calls(10));
        spawned.await.unwrap()
    });
    assert_eq!(output, 260);
}
