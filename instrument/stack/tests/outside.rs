//! Threads of another process: this test program once more, as a child.

#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

use std::{
    env,
    hint::black_box,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread::{self, sleep},
    time::{Duration, Instant},
};

use asyncwatch_stack::{
    Activity, Address, CaptureError, RawStack,
    outside::{Images, Process, Stop, Thread, Tracee, let_go_of_left},
};

const CHILD: &str = "ASYNCWATCH_TEST_CHILD";

/// Not a test: what the others look at.
#[test]
fn child() {
    if env::var_os(CHILD).is_none() {
        return;
    }
    let (send, receive) = mpsc::channel();
    let tell = |send: &mpsc::Sender<(&str, u32)>, name| {
        send.send((name, asyncwatch_stack::Thread::current().tid()))
            .unwrap();
    };
    let sleeper = send.clone();
    thread::spawn(move || {
        tell(&sleeper, "sleeps");
        sleeps_here();
    });
    thread::spawn(move || {
        tell(&send, "spins");
        spins_here();
    });
    for _ in 0..2 {
        let (name, tid) = receive.recv().unwrap();
        println!("\nTHREAD {name} {tid}");
    }
    // Nobody is to be left behind if a test fails.
    sleep(Duration::from_secs(60));
    std::process::exit(1);
}

#[inline(never)]
fn sleeps_here() {
    sleep(Duration::from_secs(120));
    black_box(());
}

#[inline(never)]
fn spins_here() {
    for round in 0_u64.. {
        black_box(one_round(round));
    }
}

/// Long enough that it is mostly in here.
#[inline(never)]
fn one_round(round: u64) -> u64 {
    (0..100_000).fold(round, |sum, n| black_box(sum.rotate_left(3) ^ n))
}

/// The child, ended with the test.
struct Family {
    child: Child,
    sleeper: Thread,
    spinner: Thread,
    process: Process,
}

