//! From wire types to the model's, trusting nothing.
//!
//! Every text is cut to a length and loses what could steer a terminal; every
//! list is cut to a size; what has no meaning becomes "not known".

use std::time::Duration;

use asyncwatch_findings as findings;
use asyncwatch_wire::{HISTOGRAM_BOUNDS_NS, v1};

use crate::model;

/// Longest name, in characters: generic future types are long.
const NAME_MAX: usize = 400;
/// Longest path.
const PATH_MAX: usize = 1_024;
/// Longest sentence.
const TEXT_MAX: usize = 2_000;
/// Longest lists: of stacks in a finding, frames in a stack, and of sentences.
const STACKS_MAX: usize = 16;
const FRAMES_MAX: usize = 256;
const LINES_MAX: usize = 64;

/// One update in the model's words.
pub(super) fn update(wire: v1::Update) -> model::Update {
    let sent = wire.findings.len();
    let findings: Vec<_> = wire.findings.into_iter().filter_map(finding).collect();
    model::Update {
        snapshot: wire.snapshot,
        now_unix_ns: wire.now_unix_ns,
        reset: wire.reset,
        snapshot_complete: wire.snapshot_complete,
        process: wire.process.map(process),
        sites: wire.sites.into_iter().map(site).collect(),
        tasks: wire.tasks.into_iter().map(task).collect(),
        ended_tasks: wire.ended_tasks.into_iter().map(model::TaskId).collect(),
        ended_workers: wire
            .ended_workers
            .into_iter()
            .map(model::WorkerId)
            .collect(),
        ended_runtimes: wire
            .ended_runtimes
            .into_iter()
            .map(model::RuntimeId)
            .collect(),
        workers: wire.workers.into_iter().map(worker).collect(),
        runtimes: wire.runtimes.into_iter().map(runtime).collect(),
        unreadable: (sent - findings.len()) as u64,
        findings,
        drops: wire.drops.map(drops),
    }
}

/// `text` without anything that could steer a terminal or turn its reading
/// direction around, and not longer than `chars_max`.
pub fn clean(text: &str, chars_max: usize) -> String {
    let mut clean: String = text.chars().take(chars_max).map(harmless).collect();
    if text.chars().nth(chars_max).is_some() {
        clean.pop();
        clean.push('…');
    }
    clean
}

fn harmless(c: char) -> char {
    match c {
        '\n' | '\t' | '\r' => ' ',
        _ if c.is_control() => char::REPLACEMENT_CHARACTER,
        // Marks, embeddings, overrides and isolates of the reading direction;
        // line and paragraph separators; joiners and other widthless characters.
        '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => {
            char::REPLACEMENT_CHARACTER
        }
        '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' => {
            char::REPLACEMENT_CHARACTER
        }
        _ => c,
    }
}

fn process(wire: v1::Process) -> model::Process {
    model::Process {
        name: clean(&wire.name, NAME_MAX),
        pid: wire.pid,
        args: lines(&wire.args),
        started_unix_ns: wire.started_unix_ns,
        version: clean(&wire.asyncwatch_version, NAME_MAX),
        timing: clean(&wire.timing, NAME_MAX),
        max_poll: (wire.max_poll_ns > 0).then(|| Duration::from_nanos(wire.max_poll_ns)),
        paused: wire.paused,
        settings: wire
            .settings
            .into_iter()
            .take(LINES_MAX)
            .map(setting)
            .collect(),
        coverage: wire
            .coverage
            .into_iter()
            .take(LINES_MAX)
            .map(coverage)
            .collect(),
        platform: clean(format!("{} {}", wire.os, wire.arch).trim(), NAME_MAX),
    }
}

fn setting(wire: v1::Setting) -> findings::Setting {
    findings::Setting {
        name: clean(&wire.name, NAME_MAX),
        value: clean(&wire.value, NAME_MAX),
        source: clean(&wire.source, NAME_MAX),
    }
}

