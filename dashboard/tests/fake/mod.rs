//! A server of `asyncwatch.v1` that plays what it is told, in place of an
//! instrumented program.

use std::{net::SocketAddr, pin::Pin, sync::Arc};

use asyncwatch_wire::v1::{self, async_watch_server};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use tokio_stream::{Stream, wrappers::ReceiverStream, wrappers::TcpListenerStream};
use tonic::{Request, Response, Status};

/// What a client gets, one element after the other.
pub(crate) type Feed = mpsc::Receiver<Result<v1::Update, Status>>;

type Play = Arc<dyn Fn() -> Feed + Send + Sync>;

/// A server; it ends when this is dropped.
pub(crate) struct Fake {
    pub(crate) addr: SocketAddr,
    serving: JoinHandle<()>,
}

impl Fake {
    /// Serves at `addr`; `play` is asked for a feed for each client.
    pub(crate) async fn start(addr: &str, play: impl Fn() -> Feed + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(addr).await.expect("the address is free");
        let addr = listener.local_addr().expect("it is bound");
        let service = async_watch_server::AsyncWatchServer::new(Service {
            play: Arc::new(play),
        })
        .max_encoding_message_size(usize::MAX);
        let serving = tokio::spawn(async move {
            let incoming = TcpListenerStream::new(listener);
            let server = tonic::transport::Server::builder().add_service(service);
            let _ = server.serve_with_incoming(incoming).await;
        });
        Self { addr, serving }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Service {
    play: Play,
}

#[tonic::async_trait]
impl async_watch_server::AsyncWatch for Service {
    async fn get_process(
        &self,
        _: Request<v1::GetProcessRequest>,
    ) -> Result<Response<v1::Process>, Status> {
        Err(Status::unimplemented("the dashboard does not ask for it"))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::Update, Status>> + Send>>;

    async fn watch(
        &self,
        _: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(Box::pin(ReceiverStream::new((self.play)()))))
    }
}
