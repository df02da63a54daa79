//! The audit log: who did what, in a file; and its archive, which the law wants.

use std::{
    fmt,
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::{fs::OpenOptions, io::AsyncWriteExt, sync::mpsc, time::interval};

use crate::stop::Stop;

/// Events that wait to be written; who records more has to wait.
const QUEUE_EVENTS_MAX: usize = 1_024;
const ARCHIVE_PERIOD: Duration = Duration::from_millis(3_500);
/// How long the archive may work in one go.
const ARCHIVE_SLICE: Duration = Duration::from_millis(250);
/// Entries of the last years that the archive still has to take over.
const BACKLOG_ENTRIES: u64 = 5_000_000;

/// Something that somebody did.
pub enum Event {
    SignedUp(String),
    LoggedIn(String),
    LoggedOut(crate::sessions::Token),
    Ordered { order: i64 },
}

/// The open log. Clones write to the same file.
#[derive(Clone)]
pub struct Audit {
    queue: mpsc::Sender<Event>,
}

#[asyncwatch::watch]
impl Audit {
    /// Puts `event` on record.
    pub async fn record(&self, event: Event) {
        // The writer ends last; if it is gone, so is the service.
        let _ = self.queue.send(event).await;
    }
}

/// Opens the log in `directory`, and starts what writes it and what archives it.
pub fn start(directory: &Path, stop: &Stop) -> io::Result<Audit> {
    let (queue, events) = mpsc::channel(QUEUE_EVENTS_MAX);
    let log = directory.join("audit.log");
    asyncwatch::spawn(write(log, events));

    let archive = Archive::create(&directory.join("audit.archive"))?;
    asyncwatch::spawn(archive.run(stop.wait()));
    Ok(Audit { queue })
}

/// Writes events as they come: `tokio::fs` keeps the disk off the workers.
async fn write(log: PathBuf, mut events: mpsc::Receiver<Event>) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .await?;
    let mut batch = Vec::new();
    while events.recv_many(&mut batch, QUEUE_EVENTS_MAX).await > 0 {
        let lines: String = batch.drain(..).map(|event| format!("{event}\n")).collect();
        file.write_all(lines.as_bytes()).await?;
        file.flush().await?;
    }
    Ok(())
}

/// Takes over old entries, a slice at a time.
struct Archive {
    file: File,
    next_entry: u64,
}

impl Archive {
    fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::create(path)?,
            next_entry: 0,
        })
    }

    async fn run(mut self, stopped: impl Future<Output = ()>) -> io::Result<()> {
        let mut ticks = interval(ARCHIVE_PERIOD);
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.archive_slice()?,
                () = &mut stopped => return Ok(()),
            }
        }
    }

    fn archive_slice(&mut self) -> io::Result<()> {
        let started = Instant::now();
        while started.elapsed() < ARCHIVE_SLICE && self.next_entry < BACKLOG_ENTRIES {
            writeln!(self.file, "entry {} verified", self.next_entry)?;
            // mistake: each entry waits for the disk, on a worker thread. Working in
            // slices does not help: a slice still is one long poll.
            self.file.sync_data()?;
            self.next_entry += 1;
        }
        Ok(())
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignedUp(name) => write!(f, "{name} signed up"),
            Self::LoggedIn(name) => write!(f, "{name} logged in"),
            Self::LoggedOut(token) => write!(f, "session {token} ended"),
            Self::Ordered { order } => write!(f, "order {order} placed"),
        }
    }
}
