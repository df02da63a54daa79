use super::*;
use crate::frames::tests::{fixture, parse};

fn help(called: &str, class: Class) -> String {
    let stack = format!(
        "syscall |\n{called} |\napp::work | /home/me/app/src/main.rs:5\ntokio::runtime::task::raw::poll |"
    );
    help_for(&parse(&stack), Some(class)).expect("some help")
}

#[test]
fn every_dialect_of_a_name_finds_its_advice() {
    for (called, advice) in [
        ("std::thread::sleep", "tokio::time::sleep"),
        ("std::thread::functions::sleep", "tokio::time::sleep"),
        ("std::fs::write::inner", "tokio::fs"),
        ("<std::fs::File>::sync_all", "tokio::fs"),
        ("std::fs::File::sync_all", "tokio::fs"),
        ("<std::fs::File as std::io::Write>::write", "tokio::fs"),
        ("<&std::fs::File as std::io::Read>::read", "tokio::fs"),
        ("std::path::Path::exists", "tokio::fs"),
        ("<std::net::tcp::TcpStream>::connect::<&str>", "tokio::net"),
        (
            "<std::net::tcp::TcpStream as std::io::Read>::read",
            "tokio::net",
        ),
        ("std::net::udp::UdpSocket::recv", "tokio::net"),
        (
            "std::os::unix::net::stream::UnixStream::connect",
            "UnixStream",
        ),
        (
            "<(&str, u16) as std::net::socket_addr::ToSocketAddrs>::to_socket_addrs",
            "lookup_host",
        ),
        (
            "<str as std::net::socket_addr::ToSocketAddrs>::to_socket_addrs",
            "lookup_host",
        ),
        ("getaddrinfo", "lookup_host"),
        ("<std::process::Command>::output", "tokio::process"),
        ("std::process::Child::wait", "tokio::process"),
        ("<std::sync::mutex::Mutex<T>>::lock", "tokio::sync::Mutex"),
        (
            "std::sync::poison::mutex::Mutex<T>::lock",
            "tokio::sync::Mutex",
        ),
        (
            "<std::sync::poison::mutex::Mutex<i32>>::lock",
            "tokio::sync::Mutex",
        ),
        (
            "std::sys::sync::mutex::futex::Mutex::lock_contended",
            "tokio::sync::Mutex",
        ),
        (
            "<std::sys::sync::rwlock::futex::RwLock>::read_contended",
            "tokio::sync::RwLock",
        ),
        ("std::sync::rwlock::RwLock<T>::write", "tokio::sync::RwLock"),
        (
            "parking_lot::raw_mutex::RawMutex::lock_slow",
            "tokio::sync::Mutex",
        ),
        ("lock_api::mutex::Mutex<R,T>::lock", "tokio::sync::Mutex"),
        ("lock_api::rwlock::RwLock<R,T>::read", "tokio::sync::RwLock"),
        (
            "std::sync::poison::condvar::Condvar::wait_timeout",
            "tokio::sync::Notify",
        ),
        (
            "<std::sync::barrier::Barrier>::wait",
            "tokio::sync::Barrier",
        ),
        ("std::sync::mpsc::Receiver<T>::recv", "tokio::sync::mpsc"),
        (
            "crossbeam_channel::channel::Receiver<T>::recv",
            "tokio::sync::mpsc",
        ),
        ("flume::Receiver<T>::recv", "recv_async"),
        (
            "<std::thread::join_handle::JoinHandle<T>>::join",
            "join a thread",
        ),
        ("std::thread::JoinHandle<T>::join", "join a thread"),
        ("std::thread::functions::park", "parked"),
        ("futures_executor::local_pool::block_on", "block_on"),
        (
            "tokio::runtime::handle::Handle::block_on_something::{{closure}}",
            "async equivalent",
        ),
        ("pollster::block_on", "block_on"),
        ("std::io::stdio::Stdin::read_line", "stdin"),
        (
            "<std::io::stdio::Stdout as std::io::Write>::write_all",
            "stdout",
        ),
        ("std::io::stdio::_print", "stdout"),
        ("reqwest::blocking::client::Client::get", "reqwest::Client"),
        ("ureq::request::Request::call", "async HTTP client"),
        (
            "rusqlite::statement::Statement::query_row",
            "spawn_blocking",
        ),
        (
            "diesel::pg::connection::PgConnection::establish",
            "diesel-async",
        ),
        ("postgres::client::Client::query", "tokio-postgres"),
        ("mysql::conn::Conn::new", "mysql_async"),
        ("redis::cmd::Cmd::query", "async API"),
    ] {
        let help = help(called, Class::Blocked);
        assert!(help.contains(advice), "{called}: {help}");
    }
}

