//! A server of `asyncwatch.v1` that plays what it is told, in place of an
//! instrumented program. Like one, it can vanish with all its connections.

use std::{
    net::{SocketAddr, TcpListener},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use asyncwatch_wire::v1::{self, async_watch_server};
use tokio::{runtime::Runtime, sync::mpsc};
use tokio_stream::{Stream, wrappers::ReceiverStream, wrappers::TcpListenerStream};
use tonic::{Request, Response, Status};

/// What a client gets, one element after the other.
pub(crate) type Feed = mpsc::Receiver<Result<v1::Update, Status>>;

type Play = Arc<dyn Fn() -> Feed + Send + Sync>;

/// A server with a runtime of its own; both end when this is dropped.
pub(crate) struct Fake {
    pub(crate) addr: SocketAddr,
    runtime: Option<Runtime>,
}

impl Fake {
    /// Serves at `addr`; `play` is asked for a feed for each client.
    pub(crate) fn start(addr: &str, play: impl Fn() -> Feed + Send + Sync + 'static) -> Self {
        let listener = bind(addr);
        let addr = listener.local_addr().expect("it is bound");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("threads can be started");
        runtime.spawn(serve(listener, Arc::new(play)));
        Self {
            addr,
            runtime: Some(runtime),
        }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A server that was dropped a moment ago may still hold the address.
fn bind(addr: &str) -> TcpListener {
    for _ in 0..1_000 {
        match TcpListener::bind(addr) {
            Ok(listener) => return listener,
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    panic!("{addr} is taken");
}

async fn serve(listener: TcpListener, play: Play) {
    listener.set_nonblocking(true).expect("sockets can do that");
    let listener = tokio::net::TcpListener::from_std(listener).expect("it is a listener");
    let service = async_watch_server::AsyncWatchServer::new(Service { play })
        .max_encoding_message_size(usize::MAX);
    tonic::transport::Server::builder()
        .add_service(service)
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await
        .expect("it serves");
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

    async fn configure(
        &self,
        _: Request<v1::ConfigureRequest>,
    ) -> Result<Response<v1::Process>, Status> {
        Err(Status::unimplemented("an older program"))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::Update, Status>> + Send>>;

    async fn watch(
        &self,
        _: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(Box::pin(ReceiverStream::new((self.play)()))))
    }
}