impl Family {
    fn start() -> Family {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env(CHILD, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut sleeper, mut spinner) = (None, None);
        while sleeper.is_none() || spinner.is_none() {
            let line = lines.next().expect("it tells its threads").unwrap();
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["THREAD", "sleeps", tid] => sleeper = Some(tid.parse().unwrap()),
                ["THREAD", "spins", tid] => spinner = Some(tid.parse().unwrap()),
                _ => {}
            }
        }
        let open = |tid: Option<u32>| Thread::open(child.id(), tid.unwrap()).unwrap();
        let process = Process::open(child.id(), &mut Images::new()).unwrap();
        Family {
            sleeper: open(sleeper),
            spinner: open(spinner),
            process,
            child,
        }
    }

    fn names(&self, stack: &RawStack) -> Vec<String> {
        let name = |&address: &Address| {
            let (image, stated) = self.process.locate(address)?;
            let mut found = None;
            image.functions(&[b""], |function| {
                if (function.start..function.start + function.bytes).contains(&stated) {
                    found = Some(String::from_utf8_lossy(function.name).into_owned());
                }
            });
            found
        };
        let names = stack.addresses.iter().map(name);
        names.map(Option::unwrap_or_default).collect()
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn at(names: &[String], function: &str) -> usize {
    let found = names.iter().position(|name| name.contains(function));
    found.unwrap_or_else(|| panic!("no {function} in {names:#?}"))
}

/// Waits for what is to happen to the tracee.
fn wait(tracee: &mut Tracee) -> Stop {
    loop {
        match tracee.happened() {
            Some(stop) => return stop,
            None => sleep(Duration::from_micros(100)),
        }
    }
}

#[test]
fn a_thread_that_sleeps_has_a_stack_and_a_call() {
    let mut family = Family::start();
    let call = loop {
        match family.sleeper.activity() {
            Activity::Syscall(call) if call.name().ends_with("nanosleep") => break call,
            _ => sleep(Duration::from_millis(1)),
        }
    };
    let stack = family.process.stack_of(&family.sleeper).unwrap();
    assert!(stack.complete);
    at(&family.names(&stack), "sleeps_here");
    let described = call.describe_in(family.child.id());
    assert!(described.ends_with("nanosleep(120s)"), "{described}");
    let account = family.sleeper.account();
    assert_eq!(family.sleeper.account(), account, "it does not run");
}

#[test]
fn a_thread_that_runs_is_told_apart() {
    let mut family = Family::start();
    let mut stacks = (0..50).map(|_| family.process.stack_of(&family.spinner));
    // A machine without a free CPU may have taken it away in a page fault.
    assert!(stacks.any(|stack| stack == Err(CaptureError::Moved)));
}

#[test]
fn a_running_thread_stops_shows_its_stack_and_goes_on() {
    let mut family = Family::start();
    let mut tracee = Tracee::attach(&family.spinner, true).unwrap();
    let begun = Instant::now();
    loop {
        tracee.ask();
        assert_eq!(wait(&mut tracee), Stop::Asked);
        let stack = tracee.stack(&family.spinner, &mut family.process).unwrap();
        let names = family.names(&stack);
        if names.iter().any(|name| name.contains("spins_here")) {
            break;
        }
        // It has only just told that it begins.
        assert!(begun.elapsed() < Duration::from_secs(60), "{names:?}");
        tracee.go_on();
        sleep(Duration::from_millis(1));
    }
    drop(tracee);
    let before = family.spinner.account().unwrap().cpu;
    let begun = Instant::now();
    while family.spinner.account().unwrap().cpu <= before {
        assert!(begun.elapsed() < Duration::from_secs(60), "it stands still");
        sleep(Duration::from_millis(5));
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_breakpoint_tells_when_a_function_returns() {
    let mut family = Family::start();
    let mut tracee = Tracee::attach(&family.spinner, true).unwrap();
    let (end, inside) = loop {
        tracee.ask();
        assert_eq!(wait(&mut tracee), Stop::Asked);
        let stack = tracee.stack(&family.spinner, &mut family.process).unwrap();
        let names = family.names(&stack);
        if let Some(inside) = names.iter().position(|name| name.contains("one_round")) {
            break (stack.addresses[inside + 1].raw(), names.len() - inside);
        }
        tracee.go_on();
        sleep(Duration::from_millis(1));
    };
    tracee.set_breakpoints(&[0, 8, end]).unwrap();
    tracee.go_on();
    assert_eq!(wait(&mut tracee), Stop::Breakpoint);
    let stack = tracee.stack(&family.spinner, &mut family.process).unwrap();
    assert_eq!(stack.addresses[0], Address::Exact(end));
    assert_eq!(stack.addresses.len(), inside - 1, "one frame fewer");
    tracee.clear_breakpoints();
    tracee.go_on();
    tracee.ask();
    assert_eq!(wait(&mut tracee), Stop::Asked, "and no more of them");
}

#[test]
fn an_end_while_attached_is_told_to_both() {
    let mut family = Family::start();
    let mut tracee = Tracee::attach(&family.spinner, true).unwrap();
    family.child.kill().unwrap();
    assert_eq!(wait(&mut tracee), Stop::Gone);
    drop(tracee);
    assert!(!family.child.wait().unwrap().success());
}

/// A process that sleeps, and its parent, which waits for its end. Both are gone when this
/// is.
struct Sleeper {
    pid: u32,
    parent: Child,
}

impl Sleeper {
    fn start() -> Sleeper {
        let mut parent = Command::new("sh")
            .args(["-c", "sleep 600 & echo $!; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(parent.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let pid = line.trim().parse().unwrap();
        Sleeper { pid, parent }
    }

    fn signal(&self, signal: &str) {
        let pid = self.pid.to_string();
        let sent = Command::new("kill").args([signal, &pid]).status();
        assert!(sent.unwrap().success());
    }

    fn wait_for_state(&self, state: &str) {
        let stat = format!("/proc/{}/stat", self.pid);
        let is_so = |stat: String| stat.contains(&format!(") {state} "));
        wait_until(state, || std::fs::read_to_string(&stat).is_ok_and(is_so));
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.parent.kill();
        let _ = self.parent.wait();
        let pid = self.pid.to_string();
        let _ = Command::new("kill")
            .args(["-9", &pid])
            .stderr(Stdio::null())
            .status();
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "not yet: {what}");
        sleep(Duration::from_millis(1));
    }
}

#[test]
fn one_that_died_keeps_nobody_waiting() {
    let mut sleeper = Sleeper::start();
    let thread = Thread::open(sleeper.pid, sleeper.pid).unwrap();
    let tracee = Tracee::attach(&thread, false).unwrap();
    sleeper.signal("-9");
    sleeper.wait_for_state("Z");
    drop(tracee);
    wait_until("it is let go", || let_go_of_left() == 0);
    let ended = || sleeper.parent.try_wait().unwrap().is_some();
    wait_until("its parent hears of it", ended);
}

#[test]
fn one_that_is_stopped_as_a_whole_is_let_go_and_stays_stopped() {
    let sleeper = Sleeper::start();
    let thread = Thread::open(sleeper.pid, sleeper.pid).unwrap();
    let mut tracee = Tracee::attach(&thread, false).unwrap();
    sleeper.signal("-STOP");
    sleeper.wait_for_state("t");
    assert_eq!(tracee.happened(), None);
    // As somebody asks who does not know that yet.
    tracee.ask();
    drop(tracee);
    wait_until("it is let go", || let_go_of_left() == 0);
    sleeper.wait_for_state("T");
    sleeper.signal("-CONT");
    sleeper.wait_for_state("S");
}

#[test]
fn what_is_not_there_cannot_be_opened() {
    assert!(Process::open(u32::MAX, &mut Images::new()).is_err());
    assert!(Thread::open(std::process::id(), u32::MAX).is_err());
}
