//! Threads that sleep in the kernel: their stacks are read without their help.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(unsafe_code, reason = "some calls are made without std")]

mod support;

use asyncwatch_stack::{Activity, CaptureError, Capturer, How, RawStack, Symboliser, own_trace};
use std::arch::asm;
use std::hint::black_box;
use std::io::{PipeReader, Read, Write, pipe};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;
use support::{assert_in_order, insist, names, subject, symbols, wait_for_call};

const SLEEP: [&str; 2] = ["nanosleep", "clock_nanosleep"];
const AN_HOUR: Duration = Duration::from_secs(3600);

#[inline(never)]
fn outer_frame() {
    inlined_frame();
    black_box(());
}

#[inline(always)]
fn inlined_frame() {
    inner_frame();
    black_box(());
}

#[inline(never)]
fn inner_frame() {
    thread::sleep(AN_HOUR);
    black_box(());
}

#[test]
fn a_sleeper_is_found_with_its_inlined_frames() {
    let (thread, _) = subject(outer_frame);
    wait_for_call(&thread, &SLEEP);
    let stack = insist(&mut Capturer::new().unwrap(), &thread);
    assert!(stack.complete);
    let symbols = symbols(&mut Symboliser::new(), &stack);
    let ours: Vec<_> = symbols
        .iter()
        .filter(|symbol| symbol.function.ends_with("_frame"))
        .collect();
    let names: Vec<_> = ours.iter().map(|symbol| &*symbol.function).collect();
    // With line tables alone an inlined function has no path.
    let [inner, inlined, outer] = names[..] else {
        panic!("{names:?}");
    };
    assert_eq!(inner, "blocked::inner_frame");
    assert_eq!(inlined.trim_start_matches("blocked::"), "inlined_frame");
    assert_eq!(outer, "blocked::outer_frame");
    assert!(ours.iter().all(|symbol| symbol.line.is_some()));
    let file = ours[0].file.as_ref().expect("the tests have line tables");
    assert!(file.ends_with("tests/blocked.rs"), "{file:?}");
}

#[test]
fn the_call_is_told_with_the_stack() {
    let (thread, _) = subject(outer_frame);
    wait_for_call(&thread, &SLEEP);
    let stack = insist(&mut Capturer::new().unwrap(), &thread);
    let How::Syscall(call) = stack.how else {
        panic!("{:?}", stack.how);
    };
    assert_eq!(Activity::Syscall(call), thread.activity());
    assert_eq!(call.pc, stack.addresses[0].raw());
}

#[inline(never)]
fn waits_for_the_lock(lock: &Mutex<()>, begun: &AtomicBool) {
    begun.store(true, Ordering::Release);
    drop(black_box(lock).lock());
    black_box(());
}

#[test]
fn a_thread_before_a_locked_mutex_is_found() {
    let lock = Arc::new(Mutex::new(()));
    let held = lock.lock().unwrap();
    static BEGUN: AtomicBool = AtomicBool::new(false);
    let wanted = Arc::clone(&lock);
    let (thread, handle) = subject(move || waits_for_the_lock(&wanted, &BEGUN));
    while !BEGUN.load(Ordering::Acquire) {
        std::thread::yield_now();
    }
    wait_for_call(&thread, &["futex"]);
    let stack = insist(&mut Capturer::new().unwrap(), &thread);
    assert!(stack.complete);
    let names = names(&mut Symboliser::new(), &stack);
    assert_in_order(&names, &["lock_contended", "waits_for_the_lock"]);
    drop(held);
    handle.join().unwrap();
}

#[inline(never)]
fn reads_a_byte(mut from: PipeReader) -> std::io::Result<usize> {
    black_box(from.read(&mut [0]))
}

