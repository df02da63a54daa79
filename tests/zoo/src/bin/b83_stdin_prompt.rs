//! id: b83_stdin_prompt
//! kind: a prompt that reads std::io::stdin in the main future while other tasks should go on
//! source: a common mistake; chat clients and REPLs on tokio
//! runtime: current_thread
//! expect: report
//! class: syscall read
//! culprit: std::io::Stdin::read_line, at MARK:culprit
//! async_fn: none
//! help: stdin
//! min_ms: 150
//! finishes: yes
use std::{io::Write, os::fd::AsRawFd, thread, time::Duration};

fn prompt(what: &str) -> String {
    eprintln!("{what}?");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap(); // MARK:culprit
    line.trim().to_owned()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // HOOK
    let (reader, mut writer) = std::io::pipe().unwrap();
    // SAFETY: both descriptors are open, and nobody else uses standard input.
    unsafe { libc::dup2(reader.as_raw_fd(), 0) };
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(230));
        writer.write_all(b"anna\n").unwrap();
    });
    let beat = tokio::spawn(zoo::victim(Duration::from_millis(5), Duration::from_millis(300)));
    tokio::task::yield_now().await;
    let p = zoo::probe();
    let name = prompt("name");
    let (wall, cpu) = p.done("prompt");
    assert_eq!(name, "anna");
    beat.await.unwrap();
    zoo::verdict("b83_stdin_prompt", wall >= 150 && cpu < 50);
}
