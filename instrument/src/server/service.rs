//! The service `asyncwatch.v1.AsyncWatch`.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use asyncwatch_findings::humanise;
use asyncwatch_wire::v1::{self, async_watch_server::AsyncWatch};
use tokio::{
    sync::mpsc::{Sender, channel},
    time::{Instant, interval, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{
    collect::{Collector, Seen},
    convert,
};
use crate::{drops, report::Reporter, settings};

/// Streams served at a time.
const CLIENTS_MAX: usize = 8;
/// A client that takes nothing for so long is cut off.
const CUT_OFF: Duration = Duration::from_secs(30);
const INTERVAL_DEFAULT: Duration = Duration::from_secs(1);
const INTERVAL_MIN: Duration = Duration::from_millis(100);
const INTERVAL_MAX: Duration = Duration::from_secs(60);

/// Answers clients.
pub(super) struct Service {
    reporter: Reporter,
    collector: Arc<Mutex<Collector>>,
    clients: Arc<AtomicUsize>,
}

impl Service {
    pub(super) fn new(reporter: Reporter) -> Service {
        Service {
            collector: Arc::new(Mutex::new(Collector::new(reporter.clone()))),
            reporter,
            clients: Arc::default(),
        }
    }
}

#[tonic::async_trait]
impl AsyncWatch for Service {
    type WatchStream = ReceiverStream<Result<v1::Update, Status>>;

    async fn get_process(
        &self,
        _: Request<v1::GetProcessRequest>,
    ) -> Result<Response<v1::Process>, Status> {
        Ok(Response::new(convert::process(&self.reporter.process())))
    }

    async fn configure(
        &self,
        request: Request<v1::ConfigureRequest>,
    ) -> Result<Response<v1::Process>, Status> {
        let wanted = request.into_inner();
        if let Some(ns) = wanted.max_poll_ns {
            settings::set_limit(Duration::from_nanos(ns));
            self.reporter.warn(format!(
                "a dashboard set the limit of a poll to {}",
                humanise(settings::limit())
            ));
        }
        if let Some(looking) = wanted.looking {
            settings::look(looking);
            let what = if looking { "again" } else { "no longer" };
            self.reporter.warn(format!(
                "slow polls are {what} looked for: a dashboard asked for it"
            ));
        }
        Ok(Response::new(convert::process(&self.reporter.process())))
    }

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let client = Client::admit(&self.clients).ok_or_else(|| {
            drops::count(drops::What::Clients);
            Status::resource_exhausted(format!(
                "{CLIENTS_MAX} dashboards are connected already: close one"
            ))
        })?;
        let wanted = match request.into_inner().interval_ns {
            0 => INTERVAL_DEFAULT,
            ns => Duration::from_nanos(ns).clamp(INTERVAL_MIN, INTERVAL_MAX),
        };
        let (updates, stream) = channel(1);
        let collector = self.collector.clone();
        let clients = self.clients.clone();
        tokio::spawn(async move {
            feed(&collector, &updates, wanted).await;
            drop(client);
            if clients.load(Relaxed) == 0 {
                collector
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .rest();
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// Sends news until the client goes, or takes none for too long.
async fn feed(
    collector: &Mutex<Collector>,
    updates: &Sender<Result<v1::Update, Status>>,
    wanted: Duration,
) {
    let mut seen = Seen::default();
    let mut next = Instant::now();
    let mut ticks = interval(INTERVAL_MIN);
    // After a stall the next update comes at once, and only one.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = updates.closed() => return,
        }
        let news = {
            let mut collector = collector.lock().unwrap_or_else(PoisonError::into_inner);
            if Instant::now() >= next {
                next = Instant::now() + wanted;
                Some(collector.news(&mut seen))
            } else {
                // People wait for these: a poll that blocks, a poll that has ended.
                collector.findings(&mut seen)
            }
        };
        for update in news.into_iter().flatten() {
            if !matches!(timeout(CUT_OFF, updates.send(Ok(update))).await, Ok(Ok(()))) {
                return;
            }
        }
    }
}

/// One admitted client, counted while it lives.
struct Client(Arc<AtomicUsize>);

impl Client {
    fn admit(clients: &Arc<AtomicUsize>) -> Option<Client> {
        let room = clients.fetch_update(Relaxed, Relaxed, |now| {
            (now < CLIENTS_MAX).then_some(now + 1)
        });
        room.is_ok().then(|| Client(clients.clone()))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