#[test]
fn a_reader_of_a_pipe_is_found_and_its_read_succeeds() {
    let (reader, mut writer) = pipe().unwrap();
    let (thread, handle) = subject(move || reads_a_byte(reader));
    wait_for_call(&thread, &["read"]);
    let mut capturer = Capturer::new().unwrap();
    let mut symboliser = Symboliser::new();
    for _ in 0..250 {
        let stack = insist(&mut capturer, &thread);
        assert!(stack.complete);
        let How::Syscall(call) = stack.how else {
            panic!("{:?}", stack.how);
        };
        assert!(call.describe().starts_with("read(pipe:["), "{call:?}");
        assert_in_order(&names(&mut symboliser, &stack), &["reads_a_byte"]);
    }
    writer.write_all(&[1]).unwrap();
    assert_eq!(handle.join().unwrap().unwrap(), 1);
}

#[inline(never)]
fn polls(descriptor: i32) -> i32 {
    let mut wanted = libc::pollfd {
        fd: descriptor,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one valid structure is passed.
    black_box(unsafe { libc::poll(&raw mut wanted, 1, -1) })
}

#[test]
fn a_poller_is_found_and_its_poll_is_not_interrupted() {
    let (reader, mut writer) = pipe().unwrap();
    let (thread, handle) = subject(move || polls(reader.as_raw_fd()));
    wait_for_call(&thread, &["poll", "ppoll"]);
    let mut capturer = Capturer::new().unwrap();
    let mut symboliser = Symboliser::new();
    for _ in 0..250 {
        let stack = insist(&mut capturer, &thread);
        assert!(stack.complete);
        assert_in_order(&names(&mut symboliser, &stack), &["polls"]);
    }
    writer.write_all(&[1]).unwrap();
    assert_eq!(handle.join().unwrap(), 1);
}

#[test]
fn a_sleep_is_not_cut_short() {
    let time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 300_000_000,
    };
    let (thread, handle) = subject(move || {
        // SAFETY: `time` is valid, and no remainder is asked for.
        unsafe { libc::nanosleep(&raw const time, std::ptr::null_mut()) }
    });
    wait_for_call(&thread, &SLEEP);
    let mut capturer = Capturer::new().unwrap();
    while let Activity::Syscall(_) = thread.activity() {
        // Whatever comes out: the thread may be waking up.
        let _ = capturer.capture(&thread, support::always());
    }
    assert_eq!(handle.join().unwrap(), 0);
}

#[inline(never)]
fn descends(levels: usize, bottom: fn()) -> usize {
    let ballast = black_box([levels as u8; 1024]);
    if levels == 0 {
        bottom();
    } else {
        black_box(descends(levels - 1, bottom));
    }
    usize::from(black_box(ballast)[levels % 1024])
}

#[test]
fn a_deep_recursion_is_unwound_to_its_beginning() {
    const LEVELS: usize = 50;
    let (thread, _) = subject(|| descends(LEVELS, inner_frame));
    wait_for_call(&thread, &SLEEP);
    let stack = insist(&mut Capturer::new().unwrap(), &thread);
    assert!(stack.complete);
    let names = names(&mut Symboliser::new(), &stack);
    let levels = names.iter().filter(|name| *name == "descends").count();
    assert_eq!(levels, LEVELS + 1);
}

#[test]
fn a_stack_too_deep_to_copy_is_cut_and_says_so() {
    let (thread, _) = subject(|| descends(1000, inner_frame));
    wait_for_call(&thread, &SLEEP);
    let stack = insist(&mut Capturer::new().unwrap(), &thread);
    assert!(!stack.complete);
    let names = names(&mut Symboliser::new(), &stack);
    assert_in_order(&names, &["inner_frame", "descends", "descends"]);
}

/// A local of this alignment makes the compiler keep the frame pointer, and
/// unwinding ask for it.
#[repr(align(128))]
struct Aligned([u8; 128]);

/// Sleeps without going through any function that would save the frame
/// pointer.
#[inline(never)]
fn sleeps_with_a_frame_pointer() {
    let ballast = black_box(Aligned([1; 128]));
    let time = [3600_u64, 0];
    // SAFETY: nanosleep reads two words and writes nothing.
    unsafe {
        asm!(
            "syscall",
            inout("rax") libc::SYS_nanosleep => _,
            in("rdi") time.as_ptr(),
            in("rsi") 0,
            out("rcx") _,
            out("r11") _,
        );
    }
    black_box(ballast.0);
}

