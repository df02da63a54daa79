//! One poll that is held on to until it ends.
//!
//! From outside nothing tells one poll from the next of the same task. So where a
//! thread is seen in a poll that might last, a breakpoint is set at the address that the
//! poll returns to: as long as it has not been reached, it is the same poll. The
//! thread stands still when that is set and for each stack that is taken while it computes,
//! for some ten microseconds each, and at the poll's end until that is noticed, for up to
//! a fifth of a millisecond. Where no CPU is free for us, each of them takes longer.

use std::{
    io,
    time::{Duration, Instant},
};

use asyncwatch_findings::Scene;
use asyncwatch_stack::{
    Activity, RawStack,
    outside::{Account, Process, Stop, Thread, Tracee},
};

use super::{
    episode::{Sample, is_for_memory_map},
    follow::Time,
};

/// Most stacks that are kept of one poll. Of one that goes on every other is dropped
/// then, and from then on they are taken half as often.
const SAMPLES_MAX: usize = 128;
/// Stacks in quick succession, each time that one is due: a loop of many short calls is
/// told from one long call by those that were taken outside of the call.
const BURST: u32 = 5;
/// A thread that has a CPU stops so soon; somebody else's turn may take much longer.
const STOPS_WITHIN: Duration = Duration::from_micros(50);
/// A thread that does not stop for so long is let go: it sleeps where nothing reaches it.
const ASKED_TIME_MAX: Duration = Duration::from_secs(2);

/// A poll and its thread.
#[derive(Debug)]
pub(super) struct Pin {
    tracee: Tracee,
    state: State,
    asked_at: Instant,
    base: Account,
    base_at: Instant,
    time: Time,
    /// How long it had been held on to when its accounts were read last.
    held: Duration,
    /// For how long it may have stood still because of us.
    stopped: Duration,
    /// For how long it may have waited for its process's memory map, which is nobody's fault.
    excused: Duration,
    looked_at: Instant,
    samples: Vec<Sample>,
    sampled_at: Instant,
    /// The poll's own time then.
    sampled_own: Duration,
    /// Stacks that are still to be taken at once.
    burst: u32,
    /// Looks from one such time to the next.
    sparse: u32,
    /// How often it was asleep when it was looked at.
    sleeps: u32,
    /// Every system call that it was seen in is a sleep: nobody else's doing.
    pub(super) only_slept: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Asked to stop for the first time.
    Entering,
    Following,
    /// Asked to stop for its stack.
    Sampling,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was in no poll, or not in one whose end can be told.
    NoPoll,
    /// There is no breakpoint to be had.
    NoBreakpoint,
    /// The poll has ended, or the thread has.
    Ended,
}

impl Pin {
    /// # Errors
    ///
    /// If the thread cannot be attached to.
    pub(super) fn new(thread: &Thread, is_own_child: bool, now: Instant) -> io::Result<Pin> {
        let mut tracee = Tracee::attach(thread, is_own_child)?;
        tracee.ask();
        Ok(Pin {
            tracee,
            state: State::Entering,
            asked_at: now,
            base: Account::default(),
            base_at: now,
            time: Time::default(),
            held: Duration::ZERO,
            stopped: Duration::ZERO,
            excused: Duration::ZERO,
            looked_at: now,
            samples: Vec::new(),
            sampled_at: now,
            sampled_own: Duration::ZERO,
            burst: 0,
            sparse: 1,
            sleeps: 0,
            only_slept: true,
        })
    }

    /// What has happened to it; to be called often.
    pub(super) fn advance(
        &mut self,
        thread: &Thread,
        process: &mut Process,
        ends: impl Fn(&RawStack, &Process) -> Vec<u64>,
    ) -> Option<Outcome> {
        let is_due = self.state == State::Following && self.burst > 0;
        if is_due && thread.activity() == Activity::Running {
            self.ask();
        }
        let stop = match self.happened() {
            Some(stop) => stop,
            None if self.is_deaf() => return Some(Outcome::Ended),
            None => return None,
        };
        match (stop, self.state) {
            (Stop::Gone, State::Entering) => Some(Outcome::NoPoll),
            (Stop::Gone, _) => Some(Outcome::Ended),
            (Stop::Breakpoint, _) => {
                self.tracee.clear_breakpoints();
                self.take_cpu(thread);
                Some(Outcome::Ended)
            }
            (Stop::Asked, State::Entering) => {
                // Let go of as it stands, if it is in no poll.
                let entered = self.enter(thread, process, ends);
                if entered.is_ok() {
                    self.tracee.go_on();
                }
                entered.err()
            }
            (Stop::Asked, _) => {
                if let Ok(stack) = self.tracee.stack(thread, process) {
                    self.take_cpu(thread);
                    self.sample(Sample::new(&stack, process));
                }
                self.tracee.go_on();
                self.state = State::Following;
                self.stopped += self.asked_at.elapsed();
                None
            }
        }
    }

