//! The runtimes with their queues, and the threads that poll.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::Widget,
};

use super::{Scene, Split, pane};
use crate::{
    model::{Runtime, Worker},
    tui::{action::Pane, hits::Hits, text},
};

pub(super) fn draw(scene: &Scene<'_>, buffer: &mut Buffer, area: Rect, hits: &mut Hits) {
    let columns = usize::from(area.width);
    let runtimes: Vec<_> = scene
        .model
        .runtimes()
        .flat_map(|runtime| runtime_lines(scene, runtime, columns))
        .collect();
    let height = (runtimes.len() as u16 + 1).min(area.height / 2);
    let (above, below) = area.split_top(height);
    if !runtimes.is_empty() {
        let title = Line::styled("Runtimes", scene.theme.heading());
        let rest = pane::frame(scene, buffer, above, title, "", false);
        for (i, line) in runtimes
            .into_iter()
            .take(usize::from(rest.height))
            .enumerate()
        {
            line.render(rest.line(i as u16), buffer);
        }
    }
    draw_table(scene, buffer, below, hits);
}

/// A runtime's numbers, as many a line as fit.
fn runtime_lines<'a>(scene: &Scene<'_>, runtime: &Runtime, columns: usize) -> Vec<Line<'a>> {
    let mut name = format!(" {} {}", runtime.id.0, runtime.flavor);
    if !runtime.name.is_empty() {
        name += &format!(" `{}`", runtime.name);
    }
    let title = Span::styled(text::keep_start(&name, columns), scene.theme.heading());
    let mut lines = vec![Line::from(title)];
    let mut spans: Vec<Span<'a>> = Vec::new();
    let mut used = 0;
    for (name, value, notable) in metrics(runtime) {
        let width = text::width(name) + text::width(&value) + 5;
        if used > 0 && used + width > columns {
            lines.push(std::mem::take(&mut spans).into());
            used = 0;
        }
        let style = if notable {
            scene.theme.warn()
        } else {
            Style::new()
        };
        spans.push(Span::styled(format!("   {name} "), scene.theme.dim()));
        spans.push(Span::styled(value, style));
        used += width;
    }
    lines.push(spans.into());
    lines
}

/// Name, value, and whether it deserves attention: something waits.
fn metrics(runtime: &Runtime) -> Vec<(&'static str, String, bool)> {
    let queue = runtime.global_queue_depth;
    let mut metrics = vec![
        ("workers", runtime.workers.to_string(), false),
        ("tasks alive", text::count(runtime.alive_tasks), false),
        ("global queue", text::count(queue), queue > 0),
    ];
    let mut add = |name, value: Option<u64>, notable: bool| {
        if let Some(value) = value {
            metrics.push((name, text::count(value), notable && value > 0));
        }
    };
    add("local queues", runtime.local_queue_depth, false);
    add("blocking queue", runtime.blocking_queue_depth, true);
    add("blocking threads", runtime.blocking_threads, false);
    add("spawned", runtime.spawned_tasks, false);
    add("forced yields", runtime.budget_forced_yields, false);
    add("remote schedules", runtime.remote_schedules, false);
    add("parks", Some(runtime.parks), false);
    metrics.push(("busy", text::duration(runtime.busy), false));
    metrics
}

/// Widths of the columns that depend on the terminal's.
struct Widths {
    thread: usize,
    spark: usize,
    task: usize,
}

impl Widths {
    /// Cursor, bar with percentage, poll, polls, busy, parks, and the spaces between.
    const FIXED: usize = 2 + 11 + 9 + 8 + 8 + 8 + 4;

    fn of(columns: usize) -> Self {
        let left = columns.saturating_sub(Self::FIXED);
        let spark = if columns >= 110 {
            (left / 3).min(60)
        } else {
            0
        };
        let thread = (left.saturating_sub(spark) * 2 / 5).clamp(8, 24);
        Self {
            thread,
            spark,
            task: left.saturating_sub(spark + thread + 1),
        }
    }

    fn heading(&self) -> String {
        let thread = text::left("thread", self.thread);
        let spark = text::right(if self.spark > 0 { "last minutes" } else { "" }, self.spark);
        let task = text::left("polls now", self.task);
        format!(
            "  {thread} {:<11} {spark} {:>8} {task} {:>7} {:>7} {:>7}",
            "busy", "since", "polls", "busy", "parks"
        )
    }
}

