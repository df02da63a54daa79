//! Tasks that a test leaves behind.
//!
//! A test that denies `task-leaked` wants all it spawned to have ended with it. Those
//! that are about to get a moment for it; every one that is then alive is told, at the
//! place that spawned it.

use std::{collections::BTreeMap, time::Duration};

use asyncwatch_findings::{Code, humanise};

use crate::{
    clock,
    ending::AnyRuntime,
    registry::{
        sites::Site,
        slab,
        task::{Kind, OWN_IDS, Task},
    },
    report::{Detected, Place},
    runtimes,
    slow::TaskIdentity,
};

/// For so long tasks may end after their test, in [`LOOKS`] steps. As many steps are
/// made on a paused clock, which jumps.
const GRACE: Duration = Duration::from_millis(100);
const LOOKS: u32 = 20;

const HELP: &str = "await or abort its handle before the test ends, keep the tasks in a `JoinSet`, or say that one is meant to go on by itself: `.detached(\"why\")`";

/// Lets the tasks of `runtime` end, and tells of those that do not.
pub(super) fn look(runtime: &impl AnyRuntime) {
    let id = runtimes::number(runtime.handle().id());
    let alive = || runtime.handle().metrics().num_alive_tasks();
    runtime.block_on(async {
        for _ in 0..LOOKS {
            if alive() == 0 {
                return;
            }
            tokio::time::sleep(GRACE / LOOKS).await;
        }
    });
    let left = Left::on(id);
    let unseen = alive().saturating_sub(left.seen);
    for task in left.sites.into_values() {
        crate::found(task.detected(id));
    }
    if unseen > 0 {
        crate::found(unseen_tasks(id, unseen));
    }
}

/// The living tasks of a runtime.
#[derive(Default)]
struct Left {
    sites: BTreeMap<u32, AtSite>,
    /// All that have an entry, those that nobody waits for included.
    seen: usize,
}

struct AtSite {
    site: &'static Site,
    example: TaskIdentity,
    count: u64,
    oldest: Duration,
}

impl Left {
    fn on(runtime: u64) -> Left {
        let mut left = Left::default();
        let now = clock::now();
        for task in slab::all().filter(|task| task.id() != 0 && task.runtime() == runtime) {
            let Some(site) = task.site().filter(|_| is_counted(task)) else {
                continue;
            };
            left.seen += 1;
            if task.is_detached() {
                continue;
            }
            let age = clock::to_duration(now.saturating_sub(task.spawned()));
            let at = left.sites.entry(site.id).or_insert_with(|| AtSite {
                site,
                example: TaskIdentity::of(task),
                count: 0,
                oldest: Duration::ZERO,
            });
            at.count += 1;
            at.oldest = at.oldest.max(age);
        }
        left
    }
}

/// Where the hooks see every task, the entry of a wrapped one is beside theirs until it
/// is first polled.
fn is_counted(task: &Task) -> bool {
    let of_wrapper = task.id() >= OWN_IDS && task.kind() == Kind::Task;
    if cfg!(tokio_unstable) {
        return task.kind().is_spawned() && !of_wrapper;
    }
    // What is detached is a whole task, though nobody saw it being spawned.
    task.kind().is_spawned() || task.is_detached()
}

impl AtSite {
    fn detected(self, runtime: u64) -> Detected {
        let message = format!(
            "{} still alive {} after the test had ended",
            tasks(self.count, "spawned at one place"),
            humanise(GRACE)
        );
        Detected {
            label: Some(format!("spawned here, {} still alive", self.count)),
            task: Some(self.example),
            notes: vec![format!(
                "the oldest was spawned {} ago",
                humanise(self.oldest)
            )],
            help: Some(HELP.to_owned()),
            runtime,
            ..Detected::new(Code::TaskLeaked, message, Place::At(self.site.location))
        }
    }
}

/// Tasks that the runtime counts and nobody watches: `tokio::spawn` without hooks.
fn unseen_tasks(runtime: u64, count: usize) -> Detected {
    let message = format!(
        "{} still alive {} after the test had ended",
        tasks(count as u64, "that are not watched"),
        humanise(GRACE)
    );
    Detected {
        help: Some(HELP.to_owned()),
        notes: vec![
            "where they were spawned is known with `--cfg tokio_unstable`, or if `asyncwatch::spawn` spawns them"
                .to_owned(),
        ],
        runtime,
        ..Detected::new(Code::TaskLeaked, message, Place::Stack)
    }
}

fn tasks(count: u64, which: &str) -> String {
    match count {
        1 => format!(
            "1 task {} was",
            which
                .replace("at one place", "here")
                .replace("that are", "that is")
        ),
        _ => format!("{count} tasks {which} were"),
    }
}
