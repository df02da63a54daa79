//! One switch that ends everything: who may turn it, and how others wait for it.

use tokio::{
    signal::unix::{SignalKind, signal as on},
    sync::watch,
};

/// The switch. Clones are the same switch.
#[derive(Clone)]
pub struct Stop(watch::Sender<bool>);

impl Stop {
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Tells everyone to end.
    pub fn now(&self) {
        self.0.send_replace(true);
    }

    /// Waits until somebody called [`now`](Self::now).
    pub fn wait(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopped = self.0.subscribe();
        async move {
            // An error means that the switch is gone, and with it the service.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        }
    }
}

/// Waits for the signal that asks the process to end.
pub async fn signal() -> std::io::Result<()> {
    let mut terminate = on(SignalKind::terminate())?;
    let mut interrupt = on(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
