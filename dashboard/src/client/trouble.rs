//! What went wrong on the way, told so that a user knows where to look.

use std::{error::Error, io};

use tonic::{Code, Status};

use super::convert;
use crate::model::Trouble;

/// Why no connection came about.
pub(super) fn of_connect(error: &tonic::transport::Error) -> Trouble {
    match io_kind(error) {
        Some(io::ErrorKind::ConnectionRefused) => Trouble::Refused,
        Some(io::ErrorKind::TimedOut) => Trouble::Silent,
        _ => Trouble::Broken(innermost(error)),
    }
}

/// Why a call or its stream failed.
pub(super) fn of_status(status: &Status) -> Trouble {
    let message = || convert::clean(status.message(), 160);
    match status.code() {
        Code::Unimplemented => Trouble::NotAsyncwatch(
            "it speaks gRPC, but serves something else (tokio-console's?)".to_owned(),
        ),
        Code::Unauthenticated | Code::PermissionDenied => Trouble::Denied(message()),
        Code::OutOfRange | Code::DataLoss => Trouble::Damaged(message()),
        Code::DeadlineExceeded => Trouble::Silent,
        _ => of_transport(status).unwrap_or_else(|| Trouble::Broken(message())),
    }
}

/// Failures below gRPC: tonic wraps them into a status, with their cause kept.
fn of_transport(status: &Status) -> Option<Trouble> {
    let Some(cause) = status.source() else {
        return of_answer(status);
    };
    let text = chain(cause);
    if text.contains("keep-alive timed out") {
        return Some(Trouble::Silent);
    }
    if [
        "http2 error",
        "frame with invalid",
        "GOAWAY",
        "PROTOCOL_ERROR",
    ]
    .iter()
    .any(|sign| text.contains(sign))
        && io_kind(cause).is_none()
    {
        return Some(Trouble::NotAsyncwatch("it does not speak gRPC".to_owned()));
    }
    Some(match io_kind(cause) {
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => Trouble::Broken(
            "the program closed the connection; it was killed or crashed".to_owned(),
        ),
        _ => Trouble::Broken(innermost(cause)),
    })
}

/// Statuses that tonic makes itself of answers that are none.
fn of_answer(status: &Status) -> Option<Trouble> {
    let message = status.message();
    if message.contains("decode") || message.contains("protobuf") || message.contains("compress") {
        return Some(Trouble::Damaged(convert::clean(message, 160)));
    }
    message
        .contains("content-type")
        .then(|| Trouble::NotAsyncwatch("it speaks HTTP, but not gRPC".to_owned()))
}

/// The text of the innermost cause, which names the fact.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let last = causes(error).last().map(ToString::to_string);
    convert::clean(&last.unwrap_or_default(), 160)
}

fn chain(error: &(dyn Error + 'static)) -> String {
    causes(error)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .map(io::Error::kind)
        .last()
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error: &'a (dyn Error + 'static) = next?;
        next = error.source();
        Some(error)
    })
}
