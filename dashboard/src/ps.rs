//! `asyncwatch ps` and `asyncwatch tree`: a program's tasks as text, once.
//!
//! What asyncio's `all_tasks` and `python -m asyncio pstree` tell: every task that is
//! alive, where it was spawned and by whom. Taken from one snapshot of the program's
//! server; the program is neither stopped nor asked to do anything for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use asyncwatch_findings::{display_name, humanise};

use crate::{
    client::{self, Message, Target},
    discover,
    model::{Connection, Model, Task, TaskId},
};

/// A program on this machine answers within milliseconds.
const PATIENCE: Duration = Duration::from_secs(6);

/// How to lay the tasks out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One line a task, the busiest first.
    List,
    /// Each task below the one that spawned it.
    Tree,
}

/// Prints the tasks of the program at `whom`, an address or process id, or of every
/// program of this user that is found.
pub(crate) async fn show(whom: Option<&str>, layout: Layout) -> anyhow::Result<ExitCode> {
    let targets = targets(whom)?;
    let mut text = String::new();
    for target in targets {
        let model = snapshot(&target).await?;
        text.push_str(&page(&model, &target, layout, Instant::now()));
    }
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever reads it has seen enough: `asyncwatch ps | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        result => result.context("cannot write to standard output")?,
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn targets(whom: Option<&str>) -> anyhow::Result<Vec<Target>> {
    let apps = discover::apps();
    let Some(whom) = whom else {
        if apps.is_empty() {
            bail!(
                "no watched program of this user runs on this machine; give the address it printed when it started, or see `asyncwatch doctor`"
            );
        }
        return Ok(apps.into_iter().map(|app| app.target).collect());
    };
    let by_pid = whom
        .parse::<u32>()
        .ok()
        .and_then(|pid| apps.into_iter().find(|app| app.pid == pid));
    match by_pid {
        Some(app) => Ok(vec![app.target]),
        None => {
            let target = whom.parse().with_context(|| {
                format!("`{whom}` is neither an address nor the process id of a watched program")
            })?;
            Ok(vec![target])
        }
    }
}

/// The whole state of the program, as soon as it is there.
pub(crate) async fn snapshot(target: &Target) -> anyhow::Result<Model> {
    let mut messages = client::watch(target.clone());
    let mut model = Model::new(Connection::Connecting {
        addr: target.to_string(),
    });
    let whole = async {
        while let Some(message) = messages.recv().await {
            match message {
                Message::Update(update) => {
                    let whole = update.snapshot_complete;
                    model.apply(*update, Instant::now());
                    if whole {
                        return Ok(());
                    }
                }
                Message::Connection(Connection::Lost { trouble, .. }) => {
                    bail!("{target}: {trouble}");
                }
                Message::Connection(_) => {}
            }
        }
        bail!("{target}: the connection ended")
    };
    tokio::time::timeout(PATIENCE, whole)
        .await
        .with_context(|| format!("{target} does not answer"))??;
    Ok(model)
}

fn page(model: &Model, target: &Target, layout: Layout, now: Instant) -> String {
    let process = model.process().cloned().unwrap_or_default();
    let tasks: BTreeMap<TaskId, &Task> = model.tasks().map(|task| (task.id, task)).collect();
    let count = match tasks.len() {
        1 => "1 task".to_owned(),
        n => format!("{n} tasks"),
    };
    let mut text = format!(
        "{} (pid {}) at {target}: {count}\n",
        process.name, process.pid
    );
    let rows = match layout {
        Layout::List => list(&tasks),
        Layout::Tree => tree(&tasks),
    };
    text.push_str(HEADER);
    for row in rows {
        text.push_str(&line(model, &row, now));
    }
    text.push('\n');
    text
}

const HEADER: &str =
    "      ID  KIND      STATE        AGE      BUSY   LONGEST     POLLS  TASK, SPAWNED AT\n";

/// A task and how far it is indented.
struct Row<'a> {
    task: &'a Task,
    depth: usize,
    /// The task that spawned it and has ended.
    orphan_of: Option<TaskId>,
}

fn list<'a>(tasks: &BTreeMap<TaskId, &'a Task>) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'a>> = tasks
        .values()
        .map(|task| Row {
            task,
            depth: 0,
            orphan_of: None,
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.task.busy));
    rows
}

fn tree<'a>(tasks: &BTreeMap<TaskId, &'a Task>) -> Vec<Row<'a>> {
    let mut children: BTreeMap<TaskId, Vec<TaskId>> = BTreeMap::new();
    let mut roots = Vec::new();
    for task in tasks.values() {
        match task.parent.filter(|parent| tasks.contains_key(parent)) {
            Some(parent) => children.entry(parent).or_default().push(task.id),
            None => roots.push(task.id),
        }
    }
    let mut rows = Vec::new();
    // What a hostile server sends may go in circles: each task is shown once.
    let mut shown = BTreeSet::new();
    let rest: Vec<TaskId> = tasks.keys().copied().collect();
    for root in roots.into_iter().chain(rest) {
        let mut open = vec![(root, 0)];
        while let Some((id, depth)) = open.pop() {
            let Some(task) = tasks.get(&id).filter(|_| shown.insert(id)) else {
                continue;
            };
            rows.push(Row {
                task,
                depth,
                orphan_of: task.parent.filter(|_| depth == 0),
            });
            let below = children.get(&id).into_iter().flatten().rev();
            open.extend(below.map(|&child| (child, depth + 1)));
        }
    }
    rows
}

fn line(model: &Model, row: &Row<'_>, now: Instant) -> String {
    let task = row.task;
    let or_none = |time: Option<Duration>| time.map_or_else(|| "-".to_owned(), humanise);
    let site = model
        .site(task.site)
        .and_then(|site| site.location.as_ref())
        .map(|location| format!(", {location}"))
        .unwrap_or_default();
    let orphan = row
        .orphan_of
        .map(|parent| format!(" (spawned by task {}, which has ended)", parent.shown()))
        .unwrap_or_default();
    format!(
        "{:>8}  {:<8}  {:<7} {:>9} {:>9} {:>9} {:>9}  {:indent$}{}{site}{orphan}\n",
        task.number(),
        task.kind,
        task.state.as_str(),
        humanise(model.since(task.spawned_unix_ns, now)),
        or_none(task.busy),
        or_none(model.longest(task)),
        task.polls,
        "",
        name(task),
        indent = row.depth * 2,
    )
}

fn name(task: &Task) -> String {
    let is_type = task.name.contains("::") || task.name.contains('{');
    match task.name.as_str() {
        "" => "unnamed".to_owned(),
        name if is_type => display_name(name),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Kind, RuntimeId, SiteId, TaskState};

    fn task(id: u64, parent: Option<u64>) -> Task {
        Task {
            id: TaskId(id),
            tokio_id: None,
            name: format!("task-{id}"),
            kind: Kind::Task,
            site: SiteId(1),
            parent: parent.map(TaskId),
            state: TaskState::Idle,
            spawned_unix_ns: 0,
            polls: id,
            busy: Some(Duration::from_millis(id)),
            scheduled: None,
            idle: None,
            longest: None,
            poll_times: None,
            runtime: RuntimeId(1),
        }
    }

    fn shape(tasks: &[Task]) -> Vec<(u64, usize, Option<u64>)> {
        let tasks = tasks.iter().map(|task| (task.id, task)).collect();
        let rows = tree(&tasks);
        rows.iter()
            .map(|row| (row.task.id.0, row.depth, row.orphan_of.map(|id| id.0)))
            .collect()
    }

    #[test]
    fn children_stand_below_the_task_that_spawned_them() {
        let tasks = [
            task(1, None),
            task(2, Some(1)),
            task(3, Some(2)),
            task(4, Some(1)),
        ];
        assert_eq!(
            shape(&tasks),
            [(1, 0, None), (2, 1, None), (3, 2, None), (4, 1, None)]
        );
    }

    #[test]
    fn a_child_that_outlived_its_parent_says_so() {
        assert_eq!(shape(&[task(5, Some(2))]), [(5, 0, Some(2))]);
    }

    #[test]
    fn a_circle_is_shown_once() {
        let tasks = [task(1, Some(2)), task(2, Some(1))];
        assert_eq!(shape(&tasks).len(), 2);
    }

    #[test]
    fn the_busiest_comes_first() {
        let tasks = [task(1, None), task(9, None)];
        let tasks = tasks.iter().map(|task| (task.id, task)).collect();
        let ids: Vec<u64> = list(&tasks).iter().map(|row| row.task.id.0).collect();
        assert_eq!(ids, [9, 1]);
    }
}
