//! Threads on a CPU: a signal makes them copy their own stack.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(unsafe_code, reason = "errno and poll, without std")]

mod support;

use asyncwatch_stack::{CaptureError, Capturer, How, Still, Symboliser, Thread};
use std::collections::HashMap;
use std::hint::black_box;
use std::io::{Read, Write, pipe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use support::{assert_in_order, insist, names, subject};

/// What a worker asks before each round of its work.
#[derive(Default)]
struct Orders {
    begun: AtomicBool,
    stop: AtomicBool,
}

impl Orders {
    fn go_on(&self) -> bool {
        self.begun.store(true, Ordering::Relaxed);
        !self.stop.load(Ordering::Relaxed)
    }
}

/// A thread that is at work, and stays so until told to stop.
struct Worker<T> {
    thread: Thread,
    handle: JoinHandle<T>,
    orders: Arc<Orders>,
}

impl<T: Send + 'static> Worker<T> {
    fn start(work: impl FnOnce(&Orders) -> T + Send + 'static) -> Self {
        let orders = Arc::new(Orders::default());
        let seen = Arc::clone(&orders);
        let (thread, handle) = subject(move || work(&seen));
        while !orders.begun.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        Worker {
            thread,
            handle,
            orders,
        }
    }

    fn stop(self) -> T {
        self.orders.stop.store(true, Ordering::Relaxed);
        self.handle.join().expect("the work cannot fail")
    }
}

#[inline(never)]
fn burns(orders: &Orders) {
    while black_box(orders).go_on() {
        step_inlined();
    }
}

#[inline(always)]
fn step_inlined() {
    step_called(black_box(3));
}

#[inline(never)]
fn step_called(n: u64) -> u64 {
    (0..black_box(100)).fold(n, |sum, i| sum.wrapping_mul(31) ^ black_box(i))
}

#[test]
fn a_busy_thread_is_found_each_time() {
    let worker = Worker::start(burns);
    let mut capturer = Capturer::new().unwrap();
    let mut symboliser = Symboliser::new();
    let mut seen_inside = false;
    for _ in 0..300 {
        let stack = insist(&mut capturer, &worker.thread);
        assert!(stack.complete);
        assert_eq!(stack.how, How::Signal);
        let names = names(&mut symboliser, &stack);
        assert_in_order(&names, &["burns"]);
        seen_inside |= names.iter().any(|name| name == "step_called");
    }
    assert!(seen_inside);
    worker.stop();
}

/// All sorts of code, so that the signal falls on prologues, epilogues,
/// hand-written assembly, the allocator and the kernel's clock page.
#[inline(never)]
fn does_all_sorts(orders: &Orders) {
    let mut words = HashMap::new();
    let mut round = 0_u64;
    while orders.go_on() {
        round += 1;
        let mut text: Vec<String> = (0..50)
            .map(|i| format!("{:.3}", (i ^ round) as f64))
            .collect();
        text.sort_unstable_by(|a, b| b.cmp(a));
        for word in text {
            *words.entry(word).or_insert(0) += 1;
        }
        if words.len() > 5_000 {
            words.clear();
        }
        black_box(vec![round as u8; 100_000].clone());
        black_box(std::time::Instant::now());
        black_box(std::env::var_os("PATH"));
        black_box((round as f64).powf(1.01).sin());
    }
}

#[test]
fn whatever_it_does_the_stack_is_whole() {
    let worker = Worker::start(does_all_sorts);
    let mut capturer = Capturer::new().unwrap();
    let mut symboliser = Symboliser::new();
    for _ in 0..1_000 {
        let stack = insist(&mut capturer, &worker.thread);
        let names = names(&mut symboliser, &stack);
        assert!(stack.complete, "{names:#?}");
        assert_in_order(&names, &["does_all_sorts"]);
    }
    worker.stop();
}

#[inline(never)]
fn descends(levels: usize, orders: &Orders) -> usize {
    let ballast = black_box([levels as u8; 256]);
    if levels == 0 {
        burns(orders);
    } else {
        black_box(descends(levels - 1, orders));
    }
    usize::from(black_box(ballast)[levels % 256])
}

#[test]
fn a_deep_recursion_is_unwound_to_its_beginning() {
    let worker = Worker::start(|orders| descends(400, orders));
    let mut capturer = Capturer::new().unwrap();
    let mut symboliser = Symboliser::new();
    for _ in 0..20 {
        let stack = insist(&mut capturer, &worker.thread);
        assert!(stack.complete);
        let names = names(&mut symboliser, &stack);
        assert_in_order(&names, &["burns", "descends"]);
        let levels = names.iter().filter(|name| *name == "descends").count();
        assert_eq!(levels, 401);
    }
    worker.stop();
}

static POLLS: AtomicU64 = AtomicU64::new(0);

/// As polls are counted: odd inside, even outside.
#[inline(never)]
fn inside_the_poll() {
    POLLS.fetch_add(1, Ordering::AcqRel);
    step_called(1);
    POLLS.fetch_add(1, Ordering::AcqRel);
}

#[inline(never)]
fn between_polls() {
    step_called(2);
}

