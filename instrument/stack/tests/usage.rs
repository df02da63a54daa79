//! Where a thread's time goes: on a CPU, waiting for one, or asleep.
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

mod support;

use asyncwatch_stack::{Thread, Usage};
use std::thread;
use std::time::{Duration, Instant};
use support::{Burners, subject};

/// Uses the CPU until the thread's own account says that it has.
fn burn(thread: &Thread, cpu: Duration) -> (Duration, Usage) {
    let (begun, before) = (Instant::now(), thread.usage_here());
    loop {
        let spent = thread.usage_here().since(before);
        if spent.cpu >= cpu {
            return (begun.elapsed(), spent);
        }
    }
}

#[test]
fn a_busy_thread_has_used_the_cpu() {
    let (wall, spent) = burn(&Thread::current(), Duration::from_millis(100));
    assert!(spent.cpu <= wall);
}

#[test]
fn a_sleeping_thread_has_used_next_to_nothing() {
    let me = Thread::current();
    let before = me.usage_here();
    thread::sleep(Duration::from_millis(400));
    let spent = me.usage_here().since(before);
    assert!(spent.cpu < Duration::from_millis(200), "{spent:?}");
}

#[test]
fn a_thread_among_burners_waits_for_its_turn() {
    let _burners = Burners::start(8);
    let me = Thread::current();
    if me.usage_here().run_delay.is_none() {
        return;
    }
    let mut total = Duration::ZERO;
    while total < Duration::from_millis(50) {
        let (wall, spent) = burn(&me, Duration::from_millis(20));
        let delay = spent.run_delay.expect("it was there before");
        // The two clocks are not read at the same moment.
        let slack = Duration::from_millis(100);
        assert!(spent.cpu + delay <= wall + slack, "{spent:?} in {wall:?}");
        total += delay;
    }
}

#[test]
fn both_sides_see_the_same_account() {
    let (thread, handle) = subject(|| {
        let me = Thread::current();
        burn(&me, Duration::from_millis(50));
        let usage = me.usage_here();
        thread::park();
        usage
    });
    let mut from_the_side = thread.usage().expect("it is alive");
    while from_the_side.cpu < Duration::from_millis(50) {
        thread::yield_now();
        let next = thread.usage().expect("it is alive");
        assert!(next.cpu >= from_the_side.cpu);
        from_the_side = next;
    }
    support::wait_for_call(&thread, &["futex"]);
    let from_the_side = thread.usage().expect("it is alive");
    handle.thread().unpark();
    let its_own = handle.join().expect("it cannot fail");
    assert!(from_the_side.cpu >= its_own.cpu);
    assert!(from_the_side.run_delay >= its_own.run_delay);
}
