//! How long the other threads of the process were ready to run and got no CPU.
//!
//! A thread that waits for a lock may wait for one that holds it and has no CPU: then
//! the machine is to blame, not the lock. Who the holder is need not be known: with
//! the longest wait of all of them nobody is blamed for what the machine did.

use super::{accounts, here};
use std::fs;
use std::time::{Duration, Instant};

/// More threads are not looked at: each takes some ten microseconds.
const THREADS_MAX: usize = 64;

/// The other threads of this process, from a moment on.
#[derive(Clone, Debug)]
pub struct Neighbours {
    threads: Vec<Neighbour>,
    looked_at: Instant,
}

#[derive(Clone, Debug)]
struct Neighbour {
    tid: u32,
    last: Account,
    /// It was ready to run at the last look.
    was_ready: bool,
    /// Since the first look, or since it was last seen asleep: the kernel may account for
    /// a sleep as a wait for a CPU when it is over.
    awake: Duration,
    /// Waits that are over.
    waited: Duration,
    /// Of the wait that goes on: the kernel accounts for it only when it is over.
    so_far: Duration,
}

/// The text of the `schedstat` file, in part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Account {
    cpu: Duration,
    run_delay: Duration,
}

impl Neighbours {
    /// All but the calling thread, `waiter` and those whose names begin with
    /// `asyncwatch`, which hold no lock of the program's; 64 at most.
    #[must_use]
    pub fn of(waiter: u32) -> Neighbours {
        let me = here::tid();
        let tids = fs::read_dir("/proc/self/task").into_iter().flatten();
        let threads = tids
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|&tid| tid != me && tid != waiter && !is_own(tid))
            .take(THREADS_MAX)
            .filter_map(|tid| {
                let is_ready = is_ready(tid);
                Some(Neighbour::new(tid, account(tid)?, is_ready))
            });
        Neighbours {
            threads: threads.collect(),
            looked_at: Instant::now(),
        }
    }

    /// The longest that one of them has been ready to run without a CPU since the
    /// first look. Of a wait that goes on, only what lies between two looks is known.
    pub fn longest_wait(&mut self) -> Duration {
        let passed = self.looked_at.elapsed();
        self.looked_at = Instant::now();
        let waits = self.threads.iter_mut().map(|thread| {
            // In this order: the account of one that sleeps is complete.
            let is_ready = is_ready(thread.tid);
            if let Some(now) = account(thread.tid) {
                thread.see(now, is_ready, passed);
            }
            thread.waited()
        });
        waits.max().unwrap_or_default()
    }
}

impl Neighbour {
    fn new(tid: u32, account: Account, is_ready: bool) -> Neighbour {
        Neighbour {
            tid,
            last: account,
            was_ready: is_ready,
            awake: Duration::ZERO,
            waited: Duration::ZERO,
            so_far: Duration::ZERO,
        }
    }

    /// One that was asleep at the last look and is ready now may have been woken just now.
    fn see(&mut self, now: Account, is_ready: bool, passed: Duration) {
        self.awake += passed;
        if now != self.last {
            let delay = now.run_delay.saturating_sub(self.last.run_delay);
            self.waited += delay.min(self.awake);
            self.last = now;
            self.so_far = Duration::ZERO;
        } else if is_ready && self.was_ready {
            self.so_far += passed;
        }
        self.was_ready = is_ready;
        if !is_ready {
            self.awake = Duration::ZERO;
        }
    }

    fn waited(&self) -> Duration {
        self.waited + self.so_far
    }
}

fn is_own(tid: u32) -> bool {
    fs::read(format!("/proc/self/task/{tid}/comm"))
        .is_ok_and(|name| name.starts_with(b"asyncwatch"))
}

fn is_ready(tid: u32) -> bool {
    fs::read(format!("/proc/self/task/{tid}/stat"))
        .is_ok_and(|stat| accounts::state(&stat) == Some(b'R'))
}

fn account(tid: u32) -> Option<Account> {
    let text = fs::read(format!("/proc/self/task/{tid}/schedstat")).ok()?;
    Some(Account {
        cpu: accounts::on_cpu(&text)?,
        run_delay: accounts::run_delay(&text)?,
    })
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;
    use crate::{Activity, Thread};

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn at(cpu: u64, run_delay: u64) -> Account {
        Account {
            cpu: ms(cpu),
            run_delay: ms(run_delay),
        }
    }

    #[test]
    fn a_wait_counts_while_it_lasts_and_when_it_is_over() {
        let mut thread = Neighbour::new(1, at(7, 50), true);
        thread.see(at(7, 50), true, ms(4));
        thread.see(at(7, 50), true, ms(5));
        assert_eq!(thread.waited(), ms(9));
        // It runs: the kernel tells of the wait as a whole.
        thread.see(at(8, 62), true, ms(5));
        assert_eq!(thread.waited(), ms(12));
        // It sleeps, and is woken just before it is looked at.
        thread.see(at(8, 62), false, ms(100));
        thread.see(at(8, 62), true, ms(100));
        assert_eq!(thread.waited(), ms(12));
        thread.see(at(8, 62), true, ms(3));
        assert_eq!(thread.waited(), ms(15));
    }

    #[test]
    fn a_sleep_that_is_accounted_as_a_wait_is_none() {
        let mut thread = Neighbour::new(1, at(7, 50), false);
        thread.see(at(7, 50), false, ms(280));
        // It has run since, and is said to have waited all the time.
        thread.see(at(8, 340), true, ms(2));
        assert_eq!(thread.waited(), ms(2));
    }

    #[test]
    fn a_thread_that_sleeps_has_not_waited() {
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = mpsc::channel::<()>();
        let sleeper = thread::spawn(move || {
            tell.send(Thread::current()).expect("somebody listens");
            stopped.recv()
        });
        let asleep = told.recv().expect("it tells");
        while !matches!(asleep.activity(), Activity::Syscall(_)) {
            thread::yield_now();
        }
        let mut neighbours = Neighbours::of(here::tid());
        neighbours
            .threads
            .retain(|thread| thread.tid == asleep.tid());
        assert_eq!(neighbours.threads.len(), 1);
        thread::sleep(ms(2));
        assert_eq!(neighbours.longest_wait(), Duration::ZERO);
        drop(stop);
        assert!(sleeper.join().expect("ends").is_err());
    }
}