fn coverage(wire: v1::Coverage) -> findings::Coverage {
    findings::Coverage {
        aspect: clean(&wire.aspect, NAME_MAX),
        covered: wire.covered,
        detail: clean(&wire.detail, TEXT_MAX),
    }
}

fn drops(wire: v1::Drops) -> Vec<findings::Drop> {
    wire.drops
        .into_iter()
        .take(LINES_MAX)
        .filter(|drop| drop.count > 0)
        .map(|drop| findings::Drop {
            what: clean(&drop.what, NAME_MAX),
            count: drop.count,
            detail: clean(&drop.detail, TEXT_MAX),
        })
        .collect()
}

fn kind(wire: v1::TaskKind) -> model::Kind {
    match wire {
        v1::TaskKind::Unspecified => model::Kind::Unknown,
        v1::TaskKind::Task => model::Kind::Task,
        v1::TaskKind::Local => model::Kind::Local,
        v1::TaskKind::BlockOn => model::Kind::BlockOn,
        v1::TaskKind::Future => model::Kind::Future,
    }
}

fn state(wire: v1::TaskState) -> model::TaskState {
    match wire {
        v1::TaskState::Unspecified => model::TaskState::Unknown,
        v1::TaskState::Idle => model::TaskState::Idle,
        v1::TaskState::Scheduled => model::TaskState::Scheduled,
        v1::TaskState::Running => model::TaskState::Running,
    }
}

fn histogram(wire: v1::PollHistogram) -> model::Histogram {
    model::Histogram::new(&HISTOGRAM_BOUNDS_NS, &wire.counts)
}

fn duration(ns: Option<u64>) -> Option<Duration> {
    ns.map(Duration::from_nanos)
}

fn task(wire: v1::Task) -> model::Task {
    model::Task {
        kind: kind(wire.kind()),
        state: state(wire.state()),
        id: model::TaskId(wire.id),
        tokio_id: wire.tokio_id,
        name: clean(&wire.name, NAME_MAX),
        site: model::SiteId(wire.site),
        parent: wire.parent.map(model::TaskId),
        spawned_unix_ns: wire.spawned_unix_ns,
        polls: wire.polls,
        busy: duration(wire.busy_ns),
        scheduled: duration(wire.scheduled_ns),
        idle: duration(wire.idle_ns),
        longest: duration(wire.longest_poll_ns),
        poll_times: wire.poll_times.map(histogram),
        runtime: model::RuntimeId(wire.runtime),
    }
}

fn site(wire: v1::Site) -> model::Site {
    model::Site {
        id: model::SiteId(wire.id),
        kind: kind(wire.kind()),
        location: location(wire.location),
        spawned: wire.spawned,
        alive: wire.alive,
        polls: wire.polls,
        busy: duration(wire.busy_ns),
        scheduled: duration(wire.scheduled_ns),
        longest: duration(wire.longest_poll_ns),
        poll_times: wire.poll_times.map(histogram),
        name: clean(&wire.name, NAME_MAX),
    }
}

fn worker(wire: v1::Worker) -> model::Worker {
    model::Worker {
        id: model::WorkerId(wire.id),
        tid: wire.tid,
        thread_name: clean(&wire.thread_name, NAME_MAX),
        current_task: wire.current_task.map(model::TaskId),
        current_poll: Duration::from_nanos(wire.current_poll_ns),
        polls: wire.polls,
        busy: duration(wire.busy_ns),
        parks: wire.parks,
        busy_share: wire
            .busy_share
            .filter(|share| share.is_finite())
            .map(|share| share.clamp(0.0, 1.0)),
        runtime: model::RuntimeId(wire.runtime),
    }
}

