//! id: c69_lazy_futures
//! kind: look-alike of never-awaited: futures made early and awaited late, in buffered streams, by join_all, boxed, taken from Options
//! source: ordinary practice
//! runtime: multi_thread, 2 workers
//! expect: clean
//! class: none
//! culprit: none
//! async_fn: c69_lazy_futures::load
//! min_ms: 0
//! finishes: yes
use futures::{future::{join_all, BoxFuture, OptionFuture}, stream, FutureExt, StreamExt};
use std::time::Duration;

async fn load(n: u32) -> u32 {
    tokio::time::sleep(Duration::from_millis(2)).await;
    n
}
fn boxed(n: u32) -> BoxFuture<'static, u32> {
    load(n).boxed()
}

struct Lazy<F>(Option<F>, u32);
impl<F: std::future::Future<Output = u32>> Lazy<F> {
    async fn get(&mut self) -> u32 {
        if let Some(f) = self.0.take() {
            self.1 = f.await;
        }
        self.1
    }
}

async fn page() -> u32 {
    let late = load(1);
    let mut lazy = Lazy(Some(load(2)), 0);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut sum = late.await + lazy.get().await + lazy.get().await;
    sum += join_all((0..4).map(boxed)).await.into_iter().sum::<u32>();
    sum += stream::iter(0..20).map(load).buffer_unordered(3).fold(0, |a, b| async move { a + b }).await;
    let maybe: OptionFuture<_> = Some(load(5)).into();
    sum += maybe.await.unwrap();
    sum += tokio::spawn(load(6).shared()).await.unwrap();
    sum
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let pages: Vec<_> = (0..5).map(|_| tokio::spawn(page())).collect();
    let mut sum = 0;
    for page in pages {
        sum += page.await.unwrap();
    }
    zoo::verdict("c69_lazy_futures", sum == 5 * (1 + 2 + 2 + 6 + 190 + 5 + 6));
}
