//! What to do about a known culprit: a table from functions to advice.
//!
//! To teach it a new library, add an [`Advice`] to [`TABLE`]; names are compared as
//! people write them ([`display_name`](crate::display_name)), so one entry serves
//! every compiler's dialect.

use crate::{
    Class, Frame,
    frames::{blame, frame_name, is_below, poll_end},
};

/// Functions that should not run inside a poll, and what to use instead.
struct Advice {
    /// Paths of functions, types, modules or crates; everything below one matches.
    calls: &'static [&'static str],
    /// Only where this is why time passed; `None`: always.
    class: Option<Class>,
    /// One sentence for people.
    text: &'static str,
}

/// What helps against what was seen on the thread, or against time lost in this
/// way in general.
///
/// `stack` may still have the runtime's frames; the outermost call that the table
/// knows decides, as that is the one the user wrote.
pub fn help_for(stack: &[Frame], class: Option<Class>) -> Option<String> {
    if class == Some(Class::Descheduled) {
        return generic(class).map(str::to_owned);
    }
    let poll = &stack[..poll_end(stack).unwrap_or(stack.len())];
    let called = &poll[..blame(poll).culprit.unwrap_or(poll.len())];
    // A culprit that is itself in the table: a dependency known by its name alone.
    let culprit = poll.get(called.len()).filter(|frame| !frame.user);
    let known = culprit
        .into_iter()
        .chain(called.iter().rev())
        .find_map(|frame| advice(&frame_name(frame), class));
    known.or_else(|| generic(class)).map(str::to_owned)
}

fn advice(function: &str, class: Option<Class>) -> Option<&'static str> {
    let fits = |advice: &&Advice| advice.class.is_none() || advice.class == class;
    TABLE
        .iter()
        .filter(fits)
        .find(|advice| advice.calls.iter().any(|call| is_below(function, call)))
        .map(|advice| advice.text)
}

fn generic(class: Option<Class>) -> Option<&'static str> {
    Some(match class? {
        Class::Blocked => {
            "use an async equivalent of the blocking call, or move it to `tokio::task::spawn_blocking`"
        }
        Class::Cpu => {
            "move the computation to `tokio::task::spawn_blocking` or a thread pool such as rayon, \
             or split it and call `tokio::task::yield_now().await` between the parts"
        }
        Class::Mixed => {
            "the poll both computes and blocks: move the whole of it to `tokio::task::spawn_blocking`"
        }
        Class::Descheduled => {
            "nothing to fix in this code: the machine had no CPU free; look at what else runs on it, \
             or at the CPU limit of its container"
        }
    })
}

