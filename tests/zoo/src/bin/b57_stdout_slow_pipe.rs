//! id: b57_stdout_slow_pipe
//! kind: println! in tasks while whoever reads the pipe is slow
//! source: a common mistake; services that stall as soon as their log collector does
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: syscall write (to a full pipe)
//! culprit: println!, at MARK:culprit
//! async_fn: b57_stdout_slow_pipe::report_progress, at MARK:async_fn
//! help: stdout
//! min_ms: 100
//! finishes: yes
use std::{io::Read, os::fd::FromRawFd, time::Duration};

// MARK:async_fn
async fn report_progress(lines: u32) -> u64 {
    let mut worst = 0;
    for n in 0..lines {
        let line = format!("{n:08} {}", "done ".repeat(400));
        let p = std::time::Instant::now();
        println!("{line}"); // MARK:culprit
        worst = worst.max(p.elapsed().as_millis() as u64);
        tokio::task::yield_now().await;
    }
    worst
}

/// Stdout becomes a pipe that is first read after `rest`.
fn slow_stdout(rest: Duration) {
    let mut fds = [0; 2];
    // SAFETY: `fds` has room for two descriptors, and nobody else uses the one that is closed.
    unsafe {
        assert_eq!(libc::pipe(fds.as_mut_ptr()), 0);
        assert!(libc::dup2(fds[1], 1) == 1);
        libc::close(fds[1]);
    }
    // SAFETY: the pipe's reading end is open, and nobody else owns it.
    let mut reader = unsafe { std::fs::File::from_raw_fd(fds[0]) };
    std::thread::spawn(move || {
        std::thread::sleep(rest);
        let mut buffer = vec![0; 1 << 20];
        while reader.read(&mut buffer).is_ok_and(|n| n > 0) {}
    });
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    slow_stdout(Duration::from_millis(400));
    let worst = tokio::spawn(report_progress(80)).await.unwrap();
    zoo::fact("worst_println_ms", worst);
    zoo::verdict("b57_stdout_slow_pipe", worst >= 100);
}
