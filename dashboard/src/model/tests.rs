//! The model under updates: whole, partial, repeated, too large, and damaged.

use std::time::{Duration, Instant};

use asyncwatch_findings::{Code, Finding, Level, Location, TaskRef};
use proptest::prelude::*;

use super::{
    Connection, Kind, Limits, Model, Process, RuntimeId, Site, SiteId, Task, TaskId, TaskState,
    Trouble, Update, Worker, WorkerId,
    rows::{Column, Query, RowId, rows},
};

const SECOND: u64 = 1_000_000_000;

fn task(id: u64) -> Task {
    Task {
        id: TaskId(id),
        tokio_id: Some(id + 100),
        name: format!("task {id}"),
        kind: Kind::Task,
        site: SiteId((id % 3) as u32),
        parent: None,
        state: TaskState::Idle,
        spawned_unix_ns: 0,
        polls: id,
        busy: Some(Duration::from_millis(id)),
        scheduled: None,
        idle: None,
        longest: Some(Duration::from_micros(id)),
        poll_times: None,
        runtime: RuntimeId(1),
    }
}

fn site(id: u32) -> Site {
    Site {
        id: SiteId(id),
        location: Some(Location {
            file: "src/main.rs".to_owned(),
            line: 10 * id,
            column: 1,
        }),
        kind: Kind::Task,
        spawned: 1,
        alive: 1,
        polls: 1,
        busy: None,
        scheduled: None,
        longest: None,
        poll_times: None,
        name: format!("site {id}"),
    }
}

fn worker(current_task: Option<u64>, current_poll: Duration) -> Worker {
    Worker {
        id: WorkerId(1),
        tid: 1,
        thread_name: String::new(),
        current_task: current_task.map(TaskId),
        current_poll,
        polls: 0,
        busy: None,
        parks: 0,
        busy_share: Some(0.5),
        runtime: RuntimeId(1),
    }
}

fn finding(id: u64, ongoing: bool, last_unix_ns: u64) -> Finding {
    Finding {
        id,
        code: Code::SlowPoll,
        level: Level::Warn,
        message: String::new(),
        count: 2,
        ongoing,
        first_unix_ns: 0,
        last_unix_ns,
        wall: None,
        cpu: None,
        blocked: None,
        run_delay: None,
        limit: Some(Duration::from_millis(100)),
        class: None,
        syscall: None,
        culprit: None,
        blocking_frame: None,
        task: Some(TaskRef {
            id: 105,
            name: String::new(),
            kind: "task".to_owned(),
            spawned_at: site(2).location,
        }),
        worker: None,
        queued_behind: None,
        waited_behind: None,
        label: None,
        stacks: Vec::new(),
        help: None,
        notes: Vec::new(),
        fingerprint: String::new(),
        allowed: None,
        occurrences: Vec::new(),
    }
}

fn process(pid: u32) -> Process {
    Process {
        pid,
        max_poll: Some(Duration::from_millis(100)),
        paused: false,
        ..Process::default()
    }
}

/// A whole first snapshot with these tasks.
fn snapshot(tasks: impl IntoIterator<Item = u64>) -> Update {
    Update {
        snapshot: 1,
        now_unix_ns: 100 * SECOND,
        reset: true,
        snapshot_complete: true,
        process: Some(process(7)),
        sites: (0..3).map(site).collect(),
        tasks: tasks.into_iter().map(task).collect(),
        ..Update::default()
    }
}

fn model(updates: impl IntoIterator<Item = Update>) -> (Model, Instant) {
    let at = Instant::now();
    let mut model = Model::new(Connection::Starting);
    for update in updates {
        model.apply(update, at);
    }
    (model, at)
}

fn ids(model: &Model, query: &Query) -> Vec<u64> {
    rows(model, query)
        .into_iter()
        .map(|row| match row {
            RowId::Task(id) => id.0,
            RowId::Site(id) => u64::from(id.0),
        })
        .collect()
}

#[test]
fn later_versions_replace_and_ended_tasks_go() {
    let mut newer = task(1);
    newer.name = "newer".to_owned();
    let update = Update {
        snapshot: 2,
        tasks: vec![newer],
        ended_tasks: vec![TaskId(2), TaskId(99)],
        ..Update::default()
    };
    let (model, _) = model([snapshot(1..=3), update]);
    assert_eq!(model.task(TaskId(1)).unwrap().name, "newer");
    assert_eq!(model.task(TaskId(2)), None);
    assert_eq!(model.task_count(), 2);
}

#[test]
fn a_reset_shows_the_old_state_until_the_new_one_is_whole() {
    let mut first = snapshot(10..=12);
    first.snapshot_complete = false;
    let (mut model, at) = model([snapshot(1..=3), first]);
    assert!(model.task(TaskId(1)).is_some());
    let rest = Update {
        snapshot: 1,
        snapshot_complete: true,
        tasks: vec![task(13)],
        ..Update::default()
    };
    model.apply(rest, at);
    assert_eq!(model.task(TaskId(1)), None);
    assert_eq!(model.task_count(), 4);
}

