//! What this system lets a watchdog do, tried out on threads of our own.

use std::{
    env, fs,
    net::TcpListener,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

use asyncwatch_stack::{Activity, CaptureError, Capturer, Still, Thread};

use super::{Item, Section};
use crate::outside;

/// A thread that was seen to run is captured at the second or third try.
const TRIES: u32 = 40;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

const ALLOW_CALLS: &str = "allow process_vm_readv, rt_tgsigqueueinfo and reading /proc/self/task/*/syscall; in a container: a seccomp profile such as Docker's default, and no `hidepid`";

pub(super) fn look() -> Section {
    let mut section = Section::new("System");
    section.push(platform());
    section.items.extend(stacks());
    section.push(from_outside());
    section.items.extend(accounts());
    section.push(loopback());
    section.push(directory());
    section.items.extend(surroundings());
    section
}

fn platform() -> Item {
    let (os, arch) = (env::consts::OS, env::consts::ARCH);
    let release = read("/proc/sys/kernel/osrelease");
    let what = match &release {
        Some(release) => format!("{os} {release} on {arch}"),
        None => format!("{os} on {arch}"),
    };
    match (os, arch) {
        ("linux", "x86_64") if cfg!(target_env = "musl") => Item::note(format!(
            "{what}, and this command is built for musl: stacks of programs built for musl were not tried"
        )),
        ("linux", "x86_64") => Item::good(format!("{what}: everything is supported")),
        ("linux", "aarch64") => {
            Item::note(format!("{what}: meant to be supported, but never tested"))
        }
        _ => Item::gap(format!("{what}: no stacks are taken here"))
            .costs("slow polls are told with task and spawn location, but without line and cause")
            .todo("look at Linux on x86_64, for example in a container"),
    }
}

fn stacks() -> Vec<Item> {
    if cfg!(not(target_os = "linux")) {
        return Vec::new();
    }
    let mut capturer = match Capturer::new() {
        Ok(capturer) => capturer,
        Err(why) => {
            return vec![
                Item::gap(format!("no stacks can be taken: {why}"))
                    .costs("slow polls are told without line and cause"),
            ];
        }
    };
    let asleep = match try_out(&mut capturer, false) {
        Ok(()) => Item::good(
            "stacks of sleeping threads can be read (process_vm_readv, /proc/self/task/*/syscall)",
        ),
        Err(why) => Item::gap(format!("stacks of sleeping threads cannot be read: {why}"))
            .costs("polls that block are told without line and cause")
            .todo(ALLOW_CALLS),
    };
    let running = match try_out(&mut capturer, true) {
        Ok(()) => Item::good("stacks of running threads can be taken (a real-time signal is free)"),
        Err(CaptureError::NoAnswer) => Item::gap(
            "a running thread did not answer the signal for its stack in time: the machine is busy",
        )
        .costs("polls that compute may be told without their line")
        .todo("try again when it is quieter"),
        Err(why) => Item::gap(format!("stacks of running threads cannot be taken: {why}"))
            .costs("polls that compute are told without line and cause")
            .todo(ALLOW_CALLS),
    };
    vec![asleep, running]
}

fn from_outside() -> Item {
    match outside::try_out() {
        Ok(tried) if tried.breakpoints => {
            Item::good("programs without asyncwatch can be watched from outside")
        }
        Ok(_) => Item::gap(
            "programs without asyncwatch can be watched from outside, but not held on to (ptrace, hardware breakpoints)",
        )
        .costs("of their polls, those that compute are not found, only those that block")
        .todo("allow ptrace of child processes; some virtual machines have no breakpoints to give"),
        Err(why) => Item::gap(format!(
            "programs without asyncwatch cannot be watched from outside: {why}"
        ))
        .costs("only instrumented programs are watched")
        .todo(ALLOW_CALLS),
    }
}

/// Takes the stack of a thread that sleeps, or computes.
fn try_out(capturer: &mut Capturer, computes: bool) -> Result<(), CaptureError> {
    static NEVER_MOVES: AtomicU64 = AtomicU64::new(0);
    let still = Still {
        seq: &NEVER_MOVES,
        expected: 0,
    };
    let over = Arc::new(AtomicBool::new(false));
    let (told, thread) = mpsc::channel();
    let subject = thread::spawn({
        let over = over.clone();
        move || {
            // The asker may have given up waiting.
            let _ = told.send(Thread::current());
            while !over.load(Relaxed) {
                if computes {
                    std::hint::spin_loop();
                } else {
                    thread::park_timeout(Duration::from_secs(60));
                }
            }
        }
    });
    let mut outcome = Err(CaptureError::Gone);
    if let Ok(thread) = thread.recv_timeout(Duration::from_secs(5)) {
        for _ in 0..TRIES {
            thread::sleep(BETWEEN_TRIES);
            let asleep = matches!(thread.activity(), Activity::Syscall(_));
            outcome = match capturer.capture(&thread, still) {
                Ok(_) if asleep == computes => Err(CaptureError::Moved),
                taken => taken.map(drop),
            };
            if outcome.is_ok() {
                break;
            }
        }
    }
    over.store(true, Relaxed);
    subject.thread().unpark();
    // It cannot panic.
    let _ = subject.join();
    outcome
}

fn accounts() -> Option<Item> {
    if cfg!(not(target_os = "linux")) {
        return None;
    }
    Some(match read("/proc/self/schedstat") {
        Some(_) => Item::good(
            "the system tells how long a thread waits for a CPU (/proc/self/schedstat): a busy machine is not blamed on the program",
        ),
        None => Item::gap("the system does not tell how long a thread waits for a CPU: there is no /proc/self/schedstat")
            .costs("time off the CPU counts as blocked only where the thread was seen asleep")
            .todo("use a kernel with CONFIG_SCHED_INFO; in a sandbox such as gVisor there is none"),
    })
}

fn loopback() -> Item {
    match TcpListener::bind(("127.0.0.1", 0)) {
        Ok(_) => Item::good("programs can listen on 127.0.0.1 for the dashboard"),
        Err(why) => Item::gap(format!("nothing can listen on 127.0.0.1: {why}"))
            .costs("there is no live dashboard; log and reports work"),
    }
}

fn directory() -> Item {
    match tempfile::tempdir() {
        Ok(directory) => {
            let parent = directory.path().parent().unwrap_or(Path::new(""));
            Item::good(format!("reports can be written to {}", parent.display()))
        }
        Err(why) => Item::missing(format!(
            "no directory for reports can be made in {}: {why}",
            env::temp_dir().display()
        ))
        .costs("`asyncwatch check` and `run` do not work")
        .todo("set TMPDIR to a directory that can be written to"),
    }
}

/// What explains why something above does not work, or may surprise.
fn surroundings() -> Vec<Item> {
    let mut items = Vec::new();
    if let Some(scope) = read("/proc/sys/kernel/yama/ptrace_scope") {
        items.push(Item::note(format!(
            "ptrace scope is {scope}; that does not matter, as programs look at themselves only"
        )));
    }
    if seccomp().is_some_and(|mode| mode != "0") {
        items.push(Item::note(
            "a seccomp filter is on; what it lets through was tried out above",
        ));
    }
    if let Some(container) = container() {
        items.push(Item::note(format!("inside a container ({container})")));
    }
    if let Some(cpus) = quota() {
        items.push(Item::note(format!(
            "the control group may use {cpus:.1} CPUs: polls that wait for more are told as descheduled and never fail a check"
        )));
    }
    items
}

fn seccomp() -> Option<String> {
    let status = read("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Seccomp:"))?;
    Some(line.trim().to_owned())
}

