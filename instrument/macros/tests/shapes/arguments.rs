//! How arguments are written.

use crate::{quietly, reported};

struct Pair {
    left: String,
    right: String,
}

#[asyncwatch::watch]
async fn mutable(mut text: String) -> String {
    text.push('!');
    text
}

#[asyncwatch::watch]
async fn patterns((a, mut b): (u8, u8), Pair { left, .. }: Pair, [first, ..]: [u8; 3]) -> String {
    b += 1;
    format!("{a}{b}{left}{first}")
}

#[asyncwatch::watch]
async fn by_reference(ref text: String, ref mut list: Vec<u8>, whole @ (a, _): (u8, u8)) -> usize {
    list.push(a);
    text.len() + list.len() + usize::from(whole.1)
}

#[asyncwatch::watch]
async fn ignored(_: String, _named: String, _: u8) -> u8 {
    1
}

#[asyncwatch::watch]
async fn conditional(
    #[cfg(any())] gone: Missing,
    #[cfg(not(any()))] kept: u8,
    #[cfg(any())] (also, gone): Missing,
    #[expect(unused_variables, reason = "the attribute moves along")] unused: u8,
) -> u8 {
    kept
}

#[asyncwatch::watch]
async fn same_names_as_generated(guard: u8, output: u8, hint: u8) -> u8 {
    let unawaited = guard + output;
    unawaited + hint
}

#[asyncwatch::watch]
async fn raw_names(r#type: u8, r#async: u8) -> u8 {
    r#type + r#async
}

#[asyncwatch::watch]
async fn function_pointer(f: fn(u8) -> u8, g: &dyn Fn(u8) -> u8) -> u8 {
    g(f(1))
}

fn pair() -> Pair {
    Pair {
        left: "l".to_owned(),
        right: "r".to_owned(),
    }
}

#[test]
fn arguments_arrive() {
    assert_eq!(pair().right, "r");
    assert_eq!(quietly(mutable("a".to_owned())), "a!");
    assert_eq!(quietly(patterns((1, 2), pair(), [4, 5, 6])), "13l4");
    let refs = by_reference("abc".to_owned(), vec![1], (5, 6));
    assert_eq!(quietly(refs), 11);
    assert_eq!(quietly(ignored(String::new(), String::new(), 0)), 1);
    assert_eq!(quietly(conditional(7, 8)), 7);
    assert_eq!(quietly(same_names_as_generated(1, 2, 3)), 6);
    assert_eq!(quietly(raw_names(1, 2)), 3);
    assert_eq!(quietly(function_pointer(|n| n + 1, &|n| n * 10)), 20);
}

#[test]
fn every_kind_is_watched() {
    reported("::mutable", || mutable(String::new()));
    reported("::patterns", || patterns((1, 2), pair(), [0; 3]));
    reported("::ignored", || ignored(String::new(), String::new(), 0));
    reported("::conditional", || conditional(0, 0));
    reported("::raw_names", || raw_names(0, 0));
}
