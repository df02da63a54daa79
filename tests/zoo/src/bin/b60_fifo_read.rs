//! id: b60_fifo_read
//! kind: std::fs::read_to_string of something that is no plain file and does not answer
//! source: a common mistake; configuration that is read on every request, once from a hung mount
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: syscall openat / open / read
//! culprit: std::fs::read_to_string, at MARK:culprit
//! async_fn: b60_fifo_read::reload, at MARK:async_fn
//! help: tokio::fs
//! min_ms: 200
//! finishes: yes
use std::{ffi::CString, io::Write, path::PathBuf, time::Duration};

// MARK:async_fn
async fn reload(path: PathBuf) -> String {
    let p = zoo::probe();
    let text = std::fs::read_to_string(&path).unwrap(); // MARK:culprit
    let (wall, cpu) = p.done("reload");
    zoo::verdict("b60_fifo_read", wall >= 200 && cpu < 20);
    text
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let path = std::env::temp_dir().join(format!("zoo-b60-{}", std::process::id()));
    let name = CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: `name` ends in a zero and outlives the call.
    let made = unsafe { libc::mkfifo(name.as_ptr(), 0o600) };
    assert_eq!(made, 0);
    let source = path.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        let mut writer = std::fs::OpenOptions::new().write(true).open(source).unwrap();
        writer.write_all(b"level = 3").unwrap();
    });
    let text = tokio::spawn(reload(path.clone())).await.unwrap();
    std::fs::remove_file(path).unwrap();
    assert_eq!(text, "level = 3");
}
