//! A task writes a file and waits for the disk after every line.
//!
//! Expected: one `slow-poll` at the culprit line. Its class is the disk's affair: blocked
//! on a real one, cpu where the file lies in memory.

use std::{
    fs::{self, File},
    io::Write,
    time::{Duration, Instant},
};

#[asyncwatch::main]
async fn main() {
    let program = std::env::current_exe().expect("the program has a path");
    let path = program.with_extension(format!("{}.log", std::process::id()));
    let file = File::create(&path).expect("the target directory is writable");
    let written = asyncwatch::spawn(write_log(file)).await;
    fs::remove_file(&path).expect("the file is ours");
    assert!(written.expect("the task ends well") > 0);
}

async fn write_log(mut file: File) -> u32 {
    let started = Instant::now();
    let mut lines = 0;
    while started.elapsed() < Duration::from_millis(300) {
        let written = file.write_all(b"entry\n").and_then(|()| file.sync_all()); // CULPRIT
        written.expect("the disk works");
        lines += 1;
    }
    lines
}
