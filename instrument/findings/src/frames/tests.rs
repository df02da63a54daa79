use expect_test::{Expect, expect};

use super::*;
use crate::message::frame_label;

/// A stack as text, one `function | file:line` a line, innermost first.
pub(crate) fn parse(text: &str) -> Vec<Frame> {
    let mut frames: Vec<Frame> = text.lines().map(parse_frame).collect();
    mark(&mut frames);
    frames
}

fn parse_frame(line: &str) -> Frame {
    let (function, place) = line.split_once(" |").expect("function | file:line");
    let place = place.trim().rsplit_once(':');
    Frame {
        function: function.to_owned(),
        file: place.map(|(file, _)| file.to_owned()),
        line: place.and_then(|(_, line)| line.parse().ok()),
        ..Frame::default()
    }
}

/// Stacks captured from real programs (tokio 1.54, rustc 1.95, line tables only),
/// one program built both ways.
macro_rules! fixture {
    ($name:literal) => {
        (
            parse(include_str!(concat!("../fixtures/", $name, "-debug.txt"))),
            parse(include_str!(concat!("../fixtures/", $name, "-release.txt"))),
        )
    };
}
pub(crate) use fixture;

fn story(frames: &[Frame]) -> String {
    let blame = blame(frames);
    let label =
        |index: Option<usize>| index.map_or("-".to_owned(), |index| frame_label(&frames[index]));
    let line = blame
        .culprit
        .and_then(|index| frames[index].line)
        .unwrap_or(0);
    format!(
        "{}:{line} called {}",
        label(blame.culprit),
        label(blame.blocking)
    )
}

fn check((debug, release): (Vec<Frame>, Vec<Frame>), expected: Expect) {
    expected.assert_eq(&format!("{}\n{}", story(&debug), story(&release)));
}

