//! Accounts: signing up, logging in, logging out.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};

use crate::{audit::Event, error::ShopError, sessions::Token, shop::Shelf};

/// bcrypt's cost: each step up doubles the time. 12 is what is recommended today.
const COST: u32 = 12;

#[derive(Deserialize)]
pub struct Credentials {
    name: String,
    password: String,
}

#[derive(Serialize)]
pub struct LoggedIn {
    token: Token,
}

/// `POST /accounts`
pub async fn sign_up(
    State(shelf): State<Arc<Shelf>>,
    Json(new): Json<Credentials>,
) -> Result<(), ShopError> {
    if new.password.len() < 8 {
        return Err(ShopError::Invalid("a password has at least 8 characters"));
    }
    // mistake: a quarter of a second of arithmetic on a worker thread, while every
    // other task of this worker waits. `log_in` below shows how it is done.
    let digest = bcrypt::hash(&new.password, COST)?;

    let name = new.name.clone();
    let insert = "INSERT INTO accounts (name, digest) VALUES (?1, ?2)";
    shelf
        .database
        .call(move |connection| connection.execute(insert, [name, digest]))
        .await?;
    shelf.audit.record(Event::SignedUp(new.name)).await;
    Ok(())
}

/// `POST /sessions`
pub async fn log_in(
    State(shelf): State<Arc<Shelf>>,
    Json(claimed): Json<Credentials>,
) -> Result<Json<LoggedIn>, ShopError> {
    let name = claimed.name.clone();
    let digest: String = shelf
        .database
        .call(move |connection| {
            let find = "SELECT digest FROM accounts WHERE name = ?1";
            connection.query_row(find, [name], |row| row.get(0))
        })
        .await?;

    let check = move || bcrypt::verify(claimed.password, &digest);
    if !tokio::task::spawn_blocking(check).await?? {
        return Err(ShopError::Unauthorized);
    }
    let token = shelf.sessions.open();
    shelf.audit.record(Event::LoggedIn(claimed.name)).await;
    Ok(Json(LoggedIn { token }))
}

/// `DELETE /sessions`
pub async fn log_out(State(shelf): State<Arc<Shelf>>, token: Token) -> Result<(), ShopError> {
    shelf.sessions.close(token)?;
    // mistake: the future is made and thrown away, so nothing is ever recorded. The
    // compiler would have warned without the `let _`.
    #[expect(clippy::let_underscore_future, reason = "a mistake to be found")]
    let _ = shelf.audit.record(Event::LoggedOut(token));
    Ok(())
}
