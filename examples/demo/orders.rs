//! Orders: the basket, checking out, and the manager's report.

use std::sync::Arc;

use asyncwatch::WatchExt;
use axum::{Json, extract::State};
use rusqlite::{Connection, Row};
use serde::{Deserialize, Serialize};

use crate::{audit::Event, carrier::Price, error::ShopError, sessions::Token, shop::Shelf};

const GRAMS_PER_BOOK: u64 = 350;
const CENTS_PER_BOOK: i64 = 1_490;

const BEST_CUSTOMERS: &str = "
    SELECT customer, count(*), sum(cents) FROM orders
    WHERE customer LIKE 'customer-%'
    GROUP BY customer ORDER BY sum(cents) DESC LIMIT 10
";

#[derive(Deserialize)]
pub struct Choice {
    book: u32,
}

#[derive(Serialize)]
pub struct Placed {
    order: i64,
    shipping: Price,
}

#[derive(Serialize)]
pub struct Customer {
    name: String,
    orders: u32,
    cents: i64,
}

/// `POST /basket`
pub async fn add_to_basket(
    State(shelf): State<Arc<Shelf>>,
    token: Token,
    Json(choice): Json<Choice>,
) -> Result<Json<usize>, ShopError> {
    Ok(Json(shelf.sessions.add(token, choice.book).await?))
}

/// `POST /orders`
pub async fn place(
    State(shelf): State<Arc<Shelf>>,
    token: Token,
) -> Result<Json<Placed>, ShopError> {
    let books = shelf.sessions.check_out(token).await?;
    if books.is_empty() {
        return Err(ShopError::Invalid("the basket is empty"));
    }
    let grams = books.len() as u64 * GRAMS_PER_BOOK;
    let shipping = shelf.shipping(grams).watched_as("shipping").await?;
    let order = shelf
        .database
        .call(move |connection| insert(connection, token, &books))
        .await?;
    shelf.audit.record(Event::Ordered { order }).await;
    Ok(Json(Placed { order, shipping }))
}

/// `GET /reports/customers`
pub async fn report(State(shelf): State<Arc<Shelf>>) -> Result<Json<Vec<Customer>>, ShopError> {
    // mistake: SQLite reads through all orders right here on the worker. `place` above
    // goes through `Database::call`, which uses a thread that may block.
    let connection = shelf.database.open()?;
    let customers = best_customers(&connection)?;
    Ok(Json(customers))
}

impl Shelf {
    /// What the carrier takes, asked for or remembered.
    async fn shipping(&self, grams: u64) -> Result<Price, ShopError> {
        if let Some(price) = self.quotes.get(grams) {
            return Ok(price);
        }
        let price = self.carrier.price(grams).await?;
        self.quotes.put(grams, price);
        Ok(price)
    }
}

fn insert(connection: &mut Connection, token: Token, books: &[u32]) -> rusqlite::Result<i64> {
    let order = connection.transaction()?;
    for book in books {
        order.execute(
            "INSERT INTO orders (customer, book, cents) VALUES (?1, ?2, ?3)",
            (format!("session-{token}"), book, CENTS_PER_BOOK),
        )?;
    }
    let id = order.last_insert_rowid();
    order.commit()?;
    Ok(id)
}

fn best_customers(connection: &Connection) -> rusqlite::Result<Vec<Customer>> {
    let mut query = connection.prepare(BEST_CUSTOMERS)?;
    let customers = query.query_map([], Customer::from_row)?;
    customers.collect()
}

impl Customer {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            name: row.get(0)?,
            orders: row.get(1)?,
            cents: row.get(2)?,
        })
    }
}
