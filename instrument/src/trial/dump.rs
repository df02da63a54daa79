//! Everything that goes on on a runtime, for the failure of a test whose time is up.

use std::{fmt::Write, time::Duration};

use asyncwatch_findings::{Frame, display_name, humanise, message};

use crate::{
    clock,
    registry::{
        slab, slots,
        task::{Kind, Task, TaskRow},
    },
    report::Symbols,
    slow::TaskIdentity,
    source::SourceLine,
    watchdog::ThreadSeen,
};

/// Tasks told one by one; the oldest ones.
const TASKS_MAX: usize = 100;
/// Frames told of one stack.
const FRAMES_MAX: usize = 16;
/// The watchdog answers at its next look; where it does not, tasks are told alone.
const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// What was seen.
pub(super) struct Seen {
    tasks: Vec<TaskSeen>,
    threads: Vec<ThreadSeen>,
}

struct TaskSeen {
    task: TaskIdentity,
    state: State,
    polls: u64,
    age: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Woken,
    Waiting,
}

/// Looks at the tasks and threads of `runtime`.
pub(super) fn look(runtime: u64) -> Seen {
    let threads = crate::watchdog_here()
        .map(|watchdog| watchdog.threads_of(runtime, ANSWER_WAIT))
        .unwrap_or_default();
    let running: Vec<u64> = slots::all()
        .filter_map(|slot| Task::from_ptr(slot.read()?.task))
        .map(Task::id)
        .collect();
    let now = clock::now();
    let seen = |(task, row): (&'static Task, TaskRow)| TaskSeen {
        task: TaskIdentity::of(task),
        state: match () {
            () if running.contains(&row.id) => State::Running,
            () if row.woken => State::Woken,
            () => State::Waiting,
        },
        polls: row.polls,
        age: clock::to_duration(now.saturating_sub(row.spawned)),
    };
    let mut tasks: Vec<TaskSeen> = slab::all()
        .filter_map(|task| Some((task, task.row()?)))
        .filter(|(_, row)| row.runtime == runtime)
        .map(seen)
        .collect();
    tasks.sort_by_key(|seen| std::cmp::Reverse(seen.age));
    Seen { tasks, threads }
}

impl Seen {
    /// As text; looks up names, which takes its time.
    pub(super) fn render(&self) -> String {
        let mut text = format!(
            "tasks and watched futures of its runtime: {}\n",
            self.tasks.len()
        );
        for task in self.tasks.iter().take(TASKS_MAX) {
            text += &task.line();
        }
        if let Some(more @ 1..) = self.tasks.len().checked_sub(TASKS_MAX) {
            let _ = writeln!(text, "  and {more} younger ones");
        }
        if !self.threads.is_empty() {
            text += "\nthreads that poll for it, innermost call first:\n";
        }
        let mut symbols = Symbols::new();
        for thread in &self.threads {
            text += &told(thread, &mut symbols);
        }
        text
    }
}

impl TaskSeen {
    fn line(&self) -> String {
        let TaskSeen {
            task,
            state,
            polls,
            age,
        } = self;
        let state = match state {
            State::Running => "is being polled",
            State::Woken => "is woken and waits for its turn",
            State::Waiting => "waits",
        };
        let polled = match polls {
            1 => "once".to_owned(),
            polls => format!("{polls} times"),
        };
        let place = task.spawned_at.map_or_else(String::new, |at| {
            let verb = match task.kind {
                Kind::Task | Kind::Local => "spawned",
                Kind::BlockOn | Kind::Future => "made",
            };
            format!(", {verb} at {}", place(at))
        });
        let name = message::task_name(Some(&task.to_ref()));
        format!(
            "  {name} {state}; {} old, polled {polled}{place}\n",
            humanise(*age)
        )
    }
}

fn place(at: SourceLine) -> String {
    format!("{}:{}", at.file(), at.line())
}

fn told(thread: &ThreadSeen, symbols: &mut Symbols) -> String {
    let Some(poll) = &thread.poll else {
        return format!("  {} polls nothing\n", thread.label);
    };
    let task = poll.task.map(TaskIdentity::to_ref);
    let held = poll
        .held
        .map_or_else(String::new, |held| format!(" for {}", humanise(held)));
    let call = poll
        .syscall
        .as_ref()
        .map_or_else(String::new, |call| format!(", and is in {call}"));
    let name = message::task_name(task.as_ref());
    let mut text = format!("  {} has polled {name}{held}{call}\n", thread.label);
    if let Some(stack) = &poll.stack {
        let mut frames = symbols.resolve(stack);
        asyncwatch_findings::trim(&mut frames);
        for frame in frames.iter().take(FRAMES_MAX) {
            let _ = writeln!(text, "      {}", line(frame));
        }
        if let Some(more @ 1..) = frames.len().checked_sub(FRAMES_MAX) {
            let _ = writeln!(text, "      and {more} more");
        }
    }
    text
}

fn line(frame: &Frame) -> String {
    let function = match display_name(&frame.function) {
        name if name.is_empty() => "(no name)".to_owned(),
        name => name.to_string(),
    };
    match (&frame.file, frame.line) {
        (Some(file), Some(line)) if frame.user => format!("{function} at {file}:{line}"),
        _ => function,
    }
}
