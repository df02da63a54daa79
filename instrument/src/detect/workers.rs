//! Looks at every worker four times a second, and tells of those that starve.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use asyncwatch_findings::{Code, humanise};

use super::starved::{self, Look, Starvation};
use crate::{
    clock,
    registry::{
        sites::{self, Site},
        slab,
        slot::Slot,
        slots::{self, ThreadInfo},
        task::Kind,
    },
    report::{Detected, Place},
    runtimes, settings,
};

/// Between looks: a worker is judged by five or more.
const LOOK: Duration = Duration::from_millis(250);
/// Sites that are named in a finding.
const SITES_NAMED: usize = 3;
/// A site is named if it took this part of the time.
const SHARE_MIN: f64 = 0.1;

pub(super) struct Workers {
    /// By slot number.
    courses: Vec<Course>,
    next: Instant,
}

/// What one worker did since its last pause.
#[derive(Default)]
struct Course {
    /// Whose it is: slots are used again.
    tid: u32,
    /// At the last look, also where the worker is not busy.
    last: Look,
    looks: Vec<Look>,
    /// What each site had taken when the course began.
    began: Times,
    /// Told of again when it has gone on for so long.
    next_report: Duration,
}

/// Busy time by spawn site.
type Times = HashMap<u32, (&'static Site, u64)>;

impl Workers {
    pub(super) fn new() -> Workers {
        Workers {
            courses: Vec::new(),
            next: Instant::now(),
        }
    }

    /// A poll on this slot was slow: that explains whatever waits.
    pub(super) fn was_slow(&mut self, slot: u32) {
        if let Some(course) = self.courses.get_mut(slot as usize) {
            course.looks.clear();
        }
    }

    /// Looks at the workers if it is time to.
    pub(super) fn look(&mut self) -> Vec<Detected> {
        // Without timestamps nobody knows who is busy.
        let wanted = settings::wants(Code::StarvedWorker) && settings::exact();
        if !wanted || Instant::now() < self.next {
            return Vec::new();
        }
        self.next = Instant::now() + LOOK;
        slots::all()
            .filter_map(|slot| {
                let info = slot.info().filter(|info| !info.own)?;
                self.look_at(slot, &info)
            })
            .collect()
    }

    fn look_at(&mut self, slot: &'static Slot, info: &Arc<ThreadInfo>) -> Option<Detected> {
        let number = slot.number as usize;
        if self.courses.len() <= number {
            self.courses.resize_with(number + 1, Course::default);
        }
        let course = &mut self.courses[number];
        if course.tid != info.thread.tid() {
            *course = Course {
                tid: info.thread.tid(),
                ..Course::default()
            };
        }
        let mut now = Look {
            at: clock::to_duration(clock::now()),
            busy: Duration::from_nanos(slot.busy_ns()),
            polls: slot.polls(),
            ..Look::default()
        };
        let busy = starved::is_busy(&course.last, &now);
        course.last = now;
        if !busy {
            course.looks.clear();
            return None;
        }
        let usage = info.thread.usage()?;
        now.cpu = usage.cpu;
        now.run_delay = usage.run_delay;
        now.sleeps = slot.sleeps();
        now.queued = runtimes::waiting_for(info.runtime(), info.worker())?;
        course.go_on(now, info)
    }
}

impl Course {
    fn go_on(&mut self, now: Look, info: &ThreadInfo) -> Option<Detected> {
        let limit = Duration::from_nanos(settings::limit_of(Code::StarvedWorker));
        self.looks.push(now);
        self.looks.drain(..starved::kept_up(&self.looks, limit));
        if self.looks.len() == 1 {
            self.began = times(info.runtime());
            self.next_report = starved::WINDOW;
        }
        let starved = starved::judge(&self.looks, limit);
        let found = starved
            .filter(|starved| starved.window >= self.next_report)
            .map(|starved| {
                self.next_report = starved.window * 2;
                detected(&starved, info, &self.shares(info.runtime()))
            });
        self.thin_out();
        found
    }

    /// A long course needs no more looks than a short one: the first, and the newest.
    fn thin_out(&mut self) {
        const LOOKS_MAX: usize = 64;
        if self.looks.len() > LOOKS_MAX {
            self.looks.remove(1);
        }
    }

    /// The part of the time that each site took, the largest first.
    fn shares(&self, runtime: u64) -> Vec<(&'static Site, f64)> {
        let spent: Vec<(&'static Site, u64)> = times(runtime)
            .into_iter()
            .map(|(id, (site, now))| {
                let before = self.began.get(&id).map_or(0, |(_, before)| *before);
                (site, now.saturating_sub(before))
            })
            .collect();
        let all: u64 = spent.iter().map(|(_, spent)| spent).sum();
        let mut shares: Vec<(&'static Site, f64)> = spent
            .into_iter()
            .map(|(site, spent)| (site, spent as f64 / all.max(1) as f64))
            .filter(|(_, share)| *share >= SHARE_MIN)
            .collect();
        shares.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        shares.truncate(SITES_NAMED);
        shares
    }
}

/// What each site's tasks have taken so far: the living ones on `runtime`, and those
/// that have ended. Futures inside of tasks are counted with their task.
fn times(runtime: u64) -> Times {
    let ended = sites::rows().into_iter().map(|row| (row.site, row.busy_ns));
    let living = slab::all()
        .filter_map(|task| task.row())
        .filter(|row| row.runtime == runtime)
        .map(|row| (row.site, row.busy_ns));
    let mut times = Times::new();
    for (site, busy_ns) in ended
        .chain(living)
        .filter(|(site, _)| site.kind != Kind::Future)
    {
        times.entry(site.id).or_insert((site, 0)).1 += busy_ns;
    }
    times
}

fn detected(starved: &Starvation, info: &ThreadInfo, shares: &[(&'static Site, f64)]) -> Detected {
    let worker = info.label();
    let message = format!(
        "{worker} has polled for {} without a pause, each poll short, and a woken task waits about {} for its turn",
        humanise(starved.window),
        humanise(starved.wait)
    );
    let place = shares
        .first()
        .map_or(Place::Stack, |(site, _)| Place::At(site.location));
    let mut notes = vec![format!(
        "{} polls of {} on average, {:.0} % of the time; never fewer than {} tasks in its queue",
        starved.polls,
        humanise(starved.poll),
        starved.busy * 100.0,
        starved.queued
    )];
    notes.extend(shares.iter().skip(1).map(|(site, share)| {
        format!(
            "{:.0} % of the time went to tasks spawned at {}:{}",
            share * 100.0,
            site.location.file(),
            site.location.line()
        )
    }));
    Detected {
        label: shares.first().map(|(_, share)| {
            format!("tasks spawned here took {:.0} % of its time", share * 100.0)
        }),
        worker: Some(worker),
        runtime: info.runtime(),
        wall: Some(starved.window),
        queued_behind: Some(starved.queued),
        notes,
        help: Some(
            "have fewer tasks at work at a time (a semaphore, a bounded queue), more workers, or move what computes to `spawn_blocking`"
                .to_owned(),
        ),
        ..Detected::new(Code::StarvedWorker, message, place)
    }
}
