//! `main` and `test`, run for real on tokio.

#![allow(missing_docs, reason = "a test program")]

use std::panic::catch_unwind;
use std::process::ExitCode;

use asyncwatch as renamed;
use asyncwatch::__private::take_calls;

const PLAIN_LINE: u32 = line!() + 3;

#[asyncwatch::main]
async fn plain() {
    tokio::task::yield_now().await;
}

#[asyncwatch::main(flavor = "multi_thread", worker_threads = 2, name = "named")]
async fn with_result(fail: bool) -> Result<u32, std::num::ParseIntError> {
    let handle = tokio::runtime::Handle::current();
    assert_eq!(handle.metrics().num_workers(), 2);
    assert_eq!(handle.name(), Some("named"));
    let text = if fail { "x" } else { "7" };
    let number = text.parse()?;
    Ok(number)
}

#[asyncwatch::main(flavor = "current_thread", start_paused = true, crate = "tokio")]
async fn borrows(names: &mut Vec<String>) -> usize {
    tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
    names.push("last".to_owned());
    names.len()
}

#[asyncwatch::main(flavor = "local", asyncwatch = "renamed")]
async fn local() -> std::rc::Rc<str> {
    let text: std::rc::Rc<str> = "not Send".into();
    tokio::task::spawn_local(async move { text }).await.unwrap()
}

#[cfg(tokio_unstable)]
#[asyncwatch::main(flavor = "current_thread", unhandled_panic = "shutdown_runtime")]
async fn shuts_down() {
    let _ = tokio::spawn(async { panic!("in a task") }).await;
    std::future::pending::<()>().await;
}

#[asyncwatch::main(flavor = "current_thread")]
async fn panics() {
    panic!("in the body");
}

#[asyncwatch::main(flavor = "current_thread")]
async fn opaque() -> impl std::fmt::Display {
    "shown"
}

#[asyncwatch::main(flavor = "current_thread")]
async fn never() -> ! {
    panic!("the only way out")
}

#[asyncwatch::main(flavor = "current_thread")]
async fn exit_code() -> ExitCode {
    ExitCode::SUCCESS
}

#[asyncwatch::main(flavor = "current_thread")]
async fn early(value: Option<u8>) -> Box<dyn std::fmt::Debug> {
    let Some(value) = value else {
        return Box::new("nothing");
    };
    Box::new(value)
}

struct App(u8);

impl App {
    #[asyncwatch::main(flavor = "current_thread")]
    async fn run(&self) -> &u8 {
        &self.0
    }
}

#[asyncwatch::main(flavor = "current_thread")]
#[asyncwatch::watch]
async fn also_watched() -> u8 {
    1
}

#[asyncwatch::watch]
#[asyncwatch::main(flavor = "current_thread")]
async fn watched_too() -> u8 {
    2
}

#[core::prelude::v1::test]
fn main_runs_the_body_between_watching_and_finishing() {
    take_calls();
    plain();
    let [builder, root, finish] = &take_calls()[..] else {
        panic!("three calls");
    };
    assert_eq!(builder, "watch_main_builder");
    assert_eq!(root, format!("root plain {PLAIN_LINE}:10").as_str());
    assert_eq!(finish, "finish");
}

#[core::prelude::v1::test]
fn results_come_through() {
    assert_eq!(with_result(false), Ok(7));
    assert!(with_result(true).is_err());
    assert_eq!(&*local(), "not Send");
    assert_eq!(opaque().to_string(), "shown");
    assert_eq!(exit_code(), ExitCode::SUCCESS);
    assert_eq!(format!("{:?}", early(None)), "\"nothing\"");
    assert_eq!(format!("{:?}", early(Some(3))), "3");
    assert_eq!(App(5).run(), &5);
    assert_eq!((also_watched(), watched_too()), (1, 2));
}

#[core::prelude::v1::test]
fn arguments_can_be_borrowed() {
    let mut names = vec!["first".to_owned()];
    assert_eq!(borrows(&mut names), 2);
}

#[core::prelude::v1::test]
fn a_panic_in_the_body_still_finishes() {
    take_calls();
    assert!(catch_unwind(panics).is_err());
    assert_eq!(take_calls().last().map(String::as_str), Some("finish"));
    assert!(catch_unwind(|| never()).is_err());
}

#[cfg(tokio_unstable)]
#[core::prelude::v1::test]
fn an_unhandled_panic_can_end_the_runtime() {
    assert!(catch_unwind(shuts_down).is_err());
}

#[asyncwatch::test]
async fn a_test_is_watched() {
    let calls = take_calls();
    assert_eq!(calls[0], "watch_test_builder");
    assert!(calls[1].starts_with("root a_test_is_watched "), "{calls:?}");
}

#[asyncwatch::test(start_paused = true)]
async fn a_test_can_pause_the_clock() -> Result<(), std::num::ParseIntError> {
    let start = tokio::time::Instant::now();
    tokio::time::sleep(std::time::Duration::from_secs(86_400)).await;
    assert!(start.elapsed().as_secs() >= "86400".parse()?);
    Ok(())
}

#[asyncwatch::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_test_can_have_threads() {
    let elsewhere = tokio::spawn(async { std::thread::current().id() });
    assert_ne!(elsewhere.await.unwrap(), std::thread::current().id());
}

#[asyncwatch::test]
#[should_panic(expected = "as it should")]
async fn other_attributes_stay() {
    panic!("as it should");
}

#[asyncwatch::test]
#[ignore = "shows that it is ignored"]
async fn ignored_tests_are_ignored() {
    unreachable!("ignored");
}

#[asyncwatch::test(
    max_poll = "1.5ms",
    deny(slow_poll, "task-leaked"),
    allow(unjoined),
    timeout = "2s"
)]
async fn a_test_can_have_rules() -> Result<(), std::num::ParseIntError> {
    let calls = take_calls();
    let [builder, rules, root] = &calls[..] else {
        panic!("{calls:?}");
    };
    assert_eq!(builder, "watch_test_builder");
    assert_eq!(
        rules,
        "Rules { name: \"entry::a_test_can_have_rules\", max_poll: Some(1.5ms), deny: [SlowPoll, TaskLeaked], allow: [Unjoined], timeout: Some(2s) }"
    );
    assert!(root.starts_with("root a_test_can_have_rules "), "{calls:?}");
    Ok(())
}

#[asyncwatch::test(allow(slow_poll))]
#[should_panic(expected = "as it should")]
async fn what_is_allowed_goes_with_should_panic() {
    panic!("as it should");
}
