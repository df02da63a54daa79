//! What no single poll shows: detectors that look at snapshots of all tasks, workers
//! and threads.
//!
//! The watchdog drives them between its looks at polls. Each takes a snapshot and hands
//! it to a pure function, which judges it.

pub(crate) mod dropped;
mod idle;
mod leaked;
mod outlived;
pub(crate) mod pool;
mod pools;
mod saturated;
mod starved;
mod tasks;
mod workers;

use asyncwatch_stack::Capturer;
pub(crate) use dropped::{Dropped, Source};
pub(crate) use outlived::while_ending;
pub(crate) use tasks::RootEnd;

use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::{
    endings::{self, Endings},
    large, never_awaited,
    registry::task::Task,
    report::{Detected, Reporter},
    runtimes,
    waits::{self, Waits},
};

/// To be told when a root future is dropped, on the thread that polled it: looks at
/// what its program or its test leaves behind. A panic leaves things as they were.
pub(crate) fn root_ended(root: &Task) {
    if std::thread::panicking() {
        return;
    }
    crate::root_ended(RootEnd {
        id: root.id(),
        runtime: Handle::try_current().map_or(0, |handle| runtimes::number(handle.id())),
        polls: root.polls(),
    });
}

/// All detectors, with what they remember.
pub(crate) struct Detectors {
    reporter: Reporter,
    tasks: tasks::Tasks,
    workers: workers::Workers,
    pools: pools::Pools,
    dropped: dropped::Counted,
    waits: Waits,
    endings: Endings,
    #[cfg(feature = "layer")]
    layer: crate::layer::Judge,
    next: Instant,
}

/// Between looks at what is only counted.
const COUNTED: Duration = Duration::from_millis(250);

impl Detectors {
    pub(crate) fn new(reporter: Reporter) -> Detectors {
        large::prepare();
        waits::prepare();
        endings::prepare();
        Detectors {
            reporter,
            tasks: tasks::Tasks::new(),
            workers: workers::Workers::new(),
            pools: pools::Pools::new(),
            dropped: dropped::Counted::default(),
            waits: Waits::default(),
            endings: Endings::default(),
            #[cfg(feature = "layer")]
            layer: crate::layer::Judge::default(),
            next: Instant::now(),
        }
    }

    /// Takes the snapshots that are due.
    pub(crate) fn look(&mut self, capturer: Option<&mut Capturer>) {
        let found = self.tasks.look();
        self.tell(found);
        let found = self.workers.look();
        self.tell(found);
        let found = self.pools.look(capturer);
        self.tell(found);
        self.judge_layer(false);
        if Instant::now() >= self.next {
            self.next = Instant::now() + COUNTED;
            self.tell_dropped();
            self.waits.look();
            self.endings.look();
        }
    }

    /// A slow poll was seen on this slot.
    pub(crate) fn was_slow(&mut self, slot: u32) {
        self.workers.was_slow(slot);
    }

    /// A root future has ended, and with it its program or its test.
    pub(crate) fn root_ended(&mut self, root: RootEnd) {
        let found = self.tasks.at_end_of(root);
        self.tell(found);
        self.waits.look();
        self.endings.at_end(Some(root.runtime));
    }

    /// The process exits.
    pub(crate) fn exits(&mut self) {
        let found = self.tasks.at_exit();
        self.tell(found);
        self.tell_dropped();
        self.waits.look();
        self.endings.at_end(None);
    }

    /// All that was found is to be written.
    pub(crate) fn finish(&mut self) {
        self.judge_layer(true);
        self.tell_dropped();
        self.waits.look();
    }

    /// What tokio told the layer; `last` if nothing more will come.
    fn judge_layer(&mut self, last: bool) {
        #[cfg(feature = "layer")]
        {
            let found = self.layer.look(last);
            self.tell(found);
        }
        #[cfg(not(feature = "layer"))]
        let _ = last;
    }

    fn tell_dropped(&mut self) {
        for dropped in self.dropped.look() {
            self.reporter.task_dropped(dropped);
        }
        never_awaited::hand_in(&self.reporter);
    }

    fn tell(&self, found: Vec<Detected>) {
        for detected in found {
            self.reporter.detected(detected);
        }
    }
}
