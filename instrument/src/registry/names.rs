//! Task names, kept once each for the life of the process.
//!
//! Names come from the program (`watched_as`) or are type names of futures; both
//! repeat for every task of a kind. Distinct names are bounded: past
//! [`NAMES_MAX`] a task goes without one, and that is counted.

#![expect(unsafe_code, reason = "names are handed through thin atomic pointers")]

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use crate::drops;

/// 4,096 names of at most 200 bytes: under 1 MiB.
const NAMES_MAX: usize = 4_096;
const NAME_BYTES_MAX: usize = 200;

/// A name that is never freed.
pub(crate) struct Name(&'static str);

static NAMES: LazyLock<Mutex<HashMap<&'static str, &'static Name>>> = LazyLock::new(Mutex::default);

impl Name {
    /// The one entry for `name`, cut to its bound.
    pub(crate) fn intern(name: &str) -> Option<&'static Name> {
        let name = cut(name);
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.get(name) {
            return Some(known);
        }
        if names.len() == NAMES_MAX {
            drops::count(drops::What::Names);
            return None;
        }
        let text: &'static str = Box::leak(Box::from(name));
        let entry: &'static Name = Box::leak(Box::new(Name(text)));
        names.insert(text, entry);
        Some(entry)
    }

    /// Whether this is the name for `text`.
    pub(super) fn is(&self, text: &str) -> bool {
        self.0 == cut(text)
    }

    /// The text behind a pointer from [`Name::intern`]; empty for null.
    pub(super) fn from_ptr(name: *const Name) -> &'static str {
        // SAFETY: every non-null pointer stored in a task comes from `intern`,
        // which leaks what it points to.
        unsafe { name.as_ref() }.map_or("", |name| name.0)
    }
}

/// The longest head of `name` that fits, whole characters only.
fn cut(name: &str) -> &str {
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once() {
        let a = Name::intern("session").expect("room");
        let b = Name::intern("session").expect("room");
        assert!(std::ptr::eq(a, b));
        assert_eq!(Name::from_ptr(a), "session");
        assert_eq!(Name::from_ptr(std::ptr::null()), "");
    }

    #[test]
    fn a_long_name_is_cut_at_a_character() {
        let long = "é".repeat(150);
        let name = Name::intern(&long).expect("room");
        assert_eq!(Name::from_ptr(name).len(), 200);
    }
}
