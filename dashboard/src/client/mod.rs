//! The connection to a watched program: connects, reconnects by itself, and
//! turns what comes into [`Update`]s.
//!
//! This is the only place in the dashboard that names wire types. Whatever a
//! server sends is bounded and freed of control characters here (`convert`);
//! the model and the terminal rely on it.

mod backoff;
mod convert;
mod target;
mod trouble;

use std::time::{Duration, Instant};

use asyncwatch_wire::v1;
use tokio::sync::mpsc;
use tonic::transport::{Channel, Endpoint};

use self::backoff::Backoff;
use crate::model::{Connection, Trouble, Update};

pub use convert::clean;
pub use target::{BadTarget, Target};

/// Largest message that is accepted; servers keep below it by chunking.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Updates on their way to the display. When they are not taken, the server
/// merges what it has to say.
const QUEUE: usize = 4;

const CONNECT_WITHIN: Duration = Duration::from_secs(3);
const FIRST_ANSWER_WITHIN: Duration = Duration::from_secs(5);
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(5);
const KEEP_ALIVE_WITHIN: Duration = Duration::from_secs(5);

/// What a [`watch`] tells.
#[derive(Clone, Debug)]
pub enum Message {
    /// The connection is now in this state.
    Connection(Connection),
    /// News of the program.
    Update(Box<Update>),
}

/// Where messages come out.
pub type Messages = mpsc::Receiver<Message>;

/// Watches the program at `target` for as long as the receiver is kept.
///
/// Must be called within a tokio runtime.
pub fn watch(target: Target) -> Messages {
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        tokio::select! {
            () = keep_watching(&target, &sender) => {}
            () = sender.closed() => {}
        }
    });
    receiver
}

/// What to change in how a program is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A poll that takes this long is slow from now on.
    Limit(Duration),
    /// Whether slow polls are looked for.
    Look(bool),
}

/// Changes how the program at `target` is watched.
///
/// # Errors
///
/// A sentence for people, if the program cannot be reached or is of a release that
/// cannot be told.
pub async fn configure(target: &Target, change: Change) -> Result<(), String> {
    let (max_poll_ns, looking) = match change {
        Change::Limit(limit) => (Some(limit.as_nanos() as u64), None),
        Change::Look(looking) => (None, Some(looking)),
    };
    let request = v1::ConfigureRequest {
        max_poll_ns,
        looking,
    };
    let answer = async {
        let channel = connect(target).await?;
        v1::async_watch_client::AsyncWatchClient::new(channel)
            .configure(request)
            .await
            .map_err(|status| trouble::of_status(&status))
    };
    match tokio::time::timeout(FIRST_ANSWER_WITHIN, answer).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(trouble)) => Err(format!("nothing was changed: {trouble}")),
        Err(_) => Err("nothing was changed: the program does not answer".to_owned()),
    }
}

/// Ends only when nobody listens any more.
async fn keep_watching(target: &Target, to: &mpsc::Sender<Message>) {
    let mut backoff = Backoff::default();
    let mut lost_since = None;
    let addr = target.to_string();
    loop {
        if lost_since.is_none() {
            let connecting = Connection::Connecting { addr: addr.clone() };
            let _ = to.send(Message::Connection(connecting)).await;
        }
        let mut was_live = false;
        let Err(trouble) = session(target, to, &mut was_live).await else {
            return;
        };
        if was_live {
            backoff.reset();
            lost_since = None;
        }
        let since = *lost_since.get_or_insert_with(Instant::now);
        let pause = backoff.next_pause();
        let lost = Connection::Lost {
            addr: addr.clone(),
            since,
            retry_at: Instant::now() + pause,
            trouble,
        };
        if to.send(Message::Connection(lost)).await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

/// One connection, from first to last update. Ends well only when nobody listens.
async fn session(
    target: &Target,
    to: &mpsc::Sender<Message>,
    was_live: &mut bool,
) -> Result<(), Trouble> {
    let channel = connect(target).await?;
    let mut client = v1::async_watch_client::AsyncWatchClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    let request = v1::WatchRequest { interval_ns: 0 };
    let first = async {
        let mut stream = client.watch(request).await?.into_inner();
        let update = stream.message().await?;
        Ok((stream, update))
    };
    let (mut stream, mut next) = tokio::time::timeout(FIRST_ANSWER_WITHIN, first)
        .await
        .map_err(|_| Trouble::Silent)?
        .map_err(|status| trouble::of_status(&status))?;
    while let Some(wire) = next {
        let mut update = convert::update(wire);
        if !*was_live {
            *was_live = true;
            // A new stream tells everything anew, whether it says so or not.
            update.reset = true;
            let live = Connection::Live {
                addr: target.to_string(),
            };
            if to.send(Message::Connection(live)).await.is_err() {
                return Ok(());
            }
        }
        if to.send(Message::Update(Box::new(update))).await.is_err() {
            return Ok(());
        }
        next = stream
            .message()
            .await
            .map_err(|status| trouble::of_status(&status))?;
    }
    if *was_live {
        Err(Trouble::Ended)
    } else {
        Err(Trouble::Broken("the server has nothing to tell".to_owned()))
    }
}

async fn connect(target: &Target) -> Result<Channel, Trouble> {
    Endpoint::from_shared(target.uri())
        .map_err(|error| Trouble::Broken(trouble::innermost(&error)))?
        .connect_timeout(CONNECT_WITHIN)
        .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
        .keep_alive_timeout(KEEP_ALIVE_WITHIN)
        .keep_alive_while_idle(true)
        .tcp_nodelay(true)
        .connect()
        .await
        .map_err(|error| trouble::of_connect(&error))
}
