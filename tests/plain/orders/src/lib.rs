//! Orders, kept in memory.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::sync::Mutex;

/// What was ordered, by number.
#[derive(Clone, Default)]
pub struct Orders(Arc<Mutex<HashMap<u64, u64>>>);

impl Orders {
    /// Takes an order; its price.
    pub async fn place(&self, number: u64, book: u32, copies: u32) -> u64 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let price = pricing::price(book, copies);
        self.0.lock().await.insert(number, price);
        price
    }

    /// The sum of all.
    pub async fn total(&self) -> u64 {
        self.0.lock().await.values().sum()
    }
}
