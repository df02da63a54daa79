//! What things cost.

/// Pence for so many of a book.
pub fn price(book: u32, copies: u32) -> u64 {
    #[cfg(feature = "planted")]
    if book == 13 {
        std::thread::sleep(std::time::Duration::from_millis(300)); // CULPRIT
    }
    u64::from(book) * 100 * u64::from(copies)
}
