//! id: b06_gzip_ingest
//! kind: compression of a request payload inside an async client method
//! source: axiomhq/axiom-rs#9 (fix 3db5bac), pleaseai/shunt#254
//! runtime: multi_thread, 2 workers
//! expect: report
//! expect_note: in a dev build serde_json::to_vec two lines above is a second, equally valid culprit (unoptimised)
//! class: cpu
//! culprit: <flate2::write::GzEncoder as std::io::Write>::write_all (deflate below it), at MARK:culprit
//! async_fn: b06_gzip_ingest::Client::ingest, at MARK:async_fn
//! help: spawn_blocking
//! min_ms: 100
//! finishes: yes
use flate2::{write::GzEncoder, Compression};
use std::io::Write;

struct Client;
impl Client {
    // MARK:async_fn
    async fn ingest(&self, events: Vec<serde_json::Value>) -> std::io::Result<usize> {
        let p = zoo::probe();
        let json = serde_json::to_vec(&events)?;
        p.done("serialise(minor)");
        let p = zoo::probe();
        let mut gz = GzEncoder::new(Vec::new(), Compression::default());
        gz.write_all(&json)?; // MARK:culprit
        let payload = gz.finish()?;
        let (_wall, cpu) = p.done("gzip");
        zoo::verdict("b06_gzip_ingest", cpu >= 100);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await; // "send"
        Ok(payload.len())
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let mut x = 1u64;
    let events: Vec<_> = (0..if cfg!(debug_assertions) { 60_000 } else { 200_000 })
        .map(|i| {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            serde_json::json!({"seq": i, "trace": format!("{x:016x}"), "msg": "request finished", "ms": x % 977})
        })
        .collect();
    let n = tokio::spawn(async move { Client.ingest(events).await.unwrap() }).await.unwrap();
    zoo::fact("compressed_bytes", n);
}