#[test]
fn computations_find_their_advice() {
    for (called, advice) in [
        ("bcrypt::hash", "password hashing"),
        ("argon2::Argon2::hash_password_into", "password hashing"),
        ("scrypt::scrypt", "password hashing"),
        ("pbkdf2::pbkdf2_hmac", "password hashing"),
        (
            "<flate2::gz::write::GzEncoder<W> as std::io::Write>::write",
            "compress",
        ),
        ("miniz_oxide::deflate::core::compress", "compress"),
        ("zstd::stream::functions::encode_all", "compress"),
        ("brotli::enc::BrotliCompress", "compress"),
        ("regex::regex::string::Regex::new", "pattern"),
        ("regex_automata::meta::regex::Regex::search", "pattern"),
        ("serde_json::de::from_slice", "document"),
        ("image::dynimage::DynamicImage::resize", "image work"),
        ("alloc::slice::<impl [T]>::sort_by", "sort large"),
    ] {
        let help = help(called, Class::Cpu);
        assert!(help.contains(advice), "{called}: {help}");
    }
}

#[test]
fn captured_stacks_find_their_advice() {
    for ((debug, release), advice) in [
        (fixture!("sleep"), "tokio::time::sleep"),
        (fixture!("join"), "join a thread"),
        (fixture!("mutex"), "tokio::sync::Mutex"),
        (fixture!("rwlock"), "tokio::sync::RwLock"),
        (fixture!("recv"), "tokio::sync::mpsc"),
        (fixture!("command-output"), "tokio::process"),
        (fixture!("command-status"), "tokio::process"),
        (fixture!("block-on"), "block_on"),
        (fixture!("tcp-read"), "tokio::net"),
        (fixture!("condvar"), "tokio::sync::Notify"),
        (fixture!("file-open"), "tokio::fs"),
    ] {
        for stack in [debug, release] {
            let help = help_for(&stack, Some(Class::Blocked)).expect("some help");
            assert!(help.contains(advice), "{help}\n{stack:#?}");
        }
    }
}

#[test]
fn the_call_that_the_user_wrote_decides() {
    let stack = parse(
        "std::thread::park |
futures_executor::local_pool::block_on |
app::facade | /home/me/app/src/main.rs:9
std::fs::read |
app::outer | /home/me/app/src/main.rs:12
tokio::runtime::task::raw::poll |",
    );
    let help = help_for(&stack, Some(Class::Blocked)).expect("some help");
    assert!(help.contains("`block_on` inside a task"), "{help}");
}

#[test]
fn unknown_calls_get_advice_by_class() {
    assert!(help("app_sys::wait", Class::Blocked).contains("async equivalent"));
    assert!(help("app_math::solve", Class::Cpu).contains("yield_now"));
    assert!(help("app_math::solve", Class::Mixed).contains("both computes and blocks"));
    assert!(help("serde_json::de::from_reader", Class::Blocked).contains("async equivalent"));
    assert_eq!(help_for(&[], None), None);
}

#[test]
fn descheduled_polls_have_nothing_to_fix() {
    assert!(help("std::thread::sleep", Class::Descheduled).contains("nothing to fix"));
}

#[test]
fn names_match_whole_segments() {
    assert!(advice("imagery::load", Some(Class::Cpu)).is_none());
    assert!(advice("std::fsx::read", None).is_none());
}