fn container() -> Option<&'static str> {
    let groups = read("/proc/1/cgroup").unwrap_or_default();
    let in_groups = |name: &str| groups.contains(name);
    if Path::new("/.dockerenv").exists() || in_groups("docker") {
        Some("Docker")
    } else if Path::new("/run/.containerenv").exists() || in_groups("libpod") {
        Some("Podman")
    } else if in_groups("kubepods") || env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        Some("Kubernetes")
    } else if in_groups("lxc") {
        Some("LXC")
    } else {
        None
    }
}

/// `cpu.max` of our control group: quota and period, or `max`.
fn quota() -> Option<f64> {
    cpus_of(&read("/sys/fs/cgroup/cpu.max")?)
}

fn cpus_of(cpu_max: &str) -> Option<f64> {
    let (quota, period) = cpu_max.split_once(' ')?;
    Some(quota.parse::<f64>().ok()? / period.trim().parse::<f64>().ok()?)
}

fn read(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_read() {
        assert_eq!(cpus_of("150000 100000"), Some(1.5));
        assert_eq!(cpus_of("max 100000"), None);
        assert_eq!(cpus_of(""), None);
    }

    #[test]
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn stacks_are_tried_out() {
        let items = stacks();
        assert_eq!(items.len(), 2);
        assert!(items[0].what.contains("sleeping"), "{items:?}");
        assert!(items[1].what.contains("running"), "{items:?}");
    }
}
