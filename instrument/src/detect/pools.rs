//! Looks at every blocking pool twenty times a second: whether it is full, and whether
//! it outlives its runtime.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use asyncwatch_findings::{Code, humanise};
use asyncwatch_stack::Capturer;
use tokio::runtime::Handle;

use super::{
    outlived::{self, Shutdowns},
    pool::{self, Seen},
    saturated::{Look, Pressure, Saturation},
};
use crate::{
    clock,
    report::{Detected, Place},
    runtimes, settings,
};

/// Between looks.
const LOOK: Duration = Duration::from_millis(50);

pub(super) struct Pools {
    next: Instant,
    pressure: HashMap<u64, Course>,
    shutdowns: Shutdowns,
}

#[derive(Default)]
struct Course {
    pressure: Pressure,
    /// Told of again when it has lasted for so long.
    next_report: Duration,
}

impl Pools {
    pub(super) fn new() -> Pools {
        Pools {
            next: Instant::now(),
            pressure: HashMap::new(),
            shutdowns: Shutdowns::default(),
        }
    }

    /// Looks at the pools if it is time to.
    pub(super) fn look(&mut self, mut capturer: Option<&mut Capturer>) -> Vec<Detected> {
        if Instant::now() < self.next {
            return Vec::new();
        }
        self.next = Instant::now() + LOOK;
        let mut found = Vec::new();
        if settings::wants(Code::BlockingPoolSaturated) {
            for (runtime, full) in self.full() {
                let seen = pool::look(runtime, capturer.as_deref_mut());
                found.push(saturated(runtime, &full, &seen));
            }
        }
        if settings::wants(Code::BlockingOutlivesRuntime) {
            let limit = Duration::from_nanos(settings::limit_of(Code::BlockingOutlivesRuntime));
            let now = clock::to_duration(clock::now());
            let late = self
                .shutdowns
                .look(&pool::crews(), &outlived::ending(), now, limit);
            for (runtime, since) in late {
                let seen = pool::look(runtime, capturer.as_deref_mut());
                if seen.threads > 0 {
                    found.push(outlives(runtime, since, &seen));
                }
            }
        }
        found
    }

    /// The pools in which closures have waited for so long that it is to be told now.
    fn full(&mut self) -> Vec<(u64, Saturation)> {
        let limit = Duration::from_nanos(settings::limit_of(Code::BlockingPoolSaturated));
        let handles = runtimes::handles();
        let known = |id: &u64| handles.iter().any(|(known, _)| known == id);
        self.pressure.retain(|id, _| known(id));
        let mut full = Vec::new();
        for (id, handle) in &handles {
            let Some(look) = measure(handle) else {
                continue;
            };
            let course = self.pressure.entry(*id).or_default();
            if look.queued == 0 {
                course.next_report = Duration::ZERO;
            }
            let seen = course.pressure.see(look, limit);
            if let Some(now) = seen.filter(|now| now.lasted >= course.next_report) {
                course.next_report = now.lasted * 2;
                full.push((*id, now));
            }
        }
        full
    }
}

#[cfg(tokio_unstable)]
fn measure(handle: &Handle) -> Option<Look> {
    let metrics = handle.metrics();
    Some(Look {
        at: clock::to_duration(clock::now()),
        threads: metrics.num_blocking_threads(),
        idle: metrics.num_idle_blocking_threads(),
        queued: metrics.blocking_queue_depth(),
        ended: pool::closures_ended(),
    })
}

/// Without its unstable metrics tokio does not tell.
#[cfg(not(tokio_unstable))]
fn measure(_: &Handle) -> Option<Look> {
    None
}

fn saturated(runtime: u64, full: &Saturation, seen: &Seen) -> Detected {
    let message = format!(
        "all {} threads of the blocking pool{} are taken, and closures wait {} or longer for one",
        full.threads,
        of(runtime),
        humanise(full.wait)
    );
    Detected {
        label: label(seen),
        runtime,
        wall: Some(full.wait),
        notes: vec![format!(
            "never fewer than {} in the queue for {}",
            closures(full.queued),
            humanise(full.lasted)
        )],
        stacks: seen.weighted(full.wait),
        help: Some(
            "run long ones on threads of their own (`std::thread::spawn`), bound how many are started (a semaphore), or raise `max_blocking_threads`"
                .to_owned(),
        ),
        ..Detected::new(Code::BlockingPoolSaturated, message, Place::Stack)
    }
}

fn outlives(runtime: u64, since: Duration, seen: &Seen) -> Detected {
    let message = format!(
        "{} on the blocking pool still {}, {} after the shutdown of {} began",
        closures(seen.threads),
        if seen.threads == 1 { "runs" } else { "run" },
        humanise(since),
        runtimes::one_of_several(runtime).unwrap_or_else(|| "the runtime".to_owned()),
    );
    Detected {
        label: label(seen),
        runtime,
        wall: Some(since),
        notes: vec![
            "dropping a runtime waits for the closures that have begun; `shutdown_timeout` and `shutdown_background` leave them behind".to_owned(),
        ],
        stacks: seen.weighted(since),
        help: Some(
            "have it look at a stop flag, bound what it waits for, or await its handle before the program ends"
                .to_owned(),
        ),
        ..Detected::new(Code::BlockingOutlivesRuntime, message, Place::Stack)
    }
}

fn of(runtime: u64) -> String {
    let name = runtimes::one_of_several(runtime);
    name.map_or_else(String::new, |name| format!(" of {name}"))
}

fn closures(count: usize) -> String {
    match count {
        1 => "1 closure".to_owned(),
        count => format!("{count} closures"),
    }
}

/// What is at the line of the most frequent stack.
fn label(seen: &Seen) -> Option<String> {
    let (count, _) = seen.stacks.first()?;
    Some(match seen.looked_at {
        1 => "its thread is here".to_owned(),
        looked_at => format!("{count} of {looked_at} threads looked at are here"),
    })
}