#[test]
fn a_new_connection_to_the_same_program_is_not_news() {
    let mut with_finding = snapshot([]);
    with_finding.findings = vec![finding(1, false, 0)];
    let news = Update {
        snapshot: 2,
        findings: vec![finding(2, false, 0)],
        ..Update::default()
    };
    let mut again = with_finding.clone();
    again.findings.push(finding(2, false, 0));
    let (mut model, at) = model([with_finding, news]);
    let is_new = |model: &Model, id| model.findings().get(id).unwrap().is_new(at);
    assert_eq!((is_new(&model, 1), is_new(&model, 2)), (false, true));
    model.apply(again, at);
    assert_eq!((is_new(&model, 1), is_new(&model, 2)), (false, true));
}

#[test]
fn tables_are_bounded_and_what_is_left_out_is_counted() {
    let limits = Limits {
        tasks: 2,
        sites: 1,
        workers: 1,
        runtimes: 1,
        findings: 1,
    };
    let mut model = Model::with_limits(Connection::Starting, limits);
    let mut update = snapshot(1..=5);
    update.findings = vec![finding(1, false, 0), finding(2, false, 0)];
    model.apply(update, Instant::now());
    assert_eq!(model.task_count(), 2);
    assert_eq!(model.overflowed(), 3 + 2 + 1);
    // What is known is still kept up to date.
    let mut known = task(1);
    known.polls = 77;
    model.apply(
        Update {
            tasks: vec![known],
            ..Update::default()
        },
        Instant::now(),
    );
    assert_eq!(model.task(TaskId(1)).unwrap().polls, 77);
}

#[test]
fn load_is_the_busy_share_of_the_last_interval() {
    let mut busier = task(4);
    busier.busy = busier.busy.map(|busy| busy + Duration::from_millis(500));
    let next = |snapshot, tasks| Update {
        snapshot,
        now_unix_ns: (99 + snapshot) * SECOND,
        tasks,
        ..Update::default()
    };
    let (mut model, at) = model([snapshot([4, 5])]);
    assert_eq!(model.load(TaskId(4)), None);
    model.apply(next(2, vec![busier.clone()]), at);
    assert_eq!(model.load(TaskId(4)), Some(0.5));
    assert_eq!(model.load(TaskId(5)), Some(0.0));
    model.apply(next(3, Vec::new()), at);
    assert_eq!(model.load(TaskId(4)), Some(0.0));
}

#[test]
fn a_poll_that_goes_on_counts_as_busy() {
    let held = |snapshot| Update {
        snapshot,
        now_unix_ns: (99 + snapshot) * SECOND,
        workers: vec![worker(Some(5), Duration::from_millis(750))],
        ..Update::default()
    };
    let (model, _) = model([snapshot([5]), held(2)]);
    assert_eq!(model.worker(WorkerId(1)).unwrap().busy_share, Some(0.75));
    assert_eq!(model.load(TaskId(5)), Some(0.75));
}

