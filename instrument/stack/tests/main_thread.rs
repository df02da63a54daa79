//! The main thread, whose stack the kernel made and which most runtimes of one
//! thread run on. It needs a `main` of its own.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod support;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() {
    on_the_main_thread::is_found_asleep();
    on_the_main_thread::is_found_running();
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() {}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod on_the_main_thread {
    use crate::support::{assert_in_order, insist, names, wait_for_call};
    use asyncwatch_stack::{Capturer, How, RawStack, Symboliser, Thread};
    use std::hint::black_box;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    pub(crate) fn is_found_asleep() {
        let me = Thread::current();
        let main = thread::current();
        let watchdog = thread::spawn(move || {
            wait_for_call(&me, &["futex"]);
            let stack = insist(&mut Capturer::new().unwrap(), &me);
            main.unpark();
            stack
        });
        parks();
        let stack = watchdog.join().unwrap();
        assert!(matches!(stack.how, How::Syscall(_)));
        check(&stack, "parks");
    }

    pub(crate) fn is_found_running() {
        static FOUND: AtomicBool = AtomicBool::new(false);
        static BEGUN: AtomicBool = AtomicBool::new(false);
        let me = Thread::current();
        let watchdog = thread::spawn(move || {
            while !BEGUN.load(Ordering::Acquire) {
                thread::yield_now();
            }
            let stack = insist(&mut Capturer::new().unwrap(), &me);
            FOUND.store(true, Ordering::Release);
            stack
        });
        runs_until(&BEGUN, &FOUND);
        let stack = watchdog.join().unwrap();
        assert_eq!(stack.how, How::Signal);
        check(&stack, "runs_until");
    }

    #[inline(never)]
    fn parks() {
        thread::park();
        black_box(());
    }

    #[inline(never)]
    fn runs_until(begun: &AtomicBool, found: &AtomicBool) {
        begun.store(true, Ordering::Release);
        while !black_box(found).load(Ordering::Acquire) {}
    }

    #[track_caller]
    fn check(stack: &RawStack, innermost: &str) {
        assert!(stack.complete);
        let names = names(&mut Symboliser::new(), stack);
        assert_in_order(&names, &[innermost, "main", "_start"]);
    }
}
