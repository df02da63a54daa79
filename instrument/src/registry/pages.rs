//! From tokio's task id to the task's entry, in a few loads and without a lock.
//!
//! tokio hands out task ids densely, so a page stands for 256 consecutive ids and
//! a fixed directory finds pages by the ids' high bits. Pages are pooled, never
//! freed, so a reader that was overtaken sees a page that is not its own (the base
//! differs), and never freed memory. Who looks up an id polls, spawns or ends that
//! very task, and a task that lives keeps its page: `live` counts them, and a page is
//! closed only by swapping a zero there for a large negative number.

#![expect(unsafe_code, reason = "pages are handed through atomic pointers")]

use std::{
    ptr,
    sync::{
        Mutex, PoisonError,
        atomic::{
            AtomicI64, AtomicPtr, AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
};

use super::task::Task;

const PAGE_BITS: u32 = 8;
const PAGE: usize = 1 << PAGE_BITS;
/// 65,536 pages in reach of one probe: two tasks meet in it only if 16.7 million
/// ids lie between them, and then the next of [`PROBES`] places is taken.
const DIRECTORY: usize = 1 << 16;
const PROBES: usize = 8;
const CLOSED: i64 = i64::MIN / 2;

static PAGES: [AtomicPtr<Page>; DIRECTORY] = [const { AtomicPtr::new(ptr::null_mut()) }; DIRECTORY];
static NEWEST: AtomicU64 = AtomicU64::new(0);
static BOOKS: Mutex<Books> = Mutex::new(Books {
    open: Vec::new(),
    pool: Vec::new(),
});

struct Page {
    /// Number of the page: id >> PAGE_BITS.
    base: AtomicU64,
    live: AtomicI64,
    tasks: [AtomicPtr<Task>; PAGE],
}

/// Who is where; taken once per page, not per task.
struct Books {
    /// Directory places in use.
    open: Vec<usize>,
    pool: Vec<&'static Page>,
}

/// The entry of the task `id`, if it has one.
#[inline]
pub(crate) fn get(id: u64) -> Option<&'static Task> {
    let number = id >> PAGE_BITS;
    let page = page_at(number as usize % DIRECTORY)
        .filter(|page| page.base.load(Relaxed) == number)
        .or_else(|| probe(number))?;
    let task = page.tasks[id as usize % PAGE].load(Acquire);
    // SAFETY: non-null pointers in a page come from `set` and are `'static`.
    let task = unsafe { task.as_ref() }?;
    debug_assert_eq!(task.id(), id, "a page holds its own tasks only");
    Some(task)
}

/// Enters a task under its id. `false` if no place was left for its page.
pub(crate) fn set(id: u64, task: &'static Task) -> bool {
    NEWEST.fetch_max(id, Relaxed);
    let number = id >> PAGE_BITS;
    // A page that closes between finding and holding it is not found again.
    for _ in 0..PROBES {
        let Some(page) = probe(number).or_else(|| open(number)) else {
            return false;
        };
        if page.hold(number) {
            page.tasks[id as usize % PAGE].store(ptr::from_ref(task).cast_mut(), Release);
            return true;
        }
    }
    false
}

/// Takes the task `id` out; the caller is then the only one that knows its entry.
pub(crate) fn take(id: u64) -> Option<&'static Task> {
    let page = probe(id >> PAGE_BITS)?;
    let task = page.tasks[id as usize % PAGE].swap(ptr::null_mut(), AcqRel);
    // SAFETY: as in `get`.
    let task = unsafe { task.as_ref() }?;
    page.live.fetch_sub(1, Release);
    Some(task)
}

/// Closes pages all of whose tasks have ended. For our own thread, now and then.
pub(crate) fn sweep() {
    let newest = NEWEST.load(Relaxed) >> PAGE_BITS;
    let mut books = BOOKS.lock().unwrap_or_else(PoisonError::into_inner);
    let Books { open, pool } = &mut *books;
    open.retain(|&place| {
        let Some(page) = page_at(place) else {
            return false;
        };
        // The two newest pages may be about to be filled.
        let old = page.base.load(Relaxed) + 1 < newest;
        let closed = old
            && page
                .live
                .compare_exchange(0, CLOSED, AcqRel, Relaxed)
                .is_ok();
        if closed {
            PAGES[place].store(ptr::null_mut(), Release);
            pool.push(page);
        }
        !closed
    });
}

