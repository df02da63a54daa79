//! Loom models of the slot protocol: every interleaving of a polling thread and a
//! reading watchdog, rule by rule (see `src/publish.rs`).

#![expect(
    dead_code,
    unreachable_pub,
    reason = "the module under test is included as source, to run on loom's atomics"
)]

mod sync {
    pub use loom::sync::atomic::{AtomicPtr, AtomicU64, Ordering, fence};
}

#[path = "../src/publish.rs"]
mod publish;

use std::ptr;

use loom::{sync::Arc, thread};
use publish::Published;

/// Poll `n` publishes a task pointer and a start that both say `n`.
fn task(n: usize) -> *mut u8 {
    ptr::without_provenance_mut(n)
}

fn poll(published: &Published<u8>, n: usize) -> u64 {
    let sequence = published.closed().expect("nothing is published");
    published.begin(sequence, task(n), n as u64);
    assert_eq!(published.open(), Some(sequence));
    published.end(sequence);
    sequence
}

/// Rules 2, 3 and 4: a reading never mixes two polls.
#[test]
fn a_reading_belongs_to_one_poll() {
    loom::model(|| {
        let published = Arc::new(Published::new());
        let writer = {
            let published = published.clone();
            thread::spawn(move || {
                for n in 1..=3 {
                    poll(&published, n);
                }
            })
        };
        if let Some(reading) = published.read() {
            assert_eq!(reading.task, task(reading.start as usize));
            assert_eq!(reading.sequence, 2 * reading.start - 1);
            assert_eq!(reading.origin, reading.sequence);
        }
        writer.join().unwrap();
    });
}

/// Rule 4, seen from a capture: if the number is the same before and after, all
/// that was read between belongs to the poll that the first reading named.
#[test]
fn an_unchanged_number_means_the_same_poll() {
    loom::model(|| {
        let published = Arc::new(Published::new());
        let writer = {
            let published = published.clone();
            thread::spawn(move || {
                poll(&published, 1);
                poll(&published, 2);
            })
        };
        let first = published.read();
        let second = published.read();
        if let (Some(first), Some(second)) = (first, second)
            && first.sequence == second.sequence
        {
            assert_eq!(first, second);
        }
        writer.join().unwrap();
    });
}

/// An outer poll that goes on after a nested one keeps its origin, and no reading
/// takes the one for the other.
#[test]
fn a_resumed_poll_keeps_its_origin() {
    loom::model(|| {
        let published = Arc::new(Published::new());
        let writer = {
            let published = published.clone();
            thread::spawn(move || {
                published.begin(1, task(1), 10);
                published.end(1);
                published.begin(3, task(2), 20);
                published.end(3);
                published.resume(task(1), 15, 1);
                published.end(5);
            })
        };
        if let Some(reading) = published.read() {
            let expected = match reading.sequence {
                1 => (task(1), 10, 1),
                3 => (task(2), 20, 3),
                5 => (task(1), 15, 1),
                other => panic!("no stretch has the number {other}"),
            };
            assert_eq!((reading.task, reading.start, reading.origin), expected);
        }
        writer.join().unwrap();
    });
}

/// Rule 1: numbers only grow, and nothing is published between polls.
#[test]
fn numbers_grow_and_gaps_are_empty() {
    loom::model(|| {
        let published = Arc::new(Published::new());
        assert!(published.read().is_none());
        let writer = {
            let published = published.clone();
            thread::spawn(move || {
                assert!(poll(&published, 1) < poll(&published, 2));
            })
        };
        let before = published.read().map_or(0, |reading| reading.sequence);
        let after = published.read().map_or(before, |reading| reading.sequence);
        assert!(before <= after);
        writer.join().unwrap();
        assert!(published.read().is_none());
    });
}