    /// What has happened to it. One that was just asked to stop is waited for: it would
    /// stand still until the next call.
    fn happened(&mut self) -> Option<Stop> {
        loop {
            let stop = self.tracee.happened();
            let is_asked = self.state != State::Following;
            if stop.is_some() || !is_asked || self.asked_at.elapsed() > STOPS_WITHIN {
                return stop;
            }
            std::hint::spin_loop();
        }
    }

    fn is_deaf(&self) -> bool {
        self.state != State::Following && self.asked_at.elapsed() > ASKED_TIME_MAX
    }

    fn enter(
        &mut self,
        thread: &Thread,
        process: &mut Process,
        ends: impl Fn(&RawStack, &Process) -> Vec<u64>,
    ) -> Result<(), Outcome> {
        let stack = self.tracee.stack(thread, process);
        let stack = stack.map_err(|_| Outcome::NoPoll)?;
        let ends = ends(&stack, process);
        if ends.is_empty() {
            return Err(Outcome::NoPoll);
        }
        self.base = thread.account().ok_or(Outcome::NoPoll)?;
        let set = self.tracee.set_breakpoints(&ends);
        set.map_err(|_| Outcome::NoBreakpoint)?;
        self.samples.push(Sample::new(&stack, process));
        self.state = State::Following;
        self.base_at = Instant::now();
        (self.sampled_at, self.looked_at) = (self.base_at, self.base_at);
        Ok(())
    }

    fn sample(&mut self, sample: Sample) {
        self.weigh();
        self.sampled_at = Instant::now();
        if self.samples.len() == SAMPLES_MAX {
            self.samples = thinned(std::mem::take(&mut self.samples));
            self.sparse *= 2;
        }
        self.samples.push(sample);
    }

    /// The last stack stands for the poll's own time since it was taken.
    fn weigh(&mut self) {
        let own = self.time.own();
        let passed = own.saturating_sub(std::mem::replace(&mut self.sampled_own, own));
        if let Some(last) = self.samples.last_mut() {
            last.weight += passed;
        }
    }

    fn take_cpu(&mut self, thread: &Thread) {
        if let Some(account) = thread.account() {
            self.take(account);
            self.held = self.base_at.elapsed();
        }
    }

    fn take(&mut self, account: Account) {
        self.time.cpu = account.cpu.saturating_sub(self.base.cpu);
        self.time.run_delay = account.run_delay.saturating_sub(self.base.run_delay);
    }

    /// Looks how it gets on, and takes its stack from time to time; whether it may be
    /// stopped for that.
    pub(super) fn look(&mut self, thread: &Thread, process: &mut Process, period: Duration) {
        if self.state != State::Following {
            return;
        }
        let before = Instant::now();
        let (account, activity) = (thread.account(), thread.activity());
        let due = before.saturating_duration_since(self.sampled_at) >= period * self.sparse;
        let since_look = before.saturating_duration_since(self.looked_at);
        self.looked_at = before;
        let Some(account) = account else { return };
        self.take(account);
        self.time.wall = before.saturating_duration_since(self.base_at);
        self.held = self.time.wall;
        match activity {
            Activity::Syscall(call) if is_for_memory_map(&call, thread) => {
                self.excused += since_look;
            }
            // The accounts of a thread that sleeps are complete.
            Activity::Syscall(call) => {
                self.sleeps += 1;
                self.burst = 0;
                self.only_slept &= call.name().ends_with("nanosleep");
                let else_spent = self.time.cpu + self.time.run_delay + self.stopped + self.excused;
                let asleep = self.time.wall.saturating_sub(else_spent);
                if self.sleeps > 1 {
                    self.time.blocked = self.time.blocked.max(asleep);
                }
                if (due || self.samples.iter().all(|sample| sample.syscall.is_none()))
                    && let Ok(stack) = process.stack_of(thread)
                {
                    self.sample(Sample::new(&stack, process));
                }
            }
            Activity::Running if due => {
                self.burst = BURST;
                self.ask();
            }
            _ => {}
        }
    }

