//! Function names: from what symbols and debug info say to what people call them.
//!
//! Symbols come in several dialects: legacy names with a hash, v0 names such as
//! `<std::process::Command>::status::{closure#0}`, and bare names without any path
//! (`lock<i32>`, `{async_fn#0}`), which is all that `line-tables-only` keeps of an
//! inlined function. Everything here is plain text; who a frame belongs to is
//! [`frames`](crate::frames)' business.

use crate::place;

/// What people call this function.
///
/// Closures, hashes, generic arguments and private modules of std are gone:
/// `app::session::load::{{closure}}` is `app::session::load`, and
/// `<std::sync::poison::mutex::Mutex<T>>::lock` is `std::sync::Mutex::lock`.
///
/// ```
/// use asyncwatch_findings::display_name;
///
/// assert_eq!(display_name("app::load::{{closure}}::h0123456789abcdef"), "app::load");
/// assert_eq!(display_name("<app::Fut<T> as core::future::future::Future>::poll"), "app::Fut::poll");
/// assert_eq!(display_name("{async_fn#0}<i32>"), "async fn");
/// ```
pub fn display_name(function: &str) -> String {
    let path = path(function);
    if path.is_empty() {
        return anonymous(function).to_owned();
    }
    let name = path.join("::");
    // glibc's internal name of what everybody calls without it.
    match name.strip_prefix("__GI_") {
        Some(name) => name.trim_start_matches('_').to_owned(),
        None => public(&name),
    }
}

/// The function's name with the module its file stands for, where debug info gave
/// none: `write<&str>` in std's `fs.rs` is `std::fs::write<&str>`.
///
/// Names that already have a path, and files that belong to no known crate, are
/// returned unchanged.
pub fn complete(function: &str, file: Option<&str>) -> String {
    let module = file.and_then(place::module);
    match module {
        Some(module) if !function.is_empty() && path(function).len() < 2 => {
            format!("{module}::{function}")
        }
        _ => function.to_owned(),
    }
}

/// The crate a function's name starts with; of `<T as Trait>` that of `T`.
pub(crate) fn crate_of(function: &str) -> Option<String> {
    let path = path(function);
    (path.len() > 1).then(|| path[0].clone())
}

/// Whether the name tells no function apart from another: a closure, an async
/// block, or nothing.
pub(crate) fn is_anonymous(function: &str) -> bool {
    path(function).is_empty()
}

fn anonymous(function: &str) -> &'static str {
    match function.trim_start_matches('{') {
        name if name.starts_with("async_fn") => "async fn",
        name if name.starts_with("async_block") => "async block",
        name if name.starts_with("async_closure") => "async closure",
        name if name.starts_with("coroutine") => "coroutine",
        "" => "unknown function",
        _ => "closure",
    }
}

/// The named segments of a function's path.
fn path(function: &str) -> Vec<String> {
    let mut path = Vec::new();
    for (index, segment) in segments(strip_hash(function)).into_iter().enumerate() {
        if let Some(inner) = bracketed(segment) {
            match inner.strip_prefix("impl ") {
                Some(implementation) => enter_impl(&mut path, implementation),
                None if index == 0 => path = self_type(inner),
                None => {}
            }
        } else if let Some(name) = plain(segment) {
            path.push(name.to_owned());
        }
    }
    path
}

/// `…::<impl Trait for Type>::f` is `Type::f` where `Type` has a path.
fn enter_impl(path: &mut Vec<String>, implementation: &str) {
    let target = split_top(implementation, " for ").map_or(implementation, |(_, target)| target);
    let target = type_path(target);
    if target.len() > 1 {
        *path = target;
    }
}

/// The path of `Type` or, where that is a mere parameter, of `Trait`.
fn self_type(inner: &str) -> Vec<String> {
    let Some((own, name_of_trait)) = split_top(inner, " as ") else {
        return type_path(inner);
    };
    let own = type_path(own);
    if own.len() > 1 {
        own
    } else {
        type_path(name_of_trait)
    }
}

fn type_path(name: &str) -> Vec<String> {
    let mut name = name.trim();
    loop {
        let before = name;
        for prefix in ["&", "*const ", "*mut ", "mut ", "dyn ", "("] {
            name = name.strip_prefix(prefix).unwrap_or(name).trim_start();
        }
        if let Some(rest) = name.strip_prefix('\'') {
            name = rest.split_once(' ').map_or("", |(_, rest)| rest);
        }
        if name == before {
            break;
        }
    }
    path(name.split(" + ").next().unwrap_or(name))
}

/// A segment's name without generic arguments and crate hash; `None` for
/// `{{closure}}` and its like.
fn plain(segment: &str) -> Option<&str> {
    let end = segment
        .find(['<', '[', '{', '(', ' '])
        .unwrap_or(segment.len());
    let name = &segment[..end];
    (!name.is_empty()).then_some(name)
}

fn bracketed(segment: &str) -> Option<&str> {
    segment.strip_prefix('<')?.strip_suffix('>')
}

