//! Looks at all tasks now and then, and tells of those that pile up.
//!
//! What a program leaves behind shows best just before its end: the last thing that
//! `main` does is to drop what it holds, and much of what waited for that is then woken.
//! So the suspects of the look before are remembered, and stand if the root future was
//! polled only once since: that was its end.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use asyncwatch_findings::{Code, Level, humanise, message};
use asyncwatch_stack::Thread;

use super::{
    idle::{Idle, Living},
    leaked::{self, Leak},
};
use crate::{
    registry::{
        slab,
        task::{Kind, Task},
    },
    report::{Detected, Place},
    settings,
    slow::TaskIdentity,
    trial,
};

/// Between looks, at least.
const LOOK: Duration = Duration::from_millis(20);
/// Between looks, as a multiple of the CPU time that one costs: a hundredth of one CPU.
const TIMES_COST: u32 = 100;
/// Between judgements while the program goes on.
const IN_SERVICE: Duration = Duration::from_secs(10);

/// A root future that has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RootEnd {
    pub(crate) id: u64,
    pub(crate) runtime: u64,
    pub(crate) polls: u64,
}

/// What is known of the program's tasks.
pub(super) struct Tasks {
    /// The watchdog, from its first look on.
    thread: Option<Thread>,
    idle: Idle,
    /// At the last look.
    suspects: Vec<Suspect>,
    /// Polls of each root future at the last look, by its id.
    roots: HashMap<u64, u64>,
    next: Instant,
    judged: Instant,
    /// How many were alive when a site was last told of, while the program goes on.
    told: HashMap<u32, usize>,
}

struct Suspect {
    living: Living,
    leak: Leak,
}

impl Tasks {
    pub(super) fn new() -> Tasks {
        Tasks {
            thread: None,
            idle: Idle::default(),
            suspects: Vec::new(),
            roots: HashMap::new(),
            next: Instant::now(),
            judged: Instant::now(),
            told: HashMap::new(),
        }
    }

    /// Looks at the tasks if it is time to; gives what has piled up for so long that
    /// the program's end need not be waited for.
    pub(super) fn look(&mut self) -> Vec<Detected> {
        if !settings::wants(Code::TaskLeaked) || Instant::now() < self.next {
            return Vec::new();
        }
        let living = self.take();
        let found = if self.judged.elapsed() >= IN_SERVICE {
            self.judged = Instant::now();
            self.in_service(&living)
        } else {
            Vec::new()
        };
        self.suspects = suspects(living);
        found
    }

    fn take(&mut self) -> Vec<Living> {
        let began = self.cpu();
        self.roots = slab::all()
            .filter(|task| task.id() != 0 && task.kind() == Kind::BlockOn)
            .map(|root| (root.id(), root.polls()))
            .collect();
        let living = self.idle.look(limit());
        let cost = self.cpu().saturating_sub(began);
        self.next = Instant::now() + LOOK.max(cost * TIMES_COST);
        living
    }

    /// The watchdog's: on a busy machine, a look that waits for a CPU costs nothing.
    fn cpu(&mut self) -> Duration {
        let thread = self.thread.get_or_insert_with(Thread::current);
        thread.usage_here().cpu
    }

    /// The program, or one of its runtimes, ends: what is left on it.
    pub(super) fn at_end_of(&mut self, root: RootEnd) -> Vec<Detected> {
        // A test that denies leaks counts every task that it leaves.
        let counts = trial::level_on(root.runtime, Code::TaskLeaked) == Some(Level::Deny);
        if counts || !settings::wants(Code::TaskLeaked) {
            return Vec::new();
        }
        let polls_before = self.roots.get(&root.id).copied();
        let before = std::mem::take(&mut self.suspects);
        let living = self.take();
        let mut left = match polls_before {
            // What `main` held has fallen since, and woken some of them.
            Some(before_end) if root.polls <= before_end + 1 => before,
            _ => Vec::new(),
        };
        let known: Vec<u32> = left.iter().map(|left| left.living.site.id).collect();
        let new = |suspect: &Suspect| !known.contains(&suspect.living.site.id);
        left.extend(suspects(living).into_iter().filter(new));
        left.iter()
            .filter(|suspect| [0, root.runtime].contains(&suspect.living.runtime))
            .map(Suspect::at_end)
            .collect()
    }

    /// The process exits while its runtimes live: what is left on any.
    pub(super) fn at_exit(&mut self) -> Vec<Detected> {
        if !settings::wants(Code::TaskLeaked) {
            return Vec::new();
        }
        let living = self.take();
        suspects(living).iter().map(Suspect::at_end).collect()
    }

    /// Sites are told of again when twice as many are alive.
    fn in_service(&mut self, living: &[Living]) -> Vec<Detected> {
        let mut found = Vec::new();
        for living in living {
            let told = self.told.get(&living.site.id).copied().unwrap_or_default();
            let leak = leaked::in_service(&site(living), limit());
            if let Some(leak) = leak.filter(|leak| leak.alive >= told * 2) {
                self.told.insert(living.site.id, leak.alive);
                found.push(in_service(living, &leak));
            }
        }
        found
    }
}

fn limit() -> usize {
    usize::try_from(settings::limit_of(Code::TaskLeaked)).unwrap_or(usize::MAX)
}

fn site(living: &Living) -> leaked::Site {
    leaked::Site {
        living: living.tasks.clone(),
        finished: living.site.finished(),
    }
}

fn suspects(living: Vec<Living>) -> Vec<Suspect> {
    let judged = living.into_iter().filter_map(|living| {
        let leak = leaked::at_end(&site(&living), limit())?;
        Some(Suspect { living, leak })
    });
    judged.collect()
}

impl Suspect {
    fn at_end(&self) -> Detected {
        let Leak {
            alive, of, idle, ..
        } = self.leak;
        let message = format!(
            "{alive} of {of} tasks spawned at one place were still waiting when the program ended, none woken for the last {}",
            humanise(idle)
        );
        detected(&self.living, &self.leak, message)
    }
}

fn in_service(living: &Living, leak: &Leak) -> Detected {
    let message = format!(
        "{} of {} tasks spawned at one place are waiting and pile up, none woken for {}",
        leak.alive,
        leak.of,
        humanise(leak.idle)
    );
    detected(living, leak, message)
}

fn detected(living: &Living, leak: &Leak, message: String) -> Detected {
    let mut notes = vec![format!(
        "the oldest was spawned {} ago; none has been polled for the last {}",
        humanise(leak.oldest),
        humanise(leak.idle)
    )];
    notes.extend(spawned_by(leak.parent));
    Detected {
        label: Some(format!(
            "spawned here, {} of {} still alive",
            leak.alive, leak.of
        )),
        task: Some(living.example),
        notes,
        help: Some(
            "see that each can end: wait for a stop signal too, end with the other half of a pair, use a timeout, or keep the handle and abort it"
                .to_owned(),
        ),
        ..Detected::new(Code::TaskLeaked, message, Place::At(living.site.location))
    }
}

/// Who spawned them, if that was one task that still lives.
fn spawned_by(parent: u64) -> Option<String> {
    let parent = slab::all().find(|task| parent != 0 && task.id() == parent)?;
    let parent: &'static Task = parent;
    let parent = TaskIdentity::of(parent).to_ref();
    Some(format!(
        "all were spawned by {}",
        message::task_name(Some(&parent))
    ))
}
