//! Customers: they search, fill baskets and order; some sign up; a manager reads reports.
//!
//! Each is a task that waits for one answer before it asks the next question, so a slow
//! shop has slow customers and never a pile of requests.

use std::time::Duration;

use axum::{body::Bytes, http::Method};
use serde::Deserialize;
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use crate::{http::Client, sessions::Token, shop::Shop, stop::Stop};

const SHOPPERS: usize = 16;
const BROWSERS: u64 = 2;

const WORDS: [&str; 6] = ["river", "silv", "gard", "winter", "let", "burning"];

/// Lets the customers in; they leave when `stop` says so.
pub fn start(shop: &Shop, stop: &Stop) -> JoinSet<()> {
    let client = Client::new(shop.address);
    let mut customers = JoinSet::new();
    for (number, token) in shop
        .shelf
        .sessions
        .tokens()
        .into_iter()
        .take(SHOPPERS)
        .enumerate()
    {
        let shopper = shopper(client.clone(), token, number as u64);
        customers.spawn(until(stop, shopper));
    }
    for number in 0..BROWSERS {
        let browser = browser(client.clone(), number);
        customers.spawn(until(stop, browser));
    }
    customers.spawn(until(stop, newcomers(client.clone())));
    customers.spawn(until(stop, manager(client)));
    customers
}

/// Runs `visit` until the shop closes.
fn until<V>(stop: &Stop, visit: V) -> impl Future<Output = ()> + Send + use<V>
where
    V: Future<Output = ()> + Send,
{
    let stopped = stop.wait();
    async move {
        tokio::select! {
            () = stopped => {}
            () = visit => {}
        }
    }
}

/// Fills a basket, orders, and comes back.
async fn shopper(client: Client, token: Token, number: u64) {
    let token = token.to_string();
    let mut round = number;
    loop {
        for _ in 0..1 + round % 5 {
            let choice = json!({ "book": round * 37 % 20_000 }).to_string();
            client.send(Method::POST, "/basket", &token, choice).await;
            sleep(Duration::from_millis(40 + round * 13 % 60)).await;
        }
        client
            .send(Method::POST, "/orders", &token, Bytes::new())
            .await;
        sleep(Duration::from_millis(400 + number * 30)).await;
        round += 1;
    }
}

/// Looks for books and buys none.
async fn browser(client: Client, number: u64) {
    for word in WORDS.iter().cycle().skip(number as usize) {
        client.get(&format!("/books?word={word}")).await;
        sleep(Duration::from_millis(15)).await;
    }
}

/// One after the other they sign up, log in, look around, and log out again.
async fn newcomers(client: Client) {
    #[derive(Deserialize)]
    struct LoggedIn {
        token: Token,
    }

    for number in 0_u64.. {
        let password = format!("correct horse {number}");
        let who = json!({ "name": format!("reader-{number}"), "password": password }).to_string();
        client
            .send(Method::POST, "/accounts", "", who.clone())
            .await;
        let answer = client.send(Method::POST, "/sessions", "", who).await;
        if let Some(LoggedIn { token }) = answer.and_then(|answer| answer.json()) {
            client.get("/books?word=island").await;
            sleep(Duration::from_millis(300)).await;
            client
                .send(
                    Method::DELETE,
                    "/sessions",
                    &token.to_string(),
                    Bytes::new(),
                )
                .await;
        }
        sleep(Duration::from_millis(1_200)).await;
    }
}

/// Wants to know who the best customers are, again and again.
async fn manager(client: Client) {
    loop {
        sleep(Duration::from_millis(1_700)).await;
        client.get("/reports/customers").await;
    }
}
