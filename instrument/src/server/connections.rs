//! Connections to the server: a bounded number, because each takes memory and a
//! descriptor from the program, and none for whoever says nothing.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::{Sleep, sleep},
};
use tokio_stream::{Stream, StreamExt, wrappers::TcpListenerStream};
use tonic::transport::server::Connected;

use crate::drops;

/// Connections at a time: more than dashboards, so that one too many of these can be
/// told why.
const CONNECTIONS_MAX: usize = 32;
/// A client has this long to begin.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// The connections that are let in; the others are closed at once, and counted.
pub(super) fn admitted(listener: TcpListener) -> impl Stream<Item = io::Result<Connection>> {
    let taken = Arc::new(AtomicUsize::new(0));
    TcpListenerStream::new(listener).filter_map(move |accepted| match accepted {
        Err(why) => Some(Err(why)),
        Ok(stream) => match Seat::take(&taken) {
            Some(seat) => Some(Ok(Connection::new(stream, seat))),
            None => {
                drops::count(drops::What::Clients);
                None
            }
        },
    })
}

/// One of the connections, counted while it lives.
struct Seat(Arc<AtomicUsize>);

impl Seat {
    fn take(taken: &Arc<AtomicUsize>) -> Option<Seat> {
        let room = taken.fetch_update(Relaxed, Relaxed, |now| {
            (now < CONNECTIONS_MAX).then_some(now + 1)
        });
        room.is_ok().then(|| Seat(taken.clone()))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// A connection that was let in.
pub(super) struct Connection {
    stream: TcpStream,
    /// How long it may still be silent; `None` once it has spoken.
    patience: Option<Pin<Box<Sleep>>>,
    _seat: Seat,
}

impl Connection {
    fn new(stream: TcpStream, seat: Seat) -> Connection {
        Connection {
            stream,
            patience: Some(Box::pin(sleep(SILENCE_MAX))),
            _seat: seat,
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = <TcpStream as Connected>::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_ready() {
            self.patience = None;
        } else if let Some(patience) = &mut self.patience {
            ready!(patience.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_bounded_and_come_back() {
        let taken = Arc::new(AtomicUsize::new(0));
        let mut seats: Vec<Seat> = (0..CONNECTIONS_MAX)
            .filter_map(|_| Seat::take(&taken))
            .collect();
        assert_eq!(seats.len(), CONNECTIONS_MAX);
        assert!(Seat::take(&taken).is_none());
        seats.pop();
        assert!(Seat::take(&taken).is_some());
    }
}
