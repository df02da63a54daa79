//! How the dashboard stands with the watched program.

use std::{fmt, time::Instant};

/// State of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// No program was found yet; the default address is tried meanwhile.
    Waiting {
        /// The address that is tried.
        addr: String,
    },
    /// The program that `asyncwatch run` started has not told its address yet.
    Starting,
    /// The program that `asyncwatch run` started is watched from outside: there is nothing
    /// to connect to.
    Outside,
    /// A connection attempt is under way.
    Connecting {
        /// The address that is tried.
        addr: String,
    },
    /// Data flows.
    Live {
        /// The program's address.
        addr: String,
    },
    /// There is no connection; another attempt follows by itself.
    Lost {
        /// The address that is tried.
        addr: String,
        /// When the connection was lost, or the first attempt failed.
        since: Instant,
        /// When the next attempt starts.
        retry_at: Instant,
        /// What happened.
        trouble: Trouble,
    },
}

impl Connection {
    /// The address in question, if there is one.
    pub fn addr(&self) -> Option<&str> {
        match self {
            Connection::Starting | Connection::Outside => None,
            Connection::Waiting { addr }
            | Connection::Connecting { addr }
            | Connection::Live { addr }
            | Connection::Lost { addr, .. } => Some(addr),
        }
    }

    /// Whether data flows.
    pub fn is_live(&self) -> bool {
        matches!(self, Connection::Live { .. } | Connection::Outside)
    }
}

/// Why there is no connection. Its text says what to do where that is not plain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing listens there.
    Refused,
    /// The program closed the stream in good order: it ended.
    Ended,
    /// The connection broke.
    Broken(String),
    /// Something listens, but gave no answer in time.
    Silent,
    /// Something listens that is not asyncwatch.
    NotAsyncwatch(String),
    /// The server wants credentials or refuses this client.
    Denied(String),
    /// The data made no sense.
    Damaged(String),
}

impl Trouble {
    /// What to do about it, where there is something to do.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Trouble::Refused => Some("start the app with asyncwatch enabled, or give its address"),
            Trouble::NotAsyncwatch(_) => Some(
                "give the address the app printed at start, or run a bare `asyncwatch` to find it",
            ),
            Trouble::Silent => Some(
                "is the app stopped, or the address another service's? the app prints its address at start",
            ),
            Trouble::Damaged(_) => {
                Some("are the app's asyncwatch library and this program of the same release?")
            }
            Trouble::Ended | Trouble::Broken(_) | Trouble::Denied(_) => None,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Refused => f.write_str("nothing listens there"),
            Trouble::Ended => f.write_str("the program ended"),
            Trouble::Broken(why) => write!(f, "connection lost: {why}"),
            Trouble::Silent => f.write_str("no answer in time"),
            Trouble::NotAsyncwatch(why) => write!(f, "not an asyncwatch server: {why}"),
            Trouble::Denied(why) => write!(f, "refused by the server: {why}"),
            Trouble::Damaged(why) => write!(f, "damaged data: {why}"),
        }
    }
}