#[test]
fn no_stack_of_another_poll_is_ever_kept() {
    let worker = Worker::start(|orders| {
        while orders.go_on() {
            inside_the_poll();
            between_polls();
        }
    });
    let mut capturer = Capturer::new().unwrap();
    let mut symboliser = Symboliser::new();
    let mut stale = 0;
    for _ in 0..2_000 {
        let still = Still {
            seq: &POLLS,
            expected: POLLS.load(Ordering::Acquire) | 1,
        };
        match capturer.capture(&worker.thread, still) {
            Ok(stack) => assert_in_order(&names(&mut symboliser, &stack), &["inside_the_poll"]),
            Err(CaptureError::Stale) => stale += 1,
            Err(CaptureError::NoAnswer | CaptureError::Moved | CaptureError::Busy) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(
        stale > 0,
        "polls this short are mostly over before they are seen"
    );
    worker.stop();
}

#[test]
fn a_poll_that_goes_on_is_kept() {
    static SEQ: AtomicU64 = AtomicU64::new(0);
    let worker = Worker::start(|orders| {
        SEQ.store(7, Ordering::Release);
        burns(orders);
    });
    let still = Still {
        seq: &SEQ,
        expected: 7,
    };
    let mut capturer = Capturer::new().unwrap();
    let stack = loop {
        match capturer.capture(&worker.thread, still) {
            Ok(stack) => break stack,
            Err(error) => assert_ne!(error, CaptureError::Stale),
        }
    };
    assert_in_order(&names(&mut Symboliser::new(), &stack), &["burns"]);
    worker.stop();
}

#[test]
fn reads_and_writes_of_a_signalled_thread_succeed() {
    let (mut reader, mut writer) = pipe().unwrap();
    let worker = Worker::start(move |orders| {
        let mut count = 0_u64;
        while orders.go_on() {
            assert_eq!(writer.write(&[1; 100]).unwrap(), 100);
            assert_eq!(reader.read(&mut [0; 100]).unwrap(), 100);
            count += 1;
        }
        count
    });
    let mut capturer = Capturer::new().unwrap();
    for _ in 0..500 {
        insist(&mut capturer, &worker.thread);
    }
    assert!(worker.stop() > 0);
}

#[test]
fn polls_between_short_bursts_of_work_are_left_alone() {
    let worker = Worker::start(|orders| {
        let (mut polls, mut interrupted) = (0_u64, 0_u64);
        while orders.go_on() {
            step_called(9);
            // SAFETY: no structures are passed.
            let failed = unsafe { libc::poll(std::ptr::null_mut(), 0, 1) } < 0;
            polls += 1;
            interrupted += u64::from(failed);
        }
        (polls, interrupted)
    });
    let mut capturer = Capturer::new().unwrap();
    for _ in 0..5_000 {
        insist(&mut capturer, &worker.thread);
    }
    let (polls, interrupted) = worker.stop();
    // A thread that is on its way into a call cannot be told from one that
    // goes on running, but one on its way out can: most of them, here.
    assert!(interrupted <= 2 + polls / 20, "{interrupted} of {polls}");
}

#[test]
fn the_error_number_of_a_signalled_thread_stays() {
    let worker = Worker::start(|orders| {
        // SAFETY: the thread's own error number is always there.
        let errno = unsafe { libc::__errno_location() };
        let mut kept = true;
        while orders.go_on() {
            // SAFETY: as above.
            unsafe { errno.write_volatile(77) };
            step_called(5);
            // SAFETY: as above.
            kept &= unsafe { errno.read_volatile() } == 77;
        }
        kept
    });
    let mut capturer = Capturer::new().unwrap();
    for _ in 0..300 {
        insist(&mut capturer, &worker.thread);
    }
    assert!(worker.stop());
}

#[test]
fn two_capturers_look_at_two_threads_beside_burners() {
    let _burners = support::Burners::start(4);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let worker = Worker::start(burns);
                let mut capturer = Capturer::new().unwrap();
                let mut symboliser = Symboliser::new();
                for _ in 0..50 {
                    let stack = insist(&mut capturer, &worker.thread);
                    assert!(stack.complete);
                    assert_in_order(&names(&mut symboliser, &stack), &["burns"]);
                }
                worker.stop();
            });
        }
    });
}

#[test]
fn a_thread_that_blocks_the_signal_is_given_up_and_not_flooded() {
    let worker = Worker::start(|orders| {
        // SAFETY: the set is filled before it is used, and only this thread's
        // mask changes.
        unsafe {
            let mut all = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
        }
        burns(orders);
    });
    let mut capturer = Capturer::new().unwrap();
    let error = capturer.capture(&worker.thread, support::always());
    assert_eq!(error, Err(CaptureError::NoAnswer));
    let queued = queued_signals();
    for _ in 0..50 {
        let error = capturer.capture(&worker.thread, support::always());
        assert_eq!(error, Err(CaptureError::NoAnswer));
    }
    assert!(queued_signals() < queued + 50);
    worker.stop();
}

/// How many signals wait in queues for this user.
fn queued_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("SigQ:"));
    let counts = line.unwrap().trim_start_matches("SigQ:").trim();
    counts.split('/').next().unwrap().parse().unwrap()
}