#[test]
fn ongoing_findings_come_first_then_the_newest() {
    let mut update = snapshot([]);
    update.findings = vec![
        finding(1, false, 5),
        finding(2, false, 9),
        finding(3, true, 1),
    ];
    let (mut model, at) = model([update]);
    let order = |model: &Model| {
        model
            .findings()
            .iter()
            .map(|it| it.finding.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(order(&model), [3, 2, 1]);
    let counts = model.findings().by_code();
    assert_eq!(counts[&Code::SlowPoll].sites, 3);
    assert_eq!(counts[&Code::SlowPoll].occurrences, 6);
    let lost = Connection::Lost {
        addr: String::new(),
        since: at,
        retry_at: at,
        trouble: Trouble::Ended,
    };
    model.connection_changed(lost, at);
    assert_eq!(order(&model), [2, 1, 3]);
}

#[test]
fn an_ongoing_finding_lasts_as_long_as_its_worker_is_held() {
    let mut update = snapshot([5]);
    update.findings = vec![finding(1, true, 98 * SECOND)];
    let (mut model, at) = model([update]);
    let lasts = |model: &Model, at| {
        let finding = &model.findings().get(1).unwrap().finding;
        model.ongoing_for(finding, at)
    };
    // Nobody is known to poll it: it was over the limit two seconds ago.
    assert_eq!(lasts(&model, at), Some(Duration::from_millis(2_100)));
    let held = Update {
        snapshot: 2,
        now_unix_ns: 101 * SECOND,
        workers: vec![worker(Some(5), Duration::from_millis(3_400))],
        ..Update::default()
    };
    model.apply(held, at);
    let later = at + Duration::from_millis(600);
    assert_eq!(lasts(&model, later), Some(Duration::from_secs(4)));
    assert_eq!(
        model.held_for(TaskId(5), later),
        Some(Duration::from_secs(4))
    );
}

#[test]
fn a_short_poll_does_not_grow_between_updates() {
    let mut update = snapshot([5]);
    update.workers = vec![worker(Some(5), Duration::from_micros(42))];
    let (model, at) = model([update]);
    let later = at + Duration::from_secs(1);
    let shown = model.worker(WorkerId(1)).unwrap();
    assert_eq!(
        model.current_poll(shown, later),
        Some(Duration::from_micros(42))
    );
}

#[test]
fn the_clock_stops_with_the_connection() {
    let (mut model, at) = model([snapshot([])]);
    let lost_at = at + Duration::from_secs(1);
    let lost = Connection::Lost {
        addr: String::new(),
        since: lost_at,
        retry_at: lost_at,
        trouble: Trouble::Silent,
    };
    model.connection_changed(lost, lost_at);
    assert_eq!(
        model.now_unix_ns(at + Duration::from_secs(60)),
        101 * SECOND
    );
}

#[test]
fn sorts_by_any_column_with_missing_numbers_last() {
    let mut update = snapshot(1..=4);
    update.tasks[1].longest = None;
    let (model, _) = model([update]);
    let mut query = Query::default();
    assert_eq!(ids(&model, &query), [4, 3, 1, 2]);
    query.sort_by(Column::Longest);
    assert_eq!(ids(&model, &query), [1, 3, 4, 2]);
    query.sort_by(Column::Place);
    assert_eq!(ids(&model, &query), [3, 1, 4, 2]);
    query.sort_by(Column::Id);
    assert_eq!(ids(&model, &query), [1, 2, 3, 4]);
}

#[test]
fn filters_by_words_in_any_case_and_by_place() {
    let (model, _) = model([snapshot(1..=12)]);
    let mut query = Query {
        filter: "TASK main.rs:20".to_owned(),
        ..Query::default()
    };
    assert_eq!(ids(&model, &query), [11, 8, 5, 2]);
    query.filter = "task !:20 !:10".to_owned();
    assert_eq!(ids(&model, &query), [12, 9, 6, 3]);
    query.filter = "#105".to_owned();
    assert_eq!(ids(&model, &query), [5]);
    query.filter.clear();
    query.site = Some(SiteId(0));
    assert_eq!(ids(&model, &query), [12, 9, 6, 3]);
}

#[test]
fn groups_by_place() {
    let (model, _) = model([snapshot(1..=12)]);
    let mut query = Query::default();
    query.sort_by(Column::State);
    query.toggle_grouped();
    assert_eq!(query.sort, Column::Longest, "places have no state");
    query.sort_by(Column::Name);
    assert_eq!(ids(&model, &query), [0, 1, 2]);
}

#[test]
fn fifty_thousand_tasks_are_sorted_and_filtered() {
    let (model, _) = model([snapshot(1..=50_000)]);
    let mut query = Query::default();
    for column in Column::TASKS {
        query.sort = *column;
        assert_eq!(rows(&model, &query).len(), 50_000);
    }
    query.sort = Column::Polls;
    assert_eq!(ids(&model, &query)[..3], [50_000, 49_999, 49_998]);
    query.filter = "4999".to_owned();
    assert_eq!(ids(&model, &query)[..3], [49_999, 49_998, 49_997]);
}

fn updates() -> impl Strategy<Value = Update> {
    let number = prop_oneof![Just(0), Just(u64::MAX), 0..200_u64];
    (
        (number.clone(), number.clone(), any::<bool>(), any::<bool>()),
        proptest::collection::vec(0..20_u64, 0..10),
        proptest::collection::vec(0..20_u64, 0..5),
        proptest::collection::vec((0..5_u64, any::<bool>(), number.clone()), 0..5),
        proptest::option::of((proptest::option::of(0..20_u64), number)),
    )
        .prop_map(
            |((snapshot, now_unix_ns, reset, snapshot_complete), tasks, ended, found, held)| {
                Update {
                    snapshot,
                    now_unix_ns,
                    reset,
                    snapshot_complete,
                    process: snapshot_complete.then(|| process(1)),
                    tasks: tasks.into_iter().map(task).collect(),
                    ended_tasks: ended.into_iter().map(TaskId).collect(),
                    findings: found
                        .into_iter()
                        .map(|(id, ongoing, last)| finding(id, ongoing, last))
                        .collect(),
                    workers: held
                        .into_iter()
                        .map(|(task, poll)| worker(task, Duration::from_nanos(poll)))
                        .collect(),
                    ..Update::default()
                }
            },
        )
}

proptest! {
    #[test]
    fn any_updates_leave_a_model_that_can_be_shown(updates in proptest::collection::vec(updates(), 0..20)) {
        let (model, at) = model(updates);
        for grouped in [false, true] {
            let query = Query { grouped, ..Query::default() };
            let shown = rows(&model, &query);
            let all = if grouped { model.sites().count() } else { model.task_count() };
            prop_assert_eq!(shown.len(), all);
        }
        for seen in model.findings().iter() {
            model.ongoing_for(&seen.finding, at);
            prop_assert_eq!(model.findings().get(seen.finding.id), Some(seen));
        }
        for worker in model.workers() {
            model.current_poll(worker, at + Duration::from_secs(9));
        }
        for task in model.tasks() {
            model.load(task.id);
            prop_assert!(model.longest(task) >= task.longest);
        }
    }
}