fn draw_table(scene: &Scene<'_>, buffer: &mut Buffer, area: Rect, hits: &mut Hits) {
    let app = scene.app;
    let rows = &app.worker_rows;
    let height = usize::from(area.height.saturating_sub(2));
    let window = app.workers.window(rows.len(), height);
    let title = Line::from(vec![
        Span::styled("Workers ", scene.theme.heading()),
        Span::raw(text::count(rows.len() as u64)),
    ]);
    let note = pane::position(&window, rows.len());
    let rest = pane::frame(scene, buffer, area, title, &note, true);
    let (head, body) = rest.split_top(1);
    let widths = Widths::of(usize::from(area.width));
    Line::styled(widths.heading(), scene.theme.dim()).render(head, buffer);
    for (line, index) in window.clone().enumerate() {
        let Some(worker) = scene.model.worker(rows[index]) else {
            continue;
        };
        let area = body.line(line as u16);
        let selected = index == app.workers.index();
        row_line(scene, worker, &widths, selected).render(area, buffer);
        if selected {
            buffer.set_style(area, scene.theme.selected());
        }
    }
    hits.pane(Pane::Workers, body, window);
}

fn row_line<'a>(scene: &Scene<'_>, worker: &Worker, widths: &Widths, selected: bool) -> Line<'a> {
    let theme = scene.theme;
    let poll = scene.model.current_poll(worker, scene.at);
    let over = poll.is_some_and(|poll| scene.model.is_over_limit(poll));
    let (mark, poll_style) = if over {
        ("▶", theme.bad())
    } else {
        (" ", Style::new())
    };
    let cursor = if selected { "›" } else { " " };
    let poll = match (poll, over) {
        (None, _) => "parked".to_owned(),
        (Some(poll), true) => text::ticking(poll),
        (Some(poll), false) => text::duration(poll),
    };
    let history = scene.model.busy_history(worker.id);
    Line::from(vec![
        Span::styled(format!("{cursor}{mark}"), theme.bad()),
        Span::raw(text::path(&thread_name(scene, worker), widths.thread)),
        Span::raw(" "),
        share_span(scene, worker.busy_share),
        Span::raw(" "),
        Span::styled(text::sparkline(history, widths.spark), theme.good()),
        Span::raw(" "),
        Span::styled(text::right(&poll, 8), poll_style),
        Span::raw(" "),
        Span::styled(
            text::left(&task_name(scene, worker), widths.task),
            poll_style,
        ),
        Span::raw(" "),
        Span::raw(text::right(&text::count(worker.polls), 7)),
        Span::raw(" "),
        Span::raw(text::right(&text::optional(worker.busy), 7)),
        Span::raw(" "),
        Span::raw(text::right(&text::count(worker.parks), 7)),
    ])
}

fn share_span<'a>(scene: &Scene<'_>, share: Option<f64>) -> Span<'a> {
    let Some(share) = share else {
        return Span::styled(text::right("·", 11), scene.theme.dim());
    };
    let style = match share {
        _ if share >= 0.9 => scene.theme.bad(),
        _ if share >= 0.6 => scene.theme.warn(),
        _ => scene.theme.good(),
    };
    let text = format!("{} {:>4}", text::bar(share, 6), text::percent(share));
    Span::styled(text, style)
}

fn task_name(scene: &Scene<'_>, worker: &Worker) -> String {
    let Some(id) = worker.current_task else {
        return String::new();
    };
    match scene.model.task(id) {
        Some(task) if task.name.is_empty() => format!("task {}", task.number()),
        Some(task) => format!("{} {}", task.number(), text::clear_name(&task.name)),
        None => format!("#{}", id.shown()),
    }
}

/// Its name; where several threads share it, with the thread's number.
fn thread_name(scene: &Scene<'_>, worker: &Worker) -> String {
    let namesakes = scene
        .model
        .workers()
        .filter(|it| it.thread_name == worker.thread_name);
    if worker.thread_name.is_empty() || namesakes.take(2).count() < 2 {
        return worker.label();
    }
    format!("{} {}", worker.thread_name, worker.tid)
}