#[test]
fn blamed_is_what_the_user_wrote() {
    check(
        fixture!("sleep"),
        expect![[r#"
        blk::m::sleepy:5 called std::thread::sleep
        async fn:5 called std::thread::sleep"#]],
    );
    check(
        fixture!("join"),
        expect![[r#"
        join:6 called std::thread::JoinHandle::join
        join:6 called std::thread::JoinHandle::join"#]],
    );
    check(
        fixture!("mutex"),
        expect![[r#"
        async block:10 called std::sync::Mutex::lock
        async block:10 called std::sync::Mutex::lock"#]],
    );
    check(
        fixture!("rwlock"),
        expect![[r#"
        async block:11 called std::sync::RwLock::read
        async block:11 called std::sync::RwLock::read"#]],
    );
    check(
        fixture!("recv"),
        expect![[r#"
        async block:12 called std::sync::mpsc::Receiver::recv
        async block:12 called std::sync::mpsc::recv"#]],
    );
    check(
        fixture!("command-output"),
        expect![[r#"
        async block:13 called std::process::Command::output
        async block:13 called std::process::Command::output"#]],
    );
    check(
        fixture!("command-status"),
        expect![[r#"
        async block:14 called std::process::Command::status
        async block:14 called std::process::Command::status"#]],
    );
    check(
        fixture!("block-on"),
        expect![[r#"
        async block:15 called futures::executor::block_on
        async block:15 called futures::executor::block_on"#]],
    );
    check(
        fixture!("tcp-read"),
        expect![[r#"
        async block:16 called std::net::UdpSocket::recv
        async block:16 called std::net::UdpSocket::recv"#]],
    );
    check(
        fixture!("condvar"),
        expect![[r#"
        async block:17 called std::sync::Condvar::wait_timeout
        async block:17 called std::sync::Condvar::wait_timeout"#]],
    );
    check(
        fixture!("file-open"),
        expect![[r#"
        async block:18 called std::fs::read_to_string
        async block:18 called std::fs::read_to_string"#]],
    );
    check(
        fixture!("sort"),
        expect![[r#"
        app::session::load:3 called -
        closure:3 called -"#]],
    );
}

fn trimmed(mut frames: Vec<Frame>) -> String {
    trim(&mut frames);
    let names: Vec<String> = frames.iter().map(frame_label).collect();
    names.join(" < ")
}

fn check_trim((debug, release): (Vec<Frame>, Vec<Frame>), expected: Expect) {
    expected.assert_eq(&format!("{}\n{}", trimmed(debug), trimmed(release)));
}

#[test]
fn trimmed_is_what_the_poll_did() {
    check_trim(
        fixture!("sleep"),
        expect![[r#"
            clock_nanosleep < std::sys::thread::unix::sleep::nanosleep < std::sys::thread::unix::sleep < std::thread::sleep < blk::m::sleepy < async block
            clock_nanosleep < std::sys::thread::unix::sleep::nanosleep < std::sys::thread::unix::sleep < std::thread::sleep < async fn < async block"#]],
    );
    check_trim(
        fixture!("block-on"),
        expect![[r#"
        syscall < std::sys::pal::unix::futex::futex_wait < std::sys::sync::thread_parking::futex::Parker::park < std::thread::Thread::park < std::thread::park < futures::executor::run_executor < std::thread::local::try_with < std::thread::LocalKey::with < futures::executor::run_executor < futures::executor::block_on < async block
        syscall < std::sys::pal::unix::futex::futex_wait < std::sys::sync::thread_parking::futex::Parker::park < std::thread::Thread::park < std::thread::park < futures::executor < std::thread::local::try_with < std::thread::local::with < futures::executor::run_executor < futures::executor::block_on < async block"#]],
    );
    check_trim(
        fixture!("root"),
        expect![[r#"
        async block
        async block"#]],
    );
    check_trim(
        fixture!("local"),
        expect![[r#"
        app::main
        async block"#]],
    );
    check_trim(
        fixture!("block-in-place"),
        expect![[r#"
        app::main < tokio::runtime::context::runtime_mt::exit_runtime < tokio::runtime::scheduler::multi_thread::worker::block_in_place < tokio::runtime::scheduler::block_in_place::block_in_place < tokio::task::block_in_place < app::main
        closure < tokio::runtime::context::runtime_mt::exit_runtime < tokio::runtime::scheduler::multi_thread::worker::block_in_place < tokio::runtime::scheduler::block_in_place::block_in_place < tokio::task::block_in_place < async block"#]],
    );
    check_trim(
        fixture!("spawn-blocking"),
        expect![[r#"
        app::main < tokio::runtime::blocking::task::BlockingTask::poll
        closure < tokio::runtime::blocking::task::poll"#]],
    );
}

#[test]
fn block_on_called_by_a_task_is_part_of_the_poll() {
    let frames = parse(
        "std::thread::sleep |
app::inner::{{closure}} | /home/me/app/src/main.rs:5
tokio::runtime::park::CachedParkThread::block_on |
tokio::runtime::handle::Handle::block_on |
app::facade | /home/me/app/src/main.rs:9
app::outer::{{closure}} | /home/me/app/src/main.rs:12
tokio::runtime::task::core::Core<T,S>::poll |
tokio::runtime::task::raw::poll |
tokio::runtime::scheduler::multi_thread::worker::run |
<tokio::runtime::blocking::task::BlockingTask<T> as core::future::future::Future>::poll |
tokio::runtime::task::core::Core<T,S>::poll |
clone3 |",
    );
    assert_eq!(
        trimmed(frames),
        "std::thread::sleep < app::inner < tokio::runtime::park::CachedParkThread::block_on \
         < tokio::runtime::Handle::block_on < app::facade < app::outer"
    );
}

#[test]
fn our_own_wrapper_ends_the_poll() {
    let frames = parse(
        "app::work | /home/me/app/src/main.rs:5
<asyncwatch_instrument::watched::Watched<F> as core::future::future::Future>::poll |
app::outer::{{closure}} | /home/me/app/src/main.rs:12
tokio::runtime::task::raw::poll |",
    );
    assert_eq!(trimmed(frames), "app::work");
}

#[test]
fn an_outer_poll_keeps_what_is_around_nested_ones() {
    let frames = parse(
        "app::parse | /home/me/app/src/main.rs:5
<asyncwatch_instrument::probe::watch::Watch>::poll_in_slot::<app::item::{async_fn#0}> |
<asyncwatch_instrument::probe::watch::Watch>::poll::<app::item::{async_fn#0}> |
<asyncwatch_instrument::probe::watched::Watched<F> as core::future::future::Future>::poll |
app::outer::{{closure}} | /home/me/app/src/main.rs:12
<asyncwatch_instrument::probe::watched::Watched<F> as core::future::future::Future>::poll |
app::main::{{closure}} | /home/me/app/src/main.rs:20
tokio::runtime::task::raw::poll |
clone3 |",
    );
    let trimmed = |nested| {
        let mut frames = frames.clone();
        trim_outer(&mut frames, nested);
        let names: Vec<String> = frames.iter().map(frame_label).collect();
        names.join(" < ")
    };
    assert_eq!(trimmed(0), "app::parse");
    assert_eq!(trimmed(1), "app::parse < app::outer");
    assert_eq!(trimmed(2), "app::parse < app::outer < app::main");
    assert_eq!(trimmed(9), "app::parse < app::outer < app::main");
}

#[test]
fn derived_code_is_not_to_blame() {
    for visitor in [
        "<app::_::<impl serde_core::de::Deserialize for app::Order>::deserialize::__Visitor as serde_core::de::Visitor>::visit_map",
        "visit_map<serde_json::de::MapAccess<serde_json::read::SliceRead>>",
    ] {
        let frames = parse(&format!(
            "serde_json::de::Deserializer::parse_str | /home/me/.cargo/registry/src/i/serde_json-1.0.154/src/de.rs:9
{visitor} | /home/me/app/src/main.rs:15
serde_json::de::from_slice | /home/me/.cargo/registry/src/i/serde_json-1.0.154/src/de.rs:8
app::import::{{{{closure}}}} | /home/me/app/src/main.rs:26
tokio::runtime::task::raw::poll |"
        ));
        assert_eq!(
            story(&frames),
            "app::import:26 called serde_json::de::from_slice"
        );
    }
    // Called by the user's own code it is the user's own.
    let frames = parse(
        "app::Order::serialize | /home/me/app/src/main.rs:15\napp::import | /home/me/app/src/main.rs:26",
    );
    assert_eq!(story(&frames), "app::Order::serialize:15 called -");
}

#[test]
fn waiting_for_a_lock_is_known_by_what_was_called() {
    let (debug, release) = fixture!("mutex");
    assert!(waits_for_lock(&debug) && waits_for_lock(&release));
    let (debug, release) = fixture!("rwlock");
    assert!(waits_for_lock(&debug) && waits_for_lock(&release));
    let (debug, release) = fixture!("condvar");
    assert!(!waits_for_lock(&debug) && !waits_for_lock(&release));
}

#[test]
fn stacks_without_a_boundary_stay_whole() {
    let frames = parse("app::work | /home/me/app/src/main.rs:5\nstart_thread |");
    assert_eq!(trimmed(frames), "app::work < start_thread");
    assert_eq!(trimmed(Vec::new()), "");
}

#[test]
fn without_line_tables_the_outermost_foreign_crate_is_the_users() {
    let frames = parse(
        "__GI___clock_nanosleep |
std::thread::sleep |
retry::retry_with_backoff |
app::session::load::{{closure}} |
<tower::util::Oneshot<S,Req> as core::future::future::Future>::poll |
tokio::runtime::task::core::Core<T,S>::poll |
other::main |",
    );
    assert_eq!(
        story(&frames),
        "app::session::load:0 called retry::retry_with_backoff"
    );
}

#[test]
fn stripped_frames_blame_nobody_by_name() {
    let mut frames = vec![
        Frame {
            module: Some("/opt/app".to_owned()),
            offset: Some(64),
            ..Frame::default()
        };
        3
    ];
    mark(&mut frames);
    assert_eq!(blame(&frames), Blame::default());
    assert_eq!(blame(&[]), Blame::default());
}

#[test]
fn a_culprit_that_computes_called_nothing() {
    let frames = parse("app::spin | /home/me/app/src/main.rs:5\ntokio::runtime::task::raw::poll |");
    assert_eq!(
        blame(&frames),
        Blame {
            culprit: Some(0),
            blocking: None
        }
    );
}

#[test]
fn block_in_place_is_recognised() {
    let (debug, release) = fixture!("block-in-place");
    assert!(in_block_in_place(&debug) && in_block_in_place(&release));
    let (debug, release) = fixture!("sleep");
    assert!(!in_block_in_place(&debug) && !in_block_in_place(&release));
}

#[test]
fn a_wait_for_the_allocator_is_told_from_one_for_another_lock() {
    let wait = |function: &str| {
        parse(&format!(
            "futex_wait |\n__GI___lll_lock_wait_private |\n{function} |\n__GI___libc_free |\napp::work | /home/me/app/src/main.rs:5"
        ))
    };
    assert!(waits_for_allocator(&wait("_int_free")));
    assert!(waits_for_allocator(&parse(
        "__lll_lock_wait_private |\n__libc_malloc |"
    )));
    let stdio = "__lll_lock_wait_private |\n_IO_puts |\napp::free | /home/me/app/src/main.rs:5";
    assert!(!waits_for_allocator(&parse(stdio)));
    assert!(!waits_for_allocator(&parse("_int_free |\n__libc_free |")));
}

#[test]
fn a_child_that_begins_is_told_from_a_thread_that_does() {
    let child = "clone3 |\n__GI___clone_internal |\n__spawnix |\n__spawni |\n__posix_spawnp |";
    assert!(waits_for_child_to_begin(&parse(child)));
    let thread = "clone3 |\n__GI___clone_internal |\ncreate_thread |\n__pthread_create_2_1 |";
    assert!(!waits_for_child_to_begin(&parse(thread)));
}

#[test]
fn closures_on_the_blocking_pool_are_recognised() {
    let (debug, release) = fixture!("spawn-blocking");
    assert!(in_blocking_closure(&debug) && in_blocking_closure(&release));
    for (debug, release) in [fixture!("sleep"), fixture!("local"), fixture!("root")] {
        assert!(!in_blocking_closure(&debug) && !in_blocking_closure(&release));
    }
    let own_runtime = parse(
        "app::root |
tokio::runtime::scheduler::current_thread::CurrentThread::block_on |
app::run |
<tokio::runtime::blocking::task::BlockingTask<T> as core::future::future::Future>::poll |",
    );
    assert!(!in_blocking_closure(&own_runtime));
}

#[test]
fn wrappers_of_watched_functions_stand_inside_the_poll() {
    let mut frames = parse(
        "std::thread::sleep |
app::back_off::{{closure}} | /home/me/app/src/main.rs:30
<asyncwatch_instrument::probe::of_fn::OfFn<M,F> as core::future::future::Future>::poll |
app::session::{{closure}} | /home/me/app/src/main.rs:12
asyncwatch_instrument::probe::watch::Watch::poll_in_slot |
asyncwatch_instrument::probe::watch::Watch::poll |
<asyncwatch_instrument::probe::of_fn::OfFn<M,F> as core::future::future::Future>::poll |
app::main::{{closure}} | /home/me/app/src/main.rs:5
tokio::runtime::task::core::Core<T,S>::poll |",
    );
    trim(&mut frames);
    assert_eq!(frames.len(), 4, "{frames:#?}");
    assert_eq!(blame(&frames).culprit, Some(1));
}

#[test]
fn calls_that_change_the_memory_map_are_known() {
    assert!(waits_for_memory_map("mmap") && waits_for_memory_map("brk"));
    assert!(!waits_for_memory_map("msync") && !waits_for_memory_map("read(\"mmap\")"));
    for reads in ["mmap(MAP_POPULATE)", "madvise(MADV_WILLNEED)"] {
        assert!(!waits_for_memory_map(reads), "{reads}");
    }
}

#[test]
fn drops_by_abort_and_shutdown_are_told_from_others() {
    for (debug, release) in [
        fixture!("drop-aborted"),
        fixture!("drop-local-set"),
        fixture!("drop-shutdown"),
        fixture!("drop-shutdown-current-thread"),
    ] {
        assert!(aborted_or_shut_down(&debug), "{debug:#?}");
        assert!(aborted_or_shut_down(&release), "{release:#?}");
    }
    for (debug, release) in [
        fixture!("drop-select"),
        fixture!("sleep"),
        fixture!("spawn-blocking"),
    ] {
        assert!(!aborted_or_shut_down(&debug), "{debug:#?}");
        assert!(!aborted_or_shut_down(&release), "{release:#?}");
    }
}

#[test]
fn owners_follow_from_names_and_paths() {
    let registry = |path: &str| {
        format!("/home/me/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/{path}")
    };
    let owner =
        |function: &str, file: &str| super::owner(function, (!file.is_empty()).then_some(file));
    for (function, file, expected) in [
        (
            "app::session::load",
            "/home/me/app/src/session.rs",
            Owner::User,
        ),
        (
            "{async_fn#0}<i32>",
            "/home/me/app/src/session.rs",
            Owner::User,
        ),
        (
            "<app::Fut as core::future::future::Future>::poll",
            "src/fut.rs",
            Owner::User,
        ),
        (
            "app::load",
            &registry("app-1.0.0/src/main.rs"),
            Owner::Dependency,
        ),
        (
            "lock<i32>",
            "/rustc/5980/library/std/src/sync/poison/mutex.rs",
            Owner::Std,
        ),
        ("std::thread::sleep", "", Owner::Std),
        (
            "<alloc::boxed::Box<F> as core::future::future::Future>::poll",
            "",
            Owner::Std,
        ),
        (
            "poll<app::load>",
            &registry("tokio-1.54.1/src/runtime/task/core.rs"),
            Owner::Runtime,
        ),
        (
            "<tokio::time::timeout::Timeout<T> as core::future::future::Future>::poll",
            "",
            Owner::Runtime,
        ),
        (
            "<tokio_util::io::Reader<T> as tokio::io::AsyncRead>::poll_read",
            "",
            Owner::Runtime,
        ),
        (
            "tokio::runtime::task::raw::poll",
            "/home/me/patched/tokio/src/runtime/task/raw.rs",
            Owner::Runtime,
        ),
        (
            "bcrypt::hash",
            &registry("bcrypt-0.17.1/src/lib.rs"),
            Owner::Dependency,
        ),
        ("bcrypt::hash", "", Owner::Dependency),
        (
            "sqlite3VdbeExec",
            &registry("libsqlite3-sys-0.35.0/sqlite3/sqlite3.c"),
            Owner::Dependency,
        ),
        (
            "clone3",
            "./misc/../sysdeps/unix/sysv/linux/x86_64/clone3.S",
            Owner::Dependency,
        ),
        ("clock_nanosleep", "", Owner::Dependency),
        ("", "", Owner::Dependency),
        (
            "<asyncwatch_instrument::watched::Watched<F> as core::future::future::Future>::poll",
            "",
            Owner::Asyncwatch,
        ),
        (
            "poll",
            &registry("asyncwatch-instrument-0.1.0/src/watched.rs"),
            Owner::Asyncwatch,
        ),
        (
            "asyncwatch_demo::main",
            "/home/me/demo/src/main.rs",
            Owner::User,
        ),
    ] {
        assert_eq!(owner(function, file), expected, "{function} in {file:?}");
    }
}

#[test]
fn collecting_is_not_what_takes_the_time() {
    let frames = parse(
        "sqlite3VdbeExec | /home/me/.cargo/registry/src/index/libsqlite3-sys-0.35.0/sqlite3/sqlite3.c:9
rusqlite::row::Rows::advance | /home/me/.cargo/registry/src/index/rusqlite-0.37.0/src/row.rs:8
core::iter::traits::iterator::Iterator::try_fold | /rustc/5980/library/core/src/iter/traits/iterator.rs:7
from_iter<app::Row> | /rustc/5980/library/alloc/src/vec/mod.rs:6
app::report | /home/me/app/src/main.rs:5
tokio::runtime::task::raw::poll |",
    );
    assert_eq!(
        story(&frames),
        "app::report:5 called rusqlite::row::Rows::advance"
    );
}
