//! id: b18_thread_sleep_retry
//! kind: std::thread::sleep as back-off inside an async method
//! source: magnusmanske/mediawiki_rust#43, oxidecomputer/cio#13, Hmbown/Codewhale#831
//! runtime: current_thread
//! expect: report
//! class: syscall clock_nanosleep
//! culprit: std::thread::sleep, at MARK:culprit
//! async_fn: b18_thread_sleep_retry::Api::edit, at MARK:async_fn
//! help: tokio::time::sleep
//! min_ms: 100
//! finishes: yes
use std::time::Duration;

struct Api {
    edit_delay: Option<Duration>,
}
impl Api {
    // MARK:async_fn
    async fn edit(&self, page: u32) -> u32 {
        if let Some(d) = self.edit_delay {
            let p = zoo::probe();
            std::thread::sleep(d); // MARK:culprit
            let (wall, cpu) = p.done("edit");
            assert!(wall >= 100 && cpu < 20);
        }
        tokio::task::yield_now().await;
        page
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // HOOK
    let api = Api { edit_delay: Some(Duration::from_millis(120)) };
    let lag = tokio::spawn(zoo::victim(Duration::from_millis(10), Duration::from_millis(350)));
    tokio::time::sleep(Duration::from_millis(25)).await;
    for page in 0..3 {
        api.edit(page).await;
    }
    zoo::fact("victim_worst_lateness_ms", lag.await.unwrap().as_millis());
    zoo::verdict("b18_thread_sleep_retry", true);
}
