//! From the registry's and findings' own types to the wire's.

use asyncwatch_findings as findings;
use asyncwatch_wire::v1;

use super::collect::Meter;
use crate::{
    clock::{self, Ticks},
    registry::{
        sites::SiteRow,
        slot::Slot,
        slots::ThreadInfo,
        task::{BUCKETS, Kind, OWN_IDS, Task, TaskRow},
    },
    settings,
};

/// Sums over the living tasks of a site.
#[derive(Clone, Debug, Default)]
pub(super) struct SiteSums {
    pub(super) polls: u64,
    pub(super) busy_ns: u64,
    pub(super) scheduled_ns: u64,
    pub(super) scheduled_known: bool,
    pub(super) longest_ns: u64,
    pub(super) poll_times: [u64; BUCKETS],
}

pub(super) fn task(row: &TaskRow, running: bool, now: Ticks) -> v1::Task {
    let age = clock::to_ns(now.saturating_sub(row.spawned));
    let known = row.busy_ns + row.scheduled_ns.unwrap_or(0);
    v1::Task {
        id: row.id,
        tokio_id: tokio_id(row),
        name: row.name.to_owned(),
        kind: kind(row.kind).into(),
        site: row.site.id,
        parent: (row.parent != 0).then_some(row.parent),
        state: state(row, running).into(),
        spawned_unix_ns: clock::to_unix_ns(row.spawned),
        polls: row.polls,
        busy_ns: timed(row.busy_ns),
        scheduled_ns: row.scheduled_ns,
        idle_ns: timed(age.saturating_sub(known)),
        longest_poll_ns: timed(row.longest_ns),
        poll_times: timed(histogram(row.poll_times.iter().map(|&n| u64::from(n)))),
        runtime: row.runtime,
    }
}

/// Whether a task is worth telling again: idle time alone, which every client can
/// tell from the rest, is not.
pub(super) fn task_differs(old: &v1::Task, new: &v1::Task) -> bool {
    old.polls != new.polls
        || old.state != new.state
        || old.scheduled_ns != new.scheduled_ns
        || old.name != new.name
}

fn tokio_id(row: &TaskRow) -> Option<u64> {
    match row.tokio_id {
        0 => (row.id < OWN_IDS).then_some(row.id),
        id => Some(id),
    }
}

fn kind(kind: Kind) -> v1::TaskKind {
    match kind {
        Kind::Task => v1::TaskKind::Task,
        Kind::Local => v1::TaskKind::Local,
        Kind::BlockOn => v1::TaskKind::BlockOn,
        Kind::Future => v1::TaskKind::Future,
    }
}

fn state(row: &TaskRow, running: bool) -> v1::TaskState {
    if running {
        v1::TaskState::Running
    } else if row.woken {
        v1::TaskState::Scheduled
    } else {
        v1::TaskState::Idle
    }
}

/// What is measured only where polls are timed.
fn timed<T>(value: T) -> Option<T> {
    settings::exact().then_some(value)
}

fn histogram(counts: impl Iterator<Item = u64>) -> v1::PollHistogram {
    let mut counts: Vec<u64> = counts.collect();
    let used = counts
        .iter()
        .rposition(|&n| n > 0)
        .map_or(0, |last| last + 1);
    counts.truncate(used);
    v1::PollHistogram { counts }
}

pub(super) fn site(row: &SiteRow, living: &SiteSums) -> v1::Site {
    let scheduled = row.scheduled_ns + living.scheduled_ns;
    let counts = row.poll_times.iter().zip(&living.poll_times);
    v1::Site {
        id: row.site.id,
        location: Some(location(&row.site.location.to_location())),
        kind: kind(row.site.kind).into(),
        spawned: row.spawned,
        alive: row.alive,
        polls: row.polls + living.polls,
        busy_ns: timed(row.busy_ns + living.busy_ns),
        scheduled_ns: (living.scheduled_known || scheduled > 0).then_some(scheduled),
        longest_poll_ns: timed(row.longest_ns.max(living.longest_ns)),
        poll_times: timed(histogram(counts.map(|(a, b)| a + b))),
        name: row.name.to_owned(),
    }
}

pub(super) fn worker(slot: &'static Slot, info: &ThreadInfo, share: Option<f64>) -> v1::Worker {
    let reading = slot.read();
    let current = reading.and_then(|reading| Task::from_ptr(reading.task));
    let held = reading
        .filter(|reading| reading.start != 0)
        .map_or(0, |reading| {
            clock::to_ns(clock::now().saturating_sub(reading.start))
        });
    v1::Worker {
        id: slot.number,
        tid: info.thread.tid(),
        thread_name: match info.worker() {
            Some(worker) => format!("worker {worker}"),
            None => info.thread.name().to_owned(),
        },
        current_task: current.map(Task::id),
        current_poll_ns: held,
        polls: slot.polls(),
        busy_ns: timed(slot.busy_ns()),
        parks: slot.parks(),
        busy_share: share,
        runtime: info.runtime(),
    }
}

