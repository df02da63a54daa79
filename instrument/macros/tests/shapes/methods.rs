//! Methods: receivers, traits, and impls of them.

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::{quietly, reported};

#[derive(Clone, Default)]
struct Session<T> {
    value: T,
    log: Vec<String>,
}

#[asyncwatch::watch]
impl<T: Display + Clone> Session<T> {
    const LIMIT: usize = 3;

    async fn new(value: T) -> Self {
        Self { value, log: vec![] }
    }

    async fn by_ref(&self, other: &str) -> String {
        format!("{}{other}", self.value)
    }

    async fn by_mut(&mut self, text: String) -> &mut Vec<String> {
        self.log.push(text);
        &mut self.log
    }

    async fn by_value(self) -> T {
        self.value
    }

    async fn by_mut_value(mut self) -> usize {
        self.log.clear();
        self.log.len()
    }

    async fn by_arc(self: Arc<Self>) -> usize {
        Arc::strong_count(&self)
    }

    async fn by_box(self: Box<Self>) -> usize {
        self.log.len()
    }

    async fn by_pin(self: Pin<&mut Self>) -> String {
        self.value.to_string()
    }

    async fn named<'a>(&'a self, other: &'a str) -> &'a str {
        self.log.first().map_or(other, |text| text)
    }

    async fn self_unused(&self) -> usize {
        Self::LIMIT
    }

    #[cfg(any())]
    async fn gone(&self) -> Missing {}

    #[asyncwatch::watch]
    async fn watched_twice(&self) -> u8 {
        1
    }

    fn plain(&self) -> &T {
        &self.value
    }
}

struct Single;

impl Single {
    #[asyncwatch::watch]
    async fn one_method(&self) -> u8 {
        2
    }
}

#[asyncwatch::watch]
trait Store {
    type Key: Clone;

    async fn load(&self, key: Self::Key) -> Option<String>;

    async fn load_or(&self, key: Self::Key, default: &str) -> String {
        match self.load(key).await {
            Some(value) => value,
            None => default.to_owned(),
        }
    }

    fn sent(&self) -> impl Future<Output = u8> + Send;

    fn name(&self) -> &'static str {
        "store"
    }
}

struct Memory(u8);

#[asyncwatch::watch]
impl Store for Memory {
    type Key = u8;

    async fn load(&self, key: u8) -> Option<String> {
        (key == self.0).then(|| key.to_string())
    }

    async fn sent(&self) -> u8 {
        tokio::task::yield_now().await;
        self.0
    }
}

/// An impl of an unwatched trait, and an unwatched impl of a watched one.
trait Unwatched {
    async fn get(&self) -> u8;
}

#[asyncwatch::watch]
impl Unwatched for &Memory {
    async fn get(&self) -> u8 {
        self.0
    }
}

struct Nothing;

impl Store for Nothing {
    type Key = ();

    async fn load(&self, (): ()) -> Option<String> {
        None
    }

    async fn sent(&self) -> u8 {
        0
    }
}

async fn load_generic<S: Store>(store: &S, key: S::Key) -> String {
    store.load_or(key, "none").await
}

fn session() -> Session<u8> {
    Session {
        value: 4,
        log: vec!["first".to_owned()],
    }
}

#[test]
fn receivers_of_every_kind() {
    assert_eq!(quietly(Session::new(5)).value, 5);
    assert_eq!(quietly(session().by_ref("x")), "4x");
    assert_eq!(quietly(session().by_mut("y".to_owned())).len(), 2);
    assert_eq!(quietly(session().by_value()), 4);
    assert_eq!(quietly(session().by_mut_value()), 0);
    assert_eq!(quietly(Arc::new(session()).by_arc()), 1);
    assert_eq!(quietly(Box::new(session()).by_box()), 1);
    assert_eq!(quietly(Pin::new(&mut session()).by_pin()), "4");
    assert_eq!(quietly(session().named("other")), "first");
    assert_eq!(quietly(session().self_unused()), 3);
    assert_eq!(quietly(session().watched_twice()), 1);
    assert_eq!(*session().plain(), 4);
    assert_eq!(quietly(Single.one_method()), 2);
}

#[test]
fn methods_are_reported_with_their_type() {
    let session = session();
    reported("::methods::Session::by_ref", || session.by_ref(""));
    reported("::Session::new", || Session::new(1));
    reported("::Session::by_value", || session.clone().by_value());
    reported("::Session::self_unused", || session.self_unused());
    reported("::Session::watched_twice", || session.watched_twice());
    reported("::one_method", || Single.one_method());
}

#[test]
fn traits_work_statically_and_through_generics() {
    assert_eq!(Memory(3).name(), "store");
    assert_eq!(quietly(load_generic(&Memory(3), 3)), "3");
    assert_eq!(quietly(load_generic(&Memory(3), 4)), "none");
    assert_eq!(quietly(load_generic(&Nothing, ())), "none");
    assert_eq!(quietly((&Memory(6)).get()), 6);
    assert_eq!(quietly(Nothing.sent()), 0);
}

#[test]
fn trait_methods_are_reported() {
    let store = Memory(3);
    reported("::methods::Memory::load", || store.load(1));
    reported("::Memory::sent", || store.sent());
    let by_reference = &store;
    reported("::Memory::get", || by_reference.get());
    reported("::methods::Store::load_or", || store.load_or(1, ""));
    reported("::Store::load_or", || Nothing.load_or((), ""));
}

#[test]
fn a_call_through_a_generic_is_placed_in_the_generic() {
    fn drop_unpolled<S: Store>(store: &S, key: S::Key) -> u32 {
        drop(store.load(key));
        line!() - 1
    }
    crate::take_reports();
    let line = drop_unpolled(&Memory(3), 3);
    assert_eq!(crate::take_reports()[0].made.line(), line);
}

#[test]
fn send_is_as_promised_by_the_trait() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    fn generic<S: Store + Sync>(store: &S) -> impl Future<Output = u8> + Send {
        store.sent()
    }
    assert_eq!(quietly(assert_send(generic(&Memory(7)))), 7);
}
