//! id: b82_child_stdout_stream
//! kind: a hand-written Stream whose poll_next reads lines from the stdout of a std child
//! source: a common mistake; log followers around `kubectl logs` and `ffmpeg`
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: syscall read (from a pipe)
//! culprit: BufRead::read_line, at MARK:culprit
//! async_fn: b82_child_stdout_stream::follow, at MARK:async_fn
//! min_ms: 100
//! finishes: yes
use futures::{Stream, StreamExt};
use std::{
    io::{BufRead, BufReader},
    pin::Pin,
    process::{ChildStdout, Command, Stdio},
    task::{Context, Poll},
};

struct Lines(BufReader<ChildStdout>);
impl Stream for Lines {
    type Item = String;
    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<String>> {
        let mut line = String::new();
        let p = zoo::probe();
        let n = self.0.read_line(&mut line).unwrap(); // MARK:culprit
        if n > 0 {
            let (wall, cpu) = p.done("read_line");
            zoo::verdict("b82_child_stdout_stream", wall >= 100 && cpu < 50);
        }
        Poll::Ready((n > 0).then_some(line))
    }
}

// MARK:async_fn
async fn follow(out: ChildStdout) -> usize {
    Lines(BufReader::new(out)).filter(|l| std::future::ready(!l.is_empty())).count().await
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let mut child = tokio::task::spawn_blocking(|| {
        Command::new("sh").args(["-c", "for i in 1 2 3; do sleep 0.15; echo line $i; done"]).stdout(Stdio::piped()).spawn().unwrap()
    })
    .await
    .unwrap();
    let out = child.stdout.take().unwrap();
    assert_eq!(tokio::spawn(follow(out)).await.unwrap(), 3);
    tokio::task::spawn_blocking(move || child.wait()).await.unwrap().unwrap();
}
