//! Which row of a list is selected. The selection follows the item, not the
//! position: when rows move, it moves along.

use std::ops::Range;

/// A selection in a list of items with identities `K`.
#[derive(Clone, Debug)]
pub(super) struct Cursor<K> {
    /// The selected item; none until the user moved: then it is the first row.
    key: Option<K>,
    index: usize,
    offset: usize,
}

impl<K> Default for Cursor<K> {
    fn default() -> Self {
        Self {
            key: None,
            index: 0,
            offset: 0,
        }
    }
}

impl<K: Copy + Eq> Cursor<K> {
    /// Position of the selection, as of the last [`settle`](Self::settle).
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// The selected item.
    pub(super) fn selected(&self, rows: &[K]) -> Option<K> {
        rows.get(self.index).copied()
    }

    /// Finds the item again in new rows. Where it is gone, the row that took its
    /// place is selected.
    pub(super) fn settle(&mut self, rows: &[K]) {
        let Some(key) = self.key else {
            self.index = 0;
            return;
        };
        if rows.get(self.index) == Some(&key) {
            return;
        }
        match rows.iter().position(|row| *row == key) {
            Some(index) => self.index = index,
            None => self.go_to(self.index, rows),
        }
    }

    /// Selects the row at `index`, or the last one.
    pub(super) fn go_to(&mut self, index: usize, rows: &[K]) {
        self.index = index.min(rows.len().saturating_sub(1));
        self.key = rows.get(self.index).copied();
    }

    /// Back to the first row, whichever item that is.
    pub(super) fn release(&mut self) {
        *self = Self::default();
    }

    /// Moves by some rows.
    pub(super) fn step(&mut self, rows: &[K], by: isize) {
        self.go_to(self.index.saturating_add_signed(by), rows);
    }

    /// The rows that are visible in a pane of this height: as before, but with
    /// the selection in sight.
    pub(super) fn window(&self, len: usize, height: usize) -> Range<usize> {
        let height = height.max(1);
        let lowest = (self.index + 1).saturating_sub(height);
        let start = self.offset.clamp(lowest, self.index.max(lowest));
        let start = start.min(len.saturating_sub(height));
        start..(start + height).min(len)
    }

    /// Keeps the window that was drawn.
    pub(super) fn scrolled_to(&mut self, start: usize) {
        self.offset = start;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn follows_the_item_when_rows_move() {
        let mut cursor = Cursor::default();
        cursor.step(&['a', 'b', 'c'], 1);
        cursor.settle(&['c', 'a', 'x', 'b']);
        assert_eq!(cursor.index(), 3);
    }

    #[test]
    fn stays_at_the_top_until_moved() {
        let mut cursor = Cursor::default();
        cursor.settle(&['a', 'b']);
        cursor.settle(&['b', 'a']);
        assert_eq!(cursor.selected(&['b', 'a']), Some('b'));
    }

    #[test]
    fn takes_the_next_row_when_the_item_is_gone() {
        let mut cursor = Cursor::default();
        cursor.go_to(2, &['a', 'b', 'c']);
        cursor.settle(&['a', 'b']);
        assert_eq!(cursor.selected(&['a', 'b']), Some('b'));
        cursor.settle(&[]);
        assert_eq!(cursor.selected(&[]), None::<char>);
    }

    proptest! {
        #[test]
        fn the_selection_is_always_in_sight(
            len in 1_usize..200, height in 1_usize..50, offset in 0_usize..300, index in 0_usize..300,
        ) {
            let rows: Vec<usize> = (0..len).collect();
            let mut cursor = Cursor::default();
            cursor.go_to(index, &rows);
            cursor.scrolled_to(offset);
            let window = cursor.window(len, height);
            prop_assert!(window.contains(&cursor.index()));
            prop_assert_eq!(window.len(), height.min(len));
        }
    }
}
