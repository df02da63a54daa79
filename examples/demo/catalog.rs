//! The catalog: books found by the words of their title.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use axum::{
    Json,
    extract::{Query, State},
};
use serde::{Deserialize, Serialize};

use crate::shop::Shelf;

const BOOKS: u32 = 150_000;
const HITS_MAX: usize = 10;
const COMPACTION_PERIOD: Duration = Duration::from_secs(3);

const ADJECTIVES: [&str; 8] = [
    "quiet", "long", "hidden", "silver", "last", "northern", "burning", "patient",
];
const NOUNS: [&str; 8] = [
    "river", "garden", "harbour", "winter", "letter", "machine", "orchard", "island",
];

#[derive(Clone, Serialize)]
pub struct Book {
    id: u32,
    title: String,
}

#[derive(Deserialize)]
pub struct Search {
    word: String,
}

/// Books and the words that lead to them.
pub struct Catalog {
    books: Vec<Book>,
    index: Mutex<HashMap<String, Vec<u32>>>,
}

/// `GET /books?word=…`
pub async fn search(
    State(shelf): State<Arc<Shelf>>,
    Query(search): Query<Search>,
) -> Json<Vec<Book>> {
    Json(shelf.catalog.find(&search.word))
}

impl Catalog {
    /// The shop's books, all indexed.
    pub fn new() -> Arc<Self> {
        let books: Vec<Book> = (0..BOOKS).map(Book::numbered).collect();
        let index = Mutex::new(index(&books));
        Arc::new(Self { books, index })
    }

    /// Compacts the index now and then, on a thread of its own, until the sender that
    /// it returns is dropped.
    pub fn keep_compact(self: &Arc<Self>) -> std::io::Result<mpsc::Sender<()>> {
        let (stop, stopped) = mpsc::channel();
        let catalog = Arc::clone(self);
        thread::Builder::new()
            .name("compaction".into())
            .spawn(move || {
                while stopped.recv_timeout(COMPACTION_PERIOD)
                    == Err(mpsc::RecvTimeoutError::Timeout)
                {
                    catalog.compact();
                }
            })?;
        Ok(stop)
    }

    fn find(&self, word: &str) -> Vec<Book> {
        // mistake: a lock that another thread holds for long (see `compact`) blocks the
        // worker, not only this task.
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let ids = index.get(word).map_or(&[][..], Vec::as_slice);
        ids.iter()
            .take(HITS_MAX)
            .map(|&id| self.books[id as usize].clone())
            .collect()
    }

    /// Rebuilds the index and drops words that nobody can mean.
    fn compact(&self) {
        // The other half of the mistake in `find`: the new index could be built first,
        // and the lock be taken for no longer than it takes to swap the two.
        let mut current = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rebuilt = index(&self.books);
        let common: HashSet<String> = rebuilt
            .iter()
            .filter(|(_, ids)| ids.len() > self.books.len() / 2)
            .map(|(word, _)| word.clone())
            .collect();
        rebuilt.retain(|word, _| !common.contains(word));
        *current = rebuilt;
    }
}

impl Book {
    fn numbered(id: u32) -> Self {
        let adjective = ADJECTIVES[id as usize % ADJECTIVES.len()];
        let noun = NOUNS[id as usize / 8 % NOUNS.len()];
        Self {
            id,
            title: format!("the {adjective} {noun}, volume {id}"),
        }
    }
}

/// Every beginning of every word leads to its books, so that half a word finds them too.
fn index(books: &[Book]) -> HashMap<String, Vec<u32>> {
    let mut index: HashMap<String, Vec<u32>> = HashMap::new();
    for book in books {
        for word in book.title.split([' ', ',']) {
            for (end, letter) in word.char_indices() {
                let beginning = &word[..end + letter.len_utf8()];
                index.entry(beginning.to_owned()).or_default().push(book.id);
            }
        }
    }
    index
}