fn runtime(wire: v1::Runtime) -> model::Runtime {
    model::Runtime {
        id: model::RuntimeId(wire.id),
        name: clean(&wire.name, NAME_MAX),
        flavor: clean(&wire.flavor, NAME_MAX),
        workers: wire.workers,
        alive_tasks: wire.alive_tasks,
        global_queue_depth: wire.global_queue_depth,
        local_queue_depth: wire.local_queue_depth,
        blocking_queue_depth: wire.blocking_queue_depth,
        blocking_threads: wire.blocking_threads,
        spawned_tasks: wire.spawned_tasks,
        budget_forced_yields: wire.budget_forced_yields,
        remote_schedules: wire.remote_schedules,
        parks: wire.park_count,
        busy: Duration::from_nanos(wire.busy_ns),
    }
}

/// None where the code is of a newer release and cannot be shown.
fn finding(wire: v1::Finding) -> Option<findings::Finding> {
    Some(findings::Finding {
        id: wire.id,
        code: wire.code.parse().ok()?,
        level: wire.level.parse().unwrap_or(findings::Level::Warn),
        message: clean(&wire.message, TEXT_MAX),
        count: wire.count,
        ongoing: wire.ongoing,
        first_unix_ns: wire.first_unix_ns,
        last_unix_ns: wire.last_unix_ns,
        wall: duration(wire.wall_ns),
        cpu: duration(wire.cpu_ns),
        blocked: duration(wire.blocked_ns),
        run_delay: duration(wire.run_delay_ns),
        limit: duration(wire.limit_ns),
        class: class(&wire.class),
        syscall: known(&wire.syscall, PATH_MAX),
        culprit: wire.culprit.map(frame),
        blocking_frame: wire.blocking_frame.map(frame),
        task: wire.task.map(task_ref),
        worker: known(&wire.worker, NAME_MAX),
        queued_behind: wire.queued_behind,
        waited_behind: duration(wire.waited_behind_ns),
        label: known(&wire.label, TEXT_MAX),
        stacks: wire
            .stacks
            .into_iter()
            .take(STACKS_MAX)
            .map(stack)
            .collect(),
        help: known(&wire.help, TEXT_MAX),
        notes: lines(&wire.notes),
        fingerprint: clean(&wire.fingerprint, NAME_MAX),
        // Told in the notes.
        allowed: None,
        occurrences: Vec::new(),
    })
}

fn class(name: &str) -> Option<findings::Class> {
    match name {
        "blocked" => Some(findings::Class::Blocked),
        "cpu" => Some(findings::Class::Cpu),
        "mixed" => Some(findings::Class::Mixed),
        "descheduled" => Some(findings::Class::Descheduled),
        _ => None,
    }
}

fn stack(wire: v1::Stack) -> findings::Stack {
    findings::Stack {
        weight: Duration::from_nanos(wire.weight_ns),
        frames: wire
            .frames
            .into_iter()
            .take(FRAMES_MAX)
            .map(frame)
            .collect(),
        ..findings::Stack::default()
    }
}

fn frame(wire: v1::Frame) -> findings::Frame {
    findings::Frame {
        function: clean(&wire.function, NAME_MAX),
        file: known(&wire.file, PATH_MAX),
        line: (wire.line > 0).then_some(wire.line),
        user: wire.user,
        offset: (!wire.module.is_empty()).then_some(wire.offset),
        module: known(&wire.module, PATH_MAX),
        ..findings::Frame::default()
    }
}

fn task_ref(wire: v1::TaskRef) -> findings::TaskRef {
    findings::TaskRef {
        id: wire.id,
        name: clean(&wire.name, NAME_MAX),
        kind: clean(&wire.kind, NAME_MAX),
        spawned_at: location(wire.spawned_at),
    }
}

fn location(wire: Option<v1::Location>) -> Option<findings::Location> {
    let wire = wire.filter(|wire| !wire.file.is_empty())?;
    Some(findings::Location {
        file: clean(&wire.file, PATH_MAX),
        line: wire.line,
        column: wire.column,
    })
}

fn known(text: &str, chars_max: usize) -> Option<String> {
    (!text.is_empty()).then(|| clean(text, chars_max))
}

fn lines(texts: &[String]) -> Vec<String> {
    texts
        .iter()
        .take(LINES_MAX)
        .map(|text| clean(text, TEXT_MAX))
        .collect()
}