const TABLE: &[Advice] = &[
    Advice {
        calls: &[
            "std::thread::sleep",
            "std::thread::sleep_ms",
            "std::thread::sleep_until",
        ],
        class: None,
        text: "use `tokio::time::sleep(..).await`",
    },
    Advice {
        calls: &[
            "futures::executor::block_on",
            "futures_lite::future::block_on",
            "pollster::block_on",
            "tokio::runtime::Handle::block_on",
            "tokio::runtime::Runtime::block_on",
            "async_io::driver::block_on",
            "smol::block_on",
            "extreme::run",
        ],
        class: None,
        text: "`.await` the future instead: `block_on` inside a task holds the worker until the future is ready",
    },
    Advice {
        calls: &[
            "std::net::ToSocketAddrs",
            "std::net::LookupHost",
            "std::sys::net::connection::LookupHost",
            "getaddrinfo",
            "__GI_getaddrinfo",
            "dns_lookup",
        ],
        class: None,
        text: "use `tokio::net::lookup_host(..).await`; it resolves the name on the blocking pool",
    },
    Advice {
        calls: &["std::net", "socket2"],
        class: None,
        text: "use the types of `tokio::net`: they wait without holding the worker",
    },
    Advice {
        calls: &["std::os::unix::net"],
        class: None,
        text: "use `tokio::net::UnixStream` and `tokio::net::UnixListener`",
    },
    Advice {
        calls: &["std::process::Command", "std::process::Child"],
        class: None,
        text: "use `tokio::process::Command`: its `output`, `status` and `wait` are async",
    },
    Advice {
        calls: &[
            "std::io::Stdin",
            "std::io::StdinLock",
            "std::io::stdin",
            "std::io::read_line",
        ],
        class: None,
        text: "read input on a thread of its own and send the lines through a `tokio::sync::mpsc` channel, \
               or use `tokio::io::stdin()`",
    },
    Advice {
        calls: &[
            "std::io::Stdout",
            "std::io::StdoutLock",
            "std::io::Stderr",
            "std::io::StderrLock",
            "std::io::_print",
            "std::io::_eprint",
            "std::io::print_to",
        ],
        class: None,
        text: "the reader of this output is slow: write through `tokio::io::stdout()`, or log through a \
               non-blocking writer such as `tracing_appender::non_blocking`",
    },
    Advice {
        calls: &[
            "std::fs",
            "std::path::Path",
            "tempfile",
            "walkdir",
            "fs_extra",
            "memmap2",
        ],
        class: None,
        text: "use `tokio::fs`, or move several file operations together to `tokio::task::spawn_blocking`",
    },
    Advice {
        calls: &[
            "std::sync::Mutex",
            "parking_lot::Mutex",
            "lock_api::Mutex",
            "parking_lot::raw_mutex",
            "spin::mutex",
            "std::sys::sync::mutex",
        ],
        class: None,
        text: "another thread holds the mutex for long: keep its critical section short, or use \
               `tokio::sync::Mutex` where it has to be held across an `.await`",
    },
    Advice {
        calls: &[
            "std::sync::RwLock",
            "parking_lot::RwLock",
            "lock_api::RwLock",
            "parking_lot::raw_rwlock",
            "spin::rwlock",
            "std::sys::sync::rwlock",
        ],
        class: None,
        text: "another thread holds the lock for long: keep its critical section short, or use `tokio::sync::RwLock`",
    },
    Advice {
        calls: &[
            "std::sync::Condvar",
            "std::sys::sync::condvar",
            "parking_lot::condvar",
            "parking_lot::Condvar",
        ],
        class: None,
        text: "use `tokio::sync::Notify` or `tokio::sync::watch` to wait for a condition",
    },
    Advice {
        calls: &["std::sync::Barrier"],
        class: None,
        text: "use `tokio::sync::Barrier`",
    },
    Advice {
        calls: &[
            "std::sync::Once",
            "std::sync::OnceLock",
            "std::sync::LazyLock",
            "once_cell",
        ],
        class: None,
        text: "its initialisation is slow: run it before the runtime starts, or use `tokio::sync::OnceCell`",
    },
    Advice {
        calls: &[
            "std::sync::mpsc",
            "std::sync::mpmc",
            "crossbeam_channel",
            "crossbeam::channel",
            "kanal",
        ],
        class: None,
        text: "use `tokio::sync::mpsc`: its `recv` and `send` wait without holding the worker",
    },
    Advice {
        calls: &["flume"],
        class: None,
        text: "use flume's `recv_async().await` and `send_async(..).await`",
    },
    Advice {
        calls: &["async_channel"],
        class: None,
        text: "use `recv().await` and `send(..).await` instead of the `_blocking` functions",
    },
    Advice {
        calls: &[
            "std::thread::JoinHandle::join",
            "std::thread::scope",
            "std::thread::join",
        ],
        class: None,
        text: "do not join a thread in a task: use `tokio::task::spawn_blocking` and `.await` its handle, \
               or send the result through `tokio::sync::oneshot`",
    },
    Advice {
        calls: &["rayon", "rayon_core"],
        class: None,
        text: "rayon's caller waits for the result: start it with `rayon::spawn` and send the result through \
               `tokio::sync::oneshot`",
    },
    Advice {
        calls: &[
            "std::thread::park",
            "std::thread::park_timeout",
            "std::thread::Thread::park",
            "parking_lot_core",
        ],
        class: None,
        text: "a parked thread polls nothing: use `tokio::sync::Notify`",
    },
    Advice {
        calls: &[
            "bcrypt",
            "argon2",
            "scrypt",
            "pbkdf2",
            "pwhash",
            "password_hash",
            "djb_scrypt",
            "blowfish",
        ],
        class: None,
        text: "password hashing is slow by design: move it to `tokio::task::spawn_blocking`, and bound how many run at once",
    },
    Advice {
        calls: &["rsa", "ring::rsa", "openssl::rsa", "rcgen"],
        class: None,
        text: "move the key operation to `tokio::task::spawn_blocking`",
    },
    Advice {
        calls: &[
            "flate2",
            "miniz_oxide",
            "zlib_rs",
            "libz_sys",
            "zstd",
            "zstd_safe",
            "brotli",
            "bzip2",
            "xz2",
            "lz4_flex",
            "lz4",
            "snap",
            "zip",
            "tar",
        ],
        class: None,
        text: "compress on `tokio::task::spawn_blocking`, or stream through the `async-compression` crate in small pieces",
    },
    Advice {
        calls: &["reqwest::blocking"],
        class: None,
        text: "use the async `reqwest::Client`",
    },
    Advice {
        calls: &["ureq", "attohttpc", "minreq", "curl"],
        class: None,
        text: "use an async HTTP client such as `reqwest`, or move the request to `tokio::task::spawn_blocking`",
    },
    Advice {
        calls: &["rusqlite", "libsqlite3_sys", "sqlite"],
        class: None,
        text: "run queries on `tokio::task::spawn_blocking` or through `tokio-rusqlite`",
    },
    Advice {
        calls: &["diesel"],
        class: None,
        text: "use `diesel-async`, or run the query on `tokio::task::spawn_blocking`",
    },
    Advice {
        calls: &["postgres"],
        class: None,
        text: "use `tokio-postgres`, the async client that `postgres` wraps",
    },
    Advice {
        calls: &["mysql"],
        class: None,
        text: "use `mysql_async`",
    },
    Advice {
        calls: &[
            "redis::connection",
            "redis::client::Client::get_connection",
            "redis::cmd::Cmd::query",
            "redis::commands",
        ],
        class: None,
        text: "use redis' async API, for example `get_multiplexed_async_connection`",
    },
    Advice {
        calls: &["rocksdb", "sled", "redb", "heed", "lmdb"],
        class: None,
        text: "embedded databases read and write files: run their calls on `tokio::task::spawn_blocking`",
    },
    Advice {
        calls: &["git2", "gix"],
        class: None,
        text: "git operations read and write files: run them on `tokio::task::spawn_blocking`",
    },
    Advice {
        calls: &["image", "png", "jpeg_decoder", "resvg", "tiny_skia"],
        class: Some(Class::Cpu),
        text: "move image work to `tokio::task::spawn_blocking` or a thread pool such as rayon",
    },
    Advice {
        calls: &["regex", "regex_automata", "fancy_regex", "aho_corasick"],
        class: Some(Class::Cpu),
        text: "compile the pattern once (`std::sync::LazyLock`), bound the input, or match large inputs on \
               `tokio::task::spawn_blocking`",
    },
    Advice {
        calls: &[
            "serde_json",
            "serde_yaml",
            "toml",
            "bincode",
            "ciborium",
            "rmp_serde",
            "quick_xml",
            "csv",
            "prost",
        ],
        class: Some(Class::Cpu),
        text: "bound the size of the document, or convert large ones on `tokio::task::spawn_blocking`",
    },
    Advice {
        calls: &[
            "alloc::slice::sort",
            "alloc::slice::sort_by",
            "alloc::slice::sort_by_key",
            "alloc::slice::stable_sort",
            "core::slice::sort",
        ],
        class: Some(Class::Cpu),
        text: "sort large collections on `tokio::task::spawn_blocking`",
    },
];

#[cfg(test)]
mod tests;