#[inline(never)]
fn calls_directly() {
    sleeps_with_a_frame_pointer();
    black_box(());
}

#[inline(never)]
fn calls_through_a_pointer() {
    black_box(sleeps_with_a_frame_pointer as fn())();
    black_box(());
}

#[test]
fn a_frame_pointer_that_nobody_tells_is_found() {
    let mut capturer = Capturer::new().unwrap();
    for (caller, name) in [
        (calls_directly as fn(), "calls_directly"),
        (calls_through_a_pointer, "calls_through_a_pointer"),
    ] {
        let (thread, _) = subject(move || descends(3, caller));
        wait_for_call(&thread, &SLEEP);
        let stack = insist(&mut capturer, &thread);
        assert!(stack.complete, "{name}");
        let names = names(&mut Symboliser::new(), &stack);
        let ours: Vec<_> = names
            .iter()
            .take_while(|name| *name == "descends" || !name.contains("closure"))
            .collect();
        let expected = [
            "sleeps_with_a_frame_pointer",
            name,
            "descends",
            "descends",
            "descends",
            "descends",
        ];
        assert_eq!(ours, expected);
    }
}

/// Sends what it sees itself, then sleeps a few lines further on.
#[inline(never)]
fn looks_and_sleeps(send: &mpsc::Sender<RawStack>) {
    send.send(own_trace(100)).expect("the test waits for it");
    inner_frame();
    black_box(());
}

#[test]
fn the_stack_from_memory_is_the_one_the_thread_itself_sees() {
    let (send, receive) = mpsc::channel();
    let (thread, _) = subject(move || descends_and(3, &|| looks_and_sleeps(&send)));
    let own = receive.recv().expect("it looks before it sleeps");
    wait_for_call(&thread, &SLEEP);
    let stack = insist(&mut Capturer::new().unwrap(), &thread);
    assert!(own.complete && stack.complete);
    // All but the innermost: the two looked from different lines there.
    let callers = &own.addresses[1..];
    assert!(callers.len() > 5);
    assert!(
        stack.addresses.ends_with(callers),
        "{:#?}\n{:#?}",
        stack.addresses,
        own.addresses
    );
}

#[inline(never)]
fn descends_and(levels: usize, bottom: &dyn Fn()) {
    match levels {
        0 => bottom(),
        _ => descends_and(levels - 1, bottom),
    }
    black_box(());
}

#[test]
fn burners_beside_it_change_nothing() {
    let _burners = support::Burners::start(4);
    let (thread, _) = subject(outer_frame);
    wait_for_call(&thread, &SLEEP);
    let mut capturer = Capturer::new().unwrap();
    let mut symboliser = Symboliser::new();
    for _ in 0..200 {
        let stack = insist(&mut capturer, &thread);
        assert!(stack.complete);
        assert_in_order(
            &names(&mut symboliser, &stack),
            &["inner_frame", "outer_frame"],
        );
    }
}

#[test]
fn a_thread_that_ended_has_no_stack() {
    let (thread, handle) = subject(|| ());
    handle.join().unwrap();
    let mut capturer = Capturer::new().unwrap();
    let error = loop {
        match capturer.capture(&thread, support::always()) {
            Err(CaptureError::Gone) => break CaptureError::Gone,
            // The kernel is still clearing it away.
            Ok(_) | Err(_) => thread::yield_now(),
        }
    };
    assert_eq!(error.to_string(), "the thread has ended");
    assert_eq!(thread.activity(), Activity::Gone);
}

#[test]
fn a_poll_that_is_over_is_not_looked_at() {
    let (thread, _) = subject(outer_frame);
    wait_for_call(&thread, &SLEEP);
    let over = asyncwatch_stack::Still {
        expected: 3,
        ..support::always()
    };
    let error = Capturer::new().unwrap().capture(&thread, over);
    assert_eq!(error, Err(CaptureError::Stale));
}
