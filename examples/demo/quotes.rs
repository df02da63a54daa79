//! Prices the carrier told us lately, so that it need not be asked for every order.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::time::interval;

use crate::carrier::Price;

const QUOTE_AGE_MAX: Duration = Duration::from_millis(1_500);
const CLEAN_PERIOD: Duration = Duration::from_millis(500);

/// Prices by weight. A std mutex is right here: no holder does anything slow.
#[derive(Default)]
pub struct Quotes(Mutex<HashMap<u64, (Price, Instant)>>);

impl Quotes {
    /// An empty cache, and the janitor that keeps it small.
    pub fn start() -> Arc<Self> {
        let quotes = Arc::new(Self::default());
        asyncwatch::spawn(Arc::clone(&quotes).keep_clean());
        quotes
    }

    pub fn get(&self, grams: u64) -> Option<Price> {
        let quotes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (price, told) = quotes.get(&grams)?;
        (told.elapsed() < QUOTE_AGE_MAX).then_some(*price)
    }

    pub fn put(&self, grams: u64, price: Price) {
        let mut quotes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        quotes.insert(grams, (price, Instant::now()));
    }

    async fn keep_clean(self: Arc<Self>) {
        let mut ticks = interval(CLEAN_PERIOD);
        loop {
            ticks.tick().await;
            let mut quotes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            quotes.retain(|_, (_, told)| told.elapsed() < QUOTE_AGE_MAX);
        }
    }
}