pub(super) fn runtime(id: u64, handle: &tokio::runtime::Handle, meter: &Meter) -> v1::Runtime {
    let flavor = match handle.runtime_flavor() {
        tokio::runtime::RuntimeFlavor::CurrentThread => "current_thread",
        _ => "multi_thread",
    };
    let runtime = v1::Runtime {
        id,
        name: String::new(),
        flavor: flavor.to_owned(),
        workers: meter.now.workers_count as u32,
        alive_tasks: meter.now.live_tasks_count as u64,
        global_queue_depth: meter.now.global_queue_depth as u64,
        park_count: meter.parks,
        busy_ns: meter.busy.as_nanos() as u64,
        ..v1::Runtime::default()
    };
    with_unstable(runtime, handle, meter)
}

#[cfg(tokio_unstable)]
fn with_unstable(
    runtime: v1::Runtime,
    handle: &tokio::runtime::Handle,
    meter: &Meter,
) -> v1::Runtime {
    v1::Runtime {
        local_queue_depth: Some(meter.now.total_local_queue_depth as u64),
        blocking_queue_depth: Some(meter.now.blocking_queue_depth as u64),
        blocking_threads: Some(meter.now.blocking_threads_count as u64),
        spawned_tasks: Some(handle.metrics().spawned_tasks_count()),
        budget_forced_yields: Some(meter.forced_yields),
        remote_schedules: Some(meter.remote_schedules),
        ..runtime
    }
}

#[cfg(not(tokio_unstable))]
fn with_unstable(runtime: v1::Runtime, _: &tokio::runtime::Handle, _: &Meter) -> v1::Runtime {
    runtime
}

pub(super) fn process(process: &findings::ProcessInfo) -> v1::Process {
    v1::Process {
        name: process.name.clone(),
        pid: process.pid,
        args: process.args.clone(),
        started_unix_ns: process.started_unix_ns,
        asyncwatch_version: process.asyncwatch_version.clone(),
        timing: process.timing.clone(),
        max_poll_ns: settings::limit().as_nanos() as u64,
        coverage: crate::coverage::list().into_iter().map(coverage).collect(),
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        paused: !settings::looking(),
        settings: process.settings.iter().map(setting).collect(),
    }
}

fn setting(setting: &findings::Setting) -> v1::Setting {
    v1::Setting {
        name: setting.name.clone(),
        value: setting.value.clone(),
        source: setting.source.clone(),
    }
}

fn coverage(aspect: findings::Coverage) -> v1::Coverage {
    v1::Coverage {
        aspect: aspect.aspect,
        covered: aspect.covered,
        detail: aspect.detail,
    }
}

pub(super) fn drops(drops: Vec<findings::Drop>) -> v1::Drops {
    let drops = drops.into_iter().map(|drop| v1::Drop {
        what: drop.what,
        count: drop.count,
        detail: drop.detail,
    });
    v1::Drops {
        drops: drops.collect(),
    }
}

pub(super) fn finding(finding: &findings::Finding) -> v1::Finding {
    let ns = |duration: Option<std::time::Duration>| duration.map(|d| d.as_nanos() as u64);
    v1::Finding {
        id: finding.id,
        code: finding.code.to_string(),
        level: finding.level.to_string(),
        message: finding.message.clone(),
        count: finding.count,
        first_unix_ns: finding.first_unix_ns,
        last_unix_ns: finding.last_unix_ns,
        ongoing: finding.ongoing,
        wall_ns: ns(finding.wall),
        cpu_ns: ns(finding.cpu),
        blocked_ns: ns(finding.blocked),
        run_delay_ns: ns(finding.run_delay),
        class: finding.class.map_or("", class).to_owned(),
        syscall: finding.syscall.clone().unwrap_or_default(),
        culprit: finding.culprit.as_ref().map(frame),
        blocking_frame: finding.blocking_frame.as_ref().map(frame),
        task: finding.task.as_ref().map(task_ref),
        stacks: finding.stacks.iter().map(stack).collect(),
        help: finding.help.clone().unwrap_or_default(),
        notes: finding.notes.clone(),
        fingerprint: finding.fingerprint.clone(),
        queued_behind: finding.queued_behind,
        worker: finding.worker.clone().unwrap_or_default(),
        limit_ns: ns(finding.limit),
        label: finding.label.clone().unwrap_or_default(),
        waited_behind_ns: ns(finding.waited_behind),
    }
}

fn class(class: findings::Class) -> &'static str {
    match class {
        findings::Class::Blocked => "blocked",
        findings::Class::Cpu => "cpu",
        findings::Class::Mixed => "mixed",
        findings::Class::Descheduled => "descheduled",
    }
}

fn frame(frame: &findings::Frame) -> v1::Frame {
    v1::Frame {
        function: frame.function.clone(),
        file: frame.file.clone().unwrap_or_default(),
        line: frame.line.unwrap_or(0),
        user: frame.user,
        module: frame.module.clone().unwrap_or_default(),
        offset: frame.offset.unwrap_or(0),
    }
}

fn stack(stack: &findings::Stack) -> v1::Stack {
    v1::Stack {
        weight_ns: stack.weight.as_nanos() as u64,
        frames: stack.frames.iter().map(frame).collect(),
    }
}

fn task_ref(task: &findings::TaskRef) -> v1::TaskRef {
    v1::TaskRef {
        id: task.id,
        name: task.name.clone(),
        kind: task.kind.clone(),
        spawned_at: task.spawned_at.as_ref().map(location),
    }
}

fn location(location: &findings::Location) -> v1::Location {
    v1::Location {
        file: location.file.clone(),
        line: location.line,
        column: location.column,
    }
}