/// `::h` and sixteen hexadecimal digits at the end of legacy names.
fn strip_hash(function: &str) -> &str {
    match function.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && is_hex(hash) => name,
        _ => function,
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Splits at each `::` outside of brackets.
fn segments(function: &str) -> Vec<&str> {
    let mut segments = Vec::new();
    let mut start = 0;
    for (at, nesting) in nesting(function) {
        if nesting == 0 && at >= start && function[at..].starts_with("::") {
            segments.push(&function[start..at]);
            start = at + 2;
        }
    }
    segments.push(&function[start..]);
    segments
}

/// Splits at the first `separator` outside of brackets.
fn split_top<'a>(text: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    nesting(text)
        .find(|&(at, nesting)| nesting == 0 && text[at..].starts_with(separator))
        .map(|(at, _)| (&text[..at], &text[at + separator.len()..]))
}

/// Each character's position, and how many brackets are open there.
fn nesting(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut open = 0_usize;
    let mut last = ' ';
    text.char_indices().map(move |(at, character)| {
        match character {
            '<' | '(' | '[' | '{' => open += 1,
            // The arrow of `fn() -> T` closes nothing.
            '>' if last == '-' => {}
            '>' | ')' | ']' | '}' => open = open.saturating_sub(1),
            _ => {}
        }
        last = character;
        (at, open)
    })
}

/// Where private modules are re-exported, the public path; longer ones first.
const PUBLIC: &[(&str, &str)] = &[
    (
        "std::thread::join_handle::JoinHandle",
        "std::thread::JoinHandle",
    ),
    ("std::thread::join_handle", "std::thread::JoinHandle"),
    ("std::thread::lifecycle", "std::thread"),
    ("std::thread::functions", "std::thread"),
    ("std::thread::scoped", "std::thread"),
    ("std::thread::thread::Thread", "std::thread::Thread"),
    ("std::thread::local::LocalKey", "std::thread::LocalKey"),
    ("std::sync::poison::mutex::Mutex", "std::sync::Mutex"),
    ("std::sync::poison::mutex", "std::sync::Mutex"),
    ("std::sync::mutex::Mutex", "std::sync::Mutex"),
    ("std::sync::mutex", "std::sync::Mutex"),
    ("std::sync::poison::rwlock::RwLock", "std::sync::RwLock"),
    ("std::sync::poison::rwlock", "std::sync::RwLock"),
    ("std::sync::rwlock::RwLock", "std::sync::RwLock"),
    ("std::sync::rwlock", "std::sync::RwLock"),
    ("std::sync::poison::condvar::Condvar", "std::sync::Condvar"),
    ("std::sync::poison::condvar", "std::sync::Condvar"),
    ("std::sync::condvar::Condvar", "std::sync::Condvar"),
    ("std::sync::condvar", "std::sync::Condvar"),
    ("std::sync::poison::once::Once", "std::sync::Once"),
    ("std::sync::poison::once", "std::sync::Once"),
    ("std::sync::once::Once", "std::sync::Once"),
    ("std::sync::once_lock::OnceLock", "std::sync::OnceLock"),
    ("std::sync::once_lock", "std::sync::OnceLock"),
    ("std::sync::lazy_lock::LazyLock", "std::sync::LazyLock"),
    ("std::sync::lazy_lock", "std::sync::LazyLock"),
    (
        "std::sync::reentrant_lock::ReentrantLock",
        "std::sync::ReentrantLock",
    ),
    ("std::sync::reentrant_lock", "std::sync::ReentrantLock"),
    ("std::sync::barrier::Barrier", "std::sync::Barrier"),
    ("std::sync::barrier", "std::sync::Barrier"),
    ("std::net::tcp", "std::net"),
    ("std::net::udp", "std::net"),
    ("std::net::socket_addr", "std::net"),
    ("std::io::stdio", "std::io"),
    ("futures_executor::local_pool", "futures::executor"),
    (
        "tokio::runtime::runtime::Runtime",
        "tokio::runtime::Runtime",
    ),
    ("tokio::runtime::handle::Handle", "tokio::runtime::Handle"),
    ("tokio::runtime::handle", "tokio::runtime"),
    ("tokio::runtime::runtime", "tokio::runtime"),
    ("tokio::task::blocking", "tokio::task"),
    ("tokio::runtime::local_runtime::runtime", "tokio::runtime"),
    ("lock_api::mutex", "lock_api"),
    ("lock_api::rwlock", "lock_api"),
];

