//! Sessions: one task for each customer who is logged in. It owns the basket, so
//! nobody needs a lock for it, and it ends by itself when nothing happens for a while.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::error::ShopError;

const INBOX_MAX: usize = 8;
const IDLE_MAX: Duration = Duration::from_secs(15 * 60);
/// Sessions that a restart found on record: their customers need not log in again.
const RESTORED: u64 = 40;

/// Names a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Token(u64);

/// What is asked of a session.
enum Command {
    Add(u32, oneshot::Sender<usize>),
    CheckOut(oneshot::Sender<Vec<u32>>),
}

type Inboxes = HashMap<Token, mpsc::Sender<Command>>;

/// All open sessions.
#[derive(Default)]
pub struct Sessions {
    inboxes: Mutex<(Inboxes, u64)>,
}

impl Sessions {
    /// Sessions with those of the last run open again.
    pub fn restore() -> Arc<Self> {
        let sessions = Arc::new(Self::default());
        for _ in 0..RESTORED {
            sessions.open();
        }
        sessions
    }

    /// Tokens of the open sessions.
    pub fn tokens(&self) -> Vec<Token> {
        self.lock().0.keys().copied().collect()
    }

    pub fn open(self: &Arc<Self>) -> Token {
        let (inbox, commands) = mpsc::channel(INBOX_MAX);
        let mut sessions = self.lock();
        sessions.1 += 1;
        let token = Token(sessions.1);
        sessions.0.insert(token, inbox);
        asyncwatch::spawn(Arc::clone(self).run(token, commands));
        token
    }

    pub fn close(&self, token: Token) -> Result<(), ShopError> {
        let closed = self.lock().0.remove(&token);
        closed.map(drop).ok_or(ShopError::Unauthorized)
    }

    /// Puts `book` into the basket and says how many are in it.
    pub async fn add(&self, token: Token, book: u32) -> Result<usize, ShopError> {
        self.ask(token, |answer| Command::Add(book, answer)).await
    }

    /// Empties the basket.
    pub async fn check_out(&self, token: Token) -> Result<Vec<u32>, ShopError> {
        self.ask(token, Command::CheckOut).await
    }

    async fn ask<T>(
        &self,
        token: Token,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, ShopError> {
        let inbox = self.lock().0.get(&token).cloned();
        let inbox = inbox.ok_or(ShopError::Unauthorized)?;
        let (answer, answered) = oneshot::channel();
        // A session that has just ended closes both channels.
        let _ = inbox.send(command(answer)).await;
        answered.await.map_err(|_| ShopError::Unauthorized)
    }

    async fn run(self: Arc<Self>, token: Token, mut commands: mpsc::Receiver<Command>) {
        let mut basket = Vec::new();
        while let Ok(Some(command)) = timeout(IDLE_MAX, commands.recv()).await {
            // Who asked may have gone away meanwhile: then nobody wants the answer.
            match command {
                Command::Add(book, answer) => {
                    basket.push(book);
                    let _ = answer.send(basket.len());
                }
                Command::CheckOut(answer) => {
                    let _ = answer.send(std::mem::take(&mut basket));
                }
            }
        }
        self.lock().0.remove(&token);
    }

    fn lock(&self) -> MutexGuard<'_, (Inboxes, u64)> {
        self.inboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<S: Sync> FromRequestParts<S> for Token {
    type Rejection = ShopError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ShopError> {
        token(&parts.headers).ok_or(ShopError::Unauthorized)
    }
}

fn token(headers: &HeaderMap) -> Option<Token> {
    let number = headers.get("x-session")?.to_str().ok()?;
    number.parse().ok().map(Token)
}
