//! Who holds a lock that another thread waits for. One test: the threads of others
//! would be looked at, too.
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

mod support;

use asyncwatch_stack::{Activity, Capturer, Holder, Lock, Symboliser, Thread};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock, mpsc};
use std::thread;
use support::{always, names, subject, wait_for_call};

static LET_GO: AtomicBool = AtomicBool::new(false);

#[inline(never)]
fn compact(lock: &Mutex<u64>, locked: &mpsc::Sender<()>) {
    let mut guard = lock.lock().expect("nobody panics");
    locked.send(()).expect("the test waits for it");
    while !LET_GO.load(Ordering::Relaxed) {
        *guard = black_box(*guard + 1);
    }
}

#[inline(never)]
fn sleep_with(lock: &Mutex<u64>, locked: &mpsc::Sender<()>) {
    let guard = lock.lock().expect("nobody panics");
    locked.send(()).expect("the test waits for it");
    while !LET_GO.load(Ordering::Relaxed) {
        thread::park();
    }
    drop(black_box(guard));
}

/// The lock that `thread` waits for, once it does.
fn waited_for(thread: &Thread) -> Lock {
    wait_for_call(thread, &["futex"]);
    loop {
        if let Activity::Syscall(call) = thread.activity()
            && let Some(lock) = Lock::waited_for(&call)
        {
            return lock;
        }
        thread::yield_now();
    }
}

/// A busy machine may not let a running thread answer in time.
fn insist_on_holder(capturer: &mut Capturer, waiter: &Thread) -> Holder {
    let lock = waited_for(waiter);
    loop {
        if let Some(holder) = capturer.holder_of(lock, waiter.tid(), always()) {
            return holder;
        }
    }
}

#[test]
fn the_thread_with_the_guard_on_its_stack_is_the_holder() {
    let mut capturer = Capturer::new().expect("supported here");
    let mut symboliser = Symboliser::new();
    type Hold = fn(&Mutex<u64>, &mpsc::Sender<()>);
    for (hold, name) in [
        (compact as Hold, "compact"),
        (sleep_with as Hold, "sleep_with"),
    ] {
        LET_GO.store(false, Ordering::Relaxed);
        let lock = Arc::new(Mutex::new(0));
        let (locked, is_locked) = mpsc::channel();
        let of_holder = Arc::clone(&lock);
        let holder = thread::Builder::new()
            .name("holder".to_owned())
            .spawn(move || hold(&of_holder, &locked))
            .expect("spawns");
        is_locked.recv().expect("it locks");

        let of_waiter = Arc::clone(&lock);
        let (waiter, waiting) = subject(move || *of_waiter.lock().expect("nobody panics"));
        let of_second = Arc::clone(&lock);
        let (second, second_waiting) = subject(move || *of_second.lock().expect("nobody panics"));
        waited_for(&second);
        let found = insist_on_holder(&mut capturer, &waiter);
        assert_eq!(found.name, "holder");
        let names = names(&mut symboliser, &found.stack);
        assert!(names.iter().any(|frame| frame == name), "{names:#?}");

        LET_GO.store(true, Ordering::Relaxed);
        holder.thread().unpark();
        for ends in [waiting, second_waiting] {
            ends.join().expect("ends well");
        }
        holder.join().expect("ends well");
    }

    // A guard that nobody has on the stack: nobody is accused.
    let lock = Arc::new(Mutex::new(0));
    let of_waiter = Arc::clone(&lock);
    let guard = Box::new(lock.lock().expect("nobody panics"));
    let (waiter, waiting) = subject(move || *of_waiter.lock().expect("nobody panics"));
    let waited = waited_for(&waiter);
    assert!(capturer.holder_of(waited, waiter.tid(), always()).is_none());
    drop(guard);
    waiting.join().expect("ends well");

    // Both words of a lock for readers and writers lead to it.
    let lock = Arc::new(RwLock::new(0));
    let address = &raw const *lock as u64;
    let guard = lock.write().expect("nobody panics");
    let (for_read, for_write) = (Arc::clone(&lock), Arc::clone(&lock));
    let (reader, reading) = subject(move || *for_read.read().expect("nobody panics"));
    assert_eq!(waited_for(&reader).address, address);
    let (writer, writing) = subject(move || *for_write.write().expect("nobody panics"));
    assert_eq!(waited_for(&writer).address, address);
    drop(guard);
    reading.join().expect("ends well");
    writing.join().expect("ends well");
}
