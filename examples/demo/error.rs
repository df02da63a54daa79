//! What goes wrong in a request, and what the client is told about it.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

/// Why a request failed, by who is at fault.
#[derive(Debug)]
pub enum ShopError {
    /// The client sent something that makes no sense.
    Invalid(&'static str),
    /// Nobody is logged in under this token, or the password is wrong.
    Unauthorized,
    /// There is no such thing.
    NotFound,
    /// The carrier does not answer.
    Carrier,
    /// The shop itself is broken.
    Internal(String),
}

impl IntoResponse for ShopError {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::Invalid(what) => (StatusCode::UNPROCESSABLE_ENTITY, what.to_owned()),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "log in first".to_owned()),
            Self::NotFound => (StatusCode::NOT_FOUND, "no such thing".to_owned()),
            Self::Carrier => (StatusCode::BAD_GATEWAY, "no carrier answers".to_owned()),
            Self::Internal(why) => (StatusCode::INTERNAL_SERVER_ERROR, why),
        };
        (status, Json(json!({ "error": message }))).into_response()
    }
}

impl From<rusqlite::Error> for ShopError {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::QueryReturnedNoRows => Self::NotFound,
            error => Self::Internal(format!("database: {error}")),
        }
    }
}

impl From<bcrypt::BcryptError> for ShopError {
    fn from(error: bcrypt::BcryptError) -> Self {
        Self::Internal(format!("password: {error}"))
    }
}

impl From<tokio::task::JoinError> for ShopError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Internal(format!("background work: {error}"))
    }
}