fn public(path: &str) -> String {
    for (private, public) in PUBLIC {
        if let Some(rest) = path.strip_prefix(private)
            && (rest.is_empty() || rest.starts_with("::"))
        {
            return format!("{public}{rest}");
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(functions: &[&str], expected: Expect) {
        let names: Vec<String> = functions.iter().map(|name| display_name(name)).collect();
        expected.assert_eq(&names.join("\n"));
    }

    #[test]
    fn legacy_names() {
        check(
            &[
                "app::session::load",
                "app::session::load::{{closure}}",
                "app::session::load::{{closure}}::{{closure}}::h0123456789abcdef",
                "std::thread::local::LocalKey<T>::with",
                "<app::Fut as core::future::future::Future>::poll",
                "<core::panic::unwind_safe::AssertUnwindSafe<F> as core::ops::function::FnOnce<()>>::call_once",
                "<alloc::boxed::Box<dyn core::ops::function::FnOnce<(), Output = ()> + core::marker::Send> as core::ops::function::FnOnce<()>>::call_once",
                "core::ops::function::FnOnce::call_once{{vtable.shim}}",
                "alloc::slice::<impl [T]>::sort_by",
                "core::hash::impls::<impl core::hash::Hash for u64>::hash",
                "app::codec::<impl app::Decode for app::frame::Frame>::decode",
                "core::ptr::drop_in_place<tokio::runtime::task::core::Stage<app::pending::{{closure}}>>",
            ],
            expect![[r#"
                app::session::load
                app::session::load
                app::session::load
                std::thread::LocalKey::with
                app::Fut::poll
                core::panic::unwind_safe::AssertUnwindSafe::call_once
                alloc::boxed::Box::call_once
                core::ops::function::FnOnce::call_once
                alloc::slice::sort_by
                core::hash::impls::hash
                app::frame::Frame::decode
                core::ptr::drop_in_place"#]],
        );
    }

    #[test]
    fn v0_names() {
        check(
            &[
                "app[5d1e9c7a3b2f4e60]::session::load::{closure#0}",
                "<std::process::Command>::status::{closure#0}",
                "<std::sync::poison::mutex::Mutex<i32>>::lock",
                "<std::sys::sync::mutex::futex::Mutex>::lock_contended",
                "std::sys::pal::unix::cvt_r::<i32, <std::sys::process::unix::unix::Process>::wait::{closure#0}>",
                "<std::fs::OpenOptions>::open::<&std::path::Path>",
                "<flate2::gz::write::GzEncoder<W> as std::io::Write>::write",
                "<&mut app::Body as http_body::Body>::poll_frame",
                "<dyn app::Job + core::marker::Send as app::Run>::run",
                "<fn(u32) -> u64 as app::Call>::call",
                "<F as app::Handler>::handle::{closure#1}",
            ],
            expect![[r#"
                app::session::load
                std::process::Command::status
                std::sync::Mutex::lock
                std::sys::sync::mutex::futex::Mutex::lock_contended
                std::sys::pal::unix::cvt_r
                std::fs::OpenOptions::open
                flate2::gz::write::GzEncoder::write
                app::Body::poll_frame
                app::Job::run
                app::Call::call
                app::Handler::handle"#]],
        );
    }

    #[test]
    fn bare_names() {
        check(
            &[
                "{async_fn#0}<i32>",
                "{async_block#0}",
                "{closure#0}<blk::main::{async_block#0}::{async_block_env#0}>",
                "lock<i32>",
                "clock_nanosleep",
                "__GI___poll",
                "main",
                "",
            ],
            expect![[r#"
                async fn
                async block
                closure
                lock
                clock_nanosleep
                poll
                main
                unknown function"#]],
        );
    }

    #[test]
    fn names_are_completed_from_their_file() {
        let std = "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src";
        let tokio =
            "/home/me/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/tokio-1.54.1/src";
        let complete = |function: &str, file: &str| complete(function, Some(file));

        assert_eq!(
            complete("write<&str>", &format!("{std}/fs.rs")),
            "std::fs::write<&str>"
        );
        let lock = complete("lock<i32>", &format!("{std}/sync/poison/mutex.rs"));
        assert_eq!(display_name(&lock), "std::sync::Mutex::lock");
        let poll = complete(
            "poll<app::load::{async_fn_env#0}>",
            &format!("{tokio}/runtime/task/core.rs"),
        );
        assert_eq!(display_name(&poll), "tokio::runtime::task::core::poll");
        assert_eq!(
            complete("std::fs::read", &format!("{std}/fs.rs")),
            "std::fs::read"
        );
        assert_eq!(
            complete("{async_fn#0}", "/home/me/app/src/main.rs"),
            "{async_fn#0}"
        );
    }

    #[test]
    fn crates_are_those_of_the_self_type() {
        assert_eq!(
            crate_of("<tokio_util::codec::Framed<T> as Stream>::poll_next").as_deref(),
            Some("tokio_util")
        );
        assert_eq!(
            crate_of("<F as app::Handler>::handle").as_deref(),
            Some("app")
        );
        assert_eq!(crate_of("main"), None);
        assert_eq!(crate_of("{closure#0}<std::sync::Mutex<i32>>"), None);
    }

    #[test]
    fn odd_names_are_taken_as_they_are() {
        for odd in [
            "<<<",
            "a::<",
            ">>::x",
            "::",
            "<>::f",
            "ä::ö::{{ü}}",
            "operator<",
            "}}}",
        ] {
            display_name(odd);
        }
    }
}