    fn ask(&mut self) {
        self.burst -= 1;
        self.state = State::Sampling;
        self.asked_at = Instant::now();
        self.tracee.ask();
    }

    /// The time that is certain so far.
    pub(super) fn time(&self) -> Time {
        let own = self.time.own();
        // Some kernels count a sleep as a wait for a CPU, which is then longer than all.
        let run_delay = self.time.run_delay.min(self.held.saturating_sub(own));
        Time {
            wall: self.time.wall.max(own + run_delay),
            run_delay,
            ..self.time
        }
    }

    /// Since when it has been held on to.
    pub(super) fn since(&self) -> Instant {
        self.base_at
    }

    /// Its samples, with the weight that `own` gives them: a part of what it blocked for
    /// may have been found to be the machine's affair.
    pub(super) fn samples(&mut self, own: Duration) -> Vec<Sample> {
        self.weigh();
        let mut samples = self.samples.clone();
        let all: Duration = samples.iter().map(|sample| sample.weight).sum();
        if all > own {
            let part = own.as_secs_f64() / all.as_secs_f64();
            for sample in &mut samples {
                sample.weight = sample.weight.mul_f64(part);
            }
        }
        samples
    }
}

/// Every other sample, each with the weight of the next one, too.
fn thinned(samples: Vec<Sample>) -> Vec<Sample> {
    let mut thinned: Vec<Sample> = Vec::with_capacity(SAMPLES_MAX);
    for (at, sample) in samples.into_iter().enumerate() {
        match thinned.last_mut() {
            Some(last) if at % 2 == 1 => last.weight += sample.weight,
            _ => thinned.push(sample),
        }
    }
    thinned
}

/// The addresses at which the poll is over, one of which it comes to; none if it is no
/// poll, or none whose end can be told.
///
/// A task's poll returns to where the runtime's function that polls tasks was called
/// from. The future of a `block_on` is polled in the runtime's own loop, and may be a
/// part of it: its poll is over when the loop goes on or returns, as `after_root` says.
pub(super) fn ends_of_poll(
    stack: &RawStack,
    scene: Scene,
    after_root: impl Fn(usize) -> Vec<u64>,
) -> Vec<u64> {
    let returns = |at: usize| stack.addresses.get(at).map(|address| address.raw());
    match scene {
        Scene::Task { at } => returns(at + 1).into_iter().collect(),
        Scene::Root { at } | Scene::PerhapsRoot { at } => {
            let mut ends = after_root(at);
            if ends.is_empty() && matches!(scene, Scene::Root { .. }) && at > 0 {
                ends.extend(returns(at));
            }
            ends
        }
        Scene::MayBlock | Scene::Elsewhere => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use asyncwatch_stack::{Address, How};

    use super::*;

    #[test]
    fn stacks_of_a_long_poll_are_thinned_and_keep_their_weight() {
        let sample = |ms| Sample {
            places: Vec::new(),
            weight: Duration::from_millis(ms),
            syscall: None,
            complete: true,
        };
        let kept = thinned([1, 2, 3, 4, 5].map(sample).into());
        let weights: Vec<_> = kept
            .iter()
            .map(|sample| sample.weight.as_millis())
            .collect();
        assert_eq!(weights, [3, 7, 5]);
    }

    #[test]
    fn a_poll_ends_where_the_runtime_goes_on() {
        let stack = RawStack {
            addresses: vec![Address::Exact(1), Address::Return(2), Address::Return(3)],
            how: How::Signal,
            complete: true,
        };
        let ends = |scene, after: &[u64]| ends_of_poll(&stack, scene, |_| after.to_vec());
        assert_eq!(ends(Scene::Task { at: 1 }, &[9]), [3]);
        assert!(ends(Scene::Task { at: 2 }, &[9]).is_empty());
        assert_eq!(ends(Scene::Root { at: 1 }, &[8, 9]), [8, 9]);
        assert_eq!(ends(Scene::PerhapsRoot { at: 0 }, &[9]), [9]);
        // Where the loop's functions are not known: where it goes on.
        assert_eq!(ends(Scene::Root { at: 1 }, &[]), [2]);
        assert!(ends(Scene::Root { at: 0 }, &[]).is_empty());
        assert!(ends(Scene::PerhapsRoot { at: 1 }, &[]).is_empty());
        assert!(ends(Scene::MayBlock, &[9]).is_empty());
    }
}