fn page_at(place: usize) -> Option<&'static Page> {
    // SAFETY: non-null pointers in the directory come from `open`, which leaks
    // pages or takes leaked ones from the pool.
    unsafe { PAGES[place].load(Acquire).as_ref() }
}

/// The page's places, the common one first.
fn places(number: u64) -> impl Iterator<Item = usize> {
    let step = ((number >> 16) as usize).wrapping_mul(0x9E37) | 1;
    (0..PROBES).map(move |n| (number as usize).wrapping_add(n * step) % DIRECTORY)
}

fn probe(number: u64) -> Option<&'static Page> {
    places(number)
        .filter_map(page_at)
        .find(|page| page.base.load(Relaxed) == number)
}

#[cold]
fn open(number: u64) -> Option<&'static Page> {
    let mut books = BOOKS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(page) = probe(number) {
        return Some(page);
    }
    let place = places(number).find(|&place| page_at(place).is_none())?;
    let page = books
        .pool
        .pop()
        .unwrap_or_else(|| Box::leak(Box::new(Page::new())));
    page.base.store(number, Relaxed);
    // Not a store: a late `hold` may be about to take back what it added.
    page.live.fetch_sub(CLOSED, Release);
    PAGES[place].store(ptr::from_ref(page).cast_mut(), Release);
    books.open.push(place);
    Some(page)
}

impl Page {
    fn new() -> Page {
        Page {
            base: AtomicU64::new(0),
            live: AtomicI64::new(CLOSED),
            tasks: [const { AtomicPtr::new(ptr::null_mut()) }; PAGE],
        }
    }

    /// Counts one more live task, unless the page is closed or was given away.
    fn hold(&self, number: u64) -> bool {
        let held = self.live.fetch_add(1, AcqRel) >= 0 && self.base.load(Relaxed) == number;
        if !held {
            self.live.fetch_sub(1, Release);
        }
        held
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::*;
    use crate::registry::{
        sites, slab,
        task::{Birth, Kind},
    };

    fn spawn(id: u64) -> &'static Task {
        let task = slab::insert(&Birth {
            id,
            kind: Kind::Task,
            site: sites::of(Location::caller(), Kind::Task),
            name: None,
            parent: 0,
            runtime: 0,
        })
        .expect("room");
        assert!(set(id, task));
        task
    }

    fn end(id: u64) {
        slab::remove(take(id).expect("known"));
    }

    /// Ids of this test, far from those of others and of real tasks.
    const BASE: u64 = 1 << 40;

    #[test]
    fn tasks_are_found_until_they_end_and_pages_are_used_again() {
        let long_lived = spawn(BASE);
        for id in BASE + 1..BASE + 100_000 {
            let task = spawn(id);
            assert!(ptr::eq(get(id).expect("alive"), task));
            end(id);
            assert!(get(id).is_none());
            if id.is_multiple_of(1_000) {
                sweep();
            }
        }
        assert!(ptr::eq(get(BASE).expect("alive"), long_lived));
        let pages = {
            let books = BOOKS.lock().unwrap();
            books.open.len() + books.pool.len()
        };
        assert!(pages < 50, "{pages} pages for one living task");
        end(BASE);
    }

    #[test]
    fn a_far_older_task_keeps_its_page() {
        let far = BASE + (DIRECTORY * PAGE) as u64 * 3;
        let old = spawn(far);
        let young = spawn(far + (DIRECTORY * PAGE) as u64);
        assert!(ptr::eq(get(far).expect("alive"), old));
        assert!(ptr::eq(
            get(far + (DIRECTORY * PAGE) as u64).expect("alive"),
            young
        ));
        end(far);
        end(far + (DIRECTORY * PAGE) as u64);
    }
}
