//! Free functions and their generics.

use std::fmt::{Debug, Display};
use std::future::Future;
use std::pin::Pin;

use asyncwatch as renamed;

use crate::{quietly, reported, take_reports};

#[asyncwatch::watch]
async fn no_arguments() {}

#[asyncwatch::watch]
async fn generic<T, const N: usize>(value: T) -> [T; N]
where
    T: Clone + Debug,
{
    tokio::task::yield_now().await;
    std::array::from_fn(|_| value.clone())
}

#[asyncwatch::watch]
async fn opaque_argument(shown: impl Display) -> String {
    shown.to_string()
}

#[asyncwatch::watch]
async fn elided(text: &str, _other: &str) -> usize {
    text.len()
}

#[asyncwatch::watch]
async fn one_elided(text: &str) -> &str {
    text.trim()
}

#[asyncwatch::watch]
async fn named<'a, 'b: 'a>(first: &'a str, second: &'b str) -> &'a str {
    if first.is_empty() { second } else { first }
}

#[asyncwatch::watch]
async fn higher_ranked<F>(apply: F) -> usize
where
    F: for<'a> Fn(&'a str) -> &'a str,
{
    apply("  ab ").len()
}

#[asyncwatch::watch]
async fn recursive(n: u64) -> u64 {
    if n == 0 {
        0
    } else {
        n + Box::pin(recursive(n - 1)).await
    }
}

#[asyncwatch::watch]
fn boxed_recursive(n: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    let less = n.saturating_sub(1);
    if n == 1 {
        return Box::pin(std::future::ready(1));
    }
    Box::pin(async move { n + boxed_recursive(less).await })
}

#[asyncwatch::watch]
fn written_out(text: &str) -> impl Future<Output = usize> {
    async move { text.len() }
}

/// # Safety
///
/// `pointer` points to a byte.
#[asyncwatch::watch]
#[expect(unsafe_code, reason = "the shape under test")]
async unsafe fn unsafe_fn(pointer: *const u8) -> u8 {
    // SAFETY: the caller's promise.
    unsafe { *pointer }
}

/// Kept: the docs.
#[asyncwatch::watch]
#[inline]
#[expect(unused_variables, reason = "kept as well")]
pub(crate) async fn attributes_and_visibility() -> u8 {
    let unused = 1;
    2
}

#[asyncwatch::watch]
async fn inner_attributes() -> u8 {
    #![expect(unused_variables, reason = "kept inside")]
    let unused = 1;
    3
}

#[asyncwatch::watch]
mod inner {
    pub(super) async fn outer_level() -> u8 {
        async fn inside_a_function() -> u8 {
            3
        }
        inside_a_function().await
    }

    pub(super) mod nested {
        pub(in super::super) async fn deep() -> u8 {
            4
        }
        pub(in super::super) fn plain() -> u8 {
            5
        }
    }
}

#[asyncwatch::watch(asyncwatch = "crate::shapes::functions::renamed")]
async fn renamed_facade() -> u8 {
    6
}

macro_rules! define {
    ($name:ident, $ty:ty) => {
        #[asyncwatch::watch]
        async fn $name(value: $ty) -> $ty {
            value
        }
    };
}

define!(from_a_macro, u8);

#[test]
fn functions_do_what_they_did() {
    quietly(no_arguments());
    assert_eq!(quietly(generic::<_, 3>("a")), ["a"; 3]);
    assert_eq!(quietly(opaque_argument(7)), "7");
    assert_eq!(quietly(elided("abc", "")), 3);
    assert_eq!(quietly(one_elided(" a ")), "a");
    assert_eq!(quietly(named("", "b")), "b");
    assert_eq!(quietly(higher_ranked(str::trim)), 2);
    assert_eq!(quietly(recursive(4)), 10);
    assert_eq!(quietly(written_out("four")), 4);
    assert_eq!(quietly(attributes_and_visibility()), 2);
    assert_eq!(quietly(inner_attributes()), 3);
    assert_eq!(quietly(inner::outer_level()), 3);
    assert_eq!(quietly(inner::nested::deep()), 4);
    assert_eq!(inner::nested::plain(), 5);
    assert_eq!(quietly(renamed_facade()), 6);
    assert_eq!(quietly(from_a_macro(7)), 7);
}

#[test]
fn functions_are_reported_by_name_and_place() {
    reported("::functions::no_arguments", || no_arguments());
    reported("::generic", || generic::<_, 1>(1));
    reported("::opaque_argument", || opaque_argument(1));
    reported("::elided", || elided("", ""));
    reported("::named", || named("", ""));
    reported("::recursive", || recursive(3));
    reported("::written_out", || written_out(""));
    reported("::inner::outer_level", || inner::outer_level());
    reported("::inner::nested::deep", || inner::nested::deep());
    reported("::renamed_facade", || renamed_facade());
    reported("::from_a_macro", || from_a_macro(1));
}

#[test]
fn a_nested_function_is_watched() {
    #[asyncwatch::watch]
    async fn outer() {
        async fn inner() {}
        drop(inner());
    }
    crate::run(outer());
    let reports = crate::take_reports();
    assert_eq!(reports.len(), 1);
    assert!(reports[0].name.ends_with("::functions::inner"));
}

#[test]
fn a_boxed_block_is_watched_and_an_early_return_is_not() {
    assert_eq!(quietly(boxed_recursive(4)), 10);
    reported("::boxed_recursive", || boxed_recursive(3));
    drop(boxed_recursive(3));
    assert!(take_reports().iter().all(|report| report.boxed));
    drop(boxed_recursive(1));
    assert!(crate::take_reports().is_empty());
}

/// Known blind spot: who calls a function that was handed over as a value is not
/// told by `#[track_caller]`. Which function it was is still known.
#[test]
fn a_function_passed_as_a_value_has_no_caller() {
    crate::take_reports();
    drop("one two".split(' ').map(one_elided).next());
    let report = crate::take_reports()[0];
    assert_ne!(report.made.file(), file!());
    assert_eq!(report.defined.0, file!());
    assert!(report.name.ends_with("::functions::one_elided"));
}

#[test]
fn an_unsafe_function_stays_unsafe() {
    let byte = 9;
    #[expect(unsafe_code, reason = "the shape under test")]
    // SAFETY: it points to `byte`.
    let future = unsafe { unsafe_fn(&raw const byte) };
    assert_eq!(quietly(future), 9);
}

#[test]
fn the_place_is_exact() {
    crate::take_reports();
    let line = line!() + 1;
    let futures = vec![elided("a", "b")];
    drop(futures);
    let report = crate::take_reports()[0];
    assert_eq!(report.made.file(), file!());
    assert_eq!((report.made.line(), report.made.column()), (line, 24));
    assert_eq!(report.defined.0, file!());
    let source = include_str!("functions.rs");
    let defined = source.lines().nth(report.defined.1 as usize - 1);
    assert_eq!(
        defined,
        Some("async fn elided(text: &str, _other: &str) -> usize {")
    );
}
