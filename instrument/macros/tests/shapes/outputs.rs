//! What functions return, and how they get there.

use std::fmt::{Debug, Display};
use std::num::ParseIntError;

use crate::{quietly, reported};

type Error = Box<dyn std::error::Error + Send + Sync>;

#[asyncwatch::watch]
async fn inferred_error(text: &str) -> Result<u32, Error> {
    let number: u32 = text.parse()?;
    if number == 0 {
        return Err("zero".into());
    }
    Ok(number)
}

#[asyncwatch::watch]
async fn error_in_closure(texts: &[&str]) -> Result<Vec<u32>, ParseIntError> {
    texts.iter().map(|text| text.parse()).collect()
}

#[asyncwatch::watch]
async fn coerced(shout: bool) -> Box<dyn Fn(&str) -> String> {
    if shout {
        return Box::new(|text| text.to_uppercase());
    }
    Box::new(|text| text.to_owned())
}

#[asyncwatch::watch]
async fn coerced_slice(text: &str) -> &dyn Debug {
    Box::leak(Box::new(text.len()))
}

#[asyncwatch::watch]
async fn opaque(n: u8) -> impl Display + use<> {
    n
}

#[asyncwatch::watch]
async fn opaque_inside(text: &str) -> Result<impl Iterator<Item = char> + '_, ParseIntError> {
    let skipped: usize = text[..1].parse()?;
    Ok(text.chars().skip(skipped))
}

#[asyncwatch::watch]
async fn closure_returned() -> impl Fn(u8) -> u8 {
    |n| n + 1
}

#[asyncwatch::watch]
async fn never(fail: bool) -> ! {
    if fail {
        panic!("the only way out");
    }
    loop {
        tokio::task::yield_now().await;
    }
}

#[asyncwatch::watch]
async fn diverges() -> u8 {
    panic!("without a value")
}

#[asyncwatch::watch]
async fn unit_with_return(stop: bool) {
    if stop {
        return;
    }
    tokio::task::yield_now().await;
}

#[asyncwatch::watch]
#[rustfmt::skip]
async fn one_line(text: &str) -> usize { std::future::ready(text).await.len() }

#[asyncwatch::watch]
async fn default_of_output() -> Vec<String> {
    Default::default()
}

#[asyncwatch::watch]
async fn integer_from_output(flag: bool) -> u64 {
    let big = 1 << 40;
    if flag { big } else { 2 }
}

#[asyncwatch::watch]
async fn temporaries(lock: tokio::sync::Mutex<Vec<u8>>) -> usize {
    lock.lock().await.len()
}

#[test]
fn outputs_come_through() {
    assert_eq!(quietly(inferred_error("7")).unwrap(), 7);
    assert_eq!(
        quietly(inferred_error("0")).unwrap_err().to_string(),
        "zero"
    );
    assert!(quietly(inferred_error("x")).is_err());
    assert_eq!(quietly(error_in_closure(&["1", "2"])), Ok(vec![1, 2]));
    assert_eq!(quietly(coerced(true))("a"), "A");
    assert_eq!(quietly(coerced(false))("a"), "a");
    assert_eq!(format!("{:?}", quietly(coerced_slice("abc"))), "3");
    assert_eq!(quietly(opaque(1)).to_string(), "1");
    let rest: String = quietly(opaque_inside("2abc")).unwrap().collect();
    assert_eq!(rest, "bc");
    assert_eq!(quietly(closure_returned())(1), 2);
    quietly(unit_with_return(true));
    quietly(unit_with_return(false));
    assert_eq!(quietly(one_line("abc")), 3);
    assert!(quietly(default_of_output()).is_empty());
    assert_eq!(quietly(integer_from_output(true)), 1 << 40);
    assert_eq!(quietly(temporaries(vec![1, 2].into())), 2);
}

#[test]
#[should_panic(expected = "the only way out")]
fn a_function_may_never_return() {
    quietly(never(true));
}

#[test]
#[should_panic(expected = "without a value")]
fn a_body_may_diverge() {
    quietly(diverges());
}

#[test]
fn every_kind_is_watched() {
    reported("::inferred_error", || inferred_error(""));
    reported("::coerced", || coerced(true));
    reported("::opaque", || opaque(1));
    reported("::opaque_inside", || opaque_inside("1"));
    reported("::never", || never(false));
    reported("::diverges", || diverges());
}
