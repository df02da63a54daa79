//! The started program's output, line by line to the dashboard.
//!
//! The program never waits for the dashboard: lines that it has no room for are
//! left out, and their number is shown in their place.

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    sync::mpsc::{Sender, error::TrySendError},
    task::JoinSet,
    time,
};

use super::{GRACE, child::Child};
use crate::tui::OutputLine;

/// Longer lines are shown in pieces.
const LINE_BYTES_MAX: u64 = 8 * 1024;

/// Reads both of a program's outputs.
pub(super) struct Forwarder {
    readers: JoinSet<()>,
    lines: Sender<OutputLine>,
}

impl Forwarder {
    pub(super) fn start(child: &mut Child, lines: Sender<OutputLine>) -> Forwarder {
        let mut readers = JoinSet::new();
        if let Some(stdout) = child.take_stdout() {
            readers.spawn(forward(stdout, OutputLine::Stdout, lines.clone()));
        }
        if let Some(stderr) = child.take_stderr() {
            readers.spawn(forward(stderr, OutputLine::Stderr, lines.clone()));
        }
        Forwarder { readers, lines }
    }

    /// The program has ended: what is left of its output, and then `ended`.
    pub(super) async fn finish(mut self, ended: OutputLine) {
        // A process that it left behind may keep the pipes open.
        let rest = async { while self.readers.join_next().await.is_some() {} };
        let drained = time::timeout(GRACE, rest).await;
        if drained.is_err() {
            self.readers.detach_all();
        }
        // The dashboard may be gone; then nobody wants to know.
        let _ = self.lines.send(ended).await;
    }
}

async fn forward(
    output: impl AsyncRead + Unpin,
    kind: fn(String) -> OutputLine,
    lines: Sender<OutputLine>,
) {
    let mut output = BufReader::new(output);
    let mut left_out = 0_u64;
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut output)
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)
            .await
        {
            Ok(1..) => {}
            Ok(0) | Err(_) => break,
        }
        if left_out > 0 && lines.try_send(kind(notice(left_out))).is_ok() {
            left_out = 0;
        }
        match lines.try_send(kind(text(&line))) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => left_out += 1,
            // Still read: a full pipe would stop the program.
            Err(TrySendError::Closed(_)) => {}
        }
    }
    if left_out > 0 {
        let _ = lines.send(kind(notice(left_out))).await;
    }
}

fn notice(left_out: u64) -> String {
    format!("… {left_out} lines left out: they came faster than they can be shown")
}

fn text(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    String::from_utf8_lossy(line).into_owned()
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    async fn forwarded(output: &[u8], room: usize) -> Vec<String> {
        let (sender, mut receiver) = mpsc::channel(room);
        let reading = forward(output, OutputLine::Stdout, sender);
        let collecting = async {
            let mut lines = Vec::new();
            while let Some(line) = receiver.recv().await {
                let OutputLine::Stdout(line) = line else {
                    panic!("{line:?} is not from standard output");
                };
                lines.push(line);
            }
            lines
        };
        tokio::join!(reading, collecting).1
    }

    #[tokio::test]
    async fn lines_lose_their_ends_and_nothing_else() {
        assert_eq!(
            forwarded(b"one\r\n\n\xffthree", 9).await,
            ["one", "", "\u{fffd}three"]
        );
    }

    #[tokio::test]
    async fn endless_lines_come_in_pieces() {
        let lines = forwarded(&[b'x'; 20_000], 9).await;
        let lengths: Vec<usize> = lines.iter().map(String::len).collect();
        assert_eq!(lengths, [8_192, 8_192, 3_616]);
    }

    #[tokio::test]
    async fn a_reader_that_is_slow_costs_lines_and_no_time() {
        // All of it is there at once, and there is room for two lines.
        let lines = forwarded(b"1\n2\n3\n4\n5\n", 2).await;
        assert_eq!(lines[..2], ["1", "2"]);
        assert_eq!(lines[2], notice(3));
    }
}
