//! The task table: which columns fit, and the visible rows.

use std::collections::HashMap;

use asyncwatch_findings::Finding;
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::Widget,
};

use super::{Scene, Split, pane};
use crate::{
    model::{
        Connection, Site, Task, TaskState,
        rows::{Column, RowId, p99},
    },
    tui::{
        action::{Action, Pane, Tab},
        hits::Hits,
        text,
    },
};

/// Columns that names and places share when everything else is placed.
const FLEXIBLE_MIN: usize = 40;

/// A column with the width it got.
type Placed = (Column, usize);

pub(super) fn draw(scene: &Scene<'_>, buffer: &mut Buffer, area: Rect, hits: &mut Hits) {
    let app = scene.app;
    let rows = &app.task_rows;
    let height = usize::from(area.height.saturating_sub(2));
    let window = app.tasks.window(rows.len(), height);
    let focused = app.pane() == Pane::Tasks;
    let note = pane::position(&window, rows.len());
    let rest = pane::frame(scene, buffer, area, title(scene), &note, focused);
    let (head, body) = rest.split_top(1);
    let columns = place(scene, usize::from(area.width));
    draw_head(scene, buffer, head, &columns, hits);
    let accused = scene.model.accused();
    for (line, index) in window.clone().enumerate() {
        let area = body.line(line as u16);
        let selected = index == app.tasks.index();
        let row = row_line(scene, rows[index], &columns, selected, &accused);
        row.render(area, buffer);
        if selected && focused {
            buffer.set_style(area, scene.theme.selected());
        }
    }
    if rows.is_empty() {
        Line::styled(nothing(scene), scene.theme.dim()).render(body.line(0), buffer);
    }
    hits.pane(Pane::Tasks, body, window);
}

fn title<'a>(scene: &Scene<'a>) -> Line<'a> {
    let (app, theme) = (scene.app, scene.theme);
    let mut spans = vec![Span::styled(
        if app.query.grouped {
            "Spawn locations"
        } else {
            "Tasks"
        },
        theme.heading(),
    )];
    let all = if app.query.grouped {
        scene.model.sites().count()
    } else {
        scene.model.task_count()
    };
    let shown = app.task_rows.len();
    if shown == all {
        spans.push(format!(" {}", text::count(all as u64)).into());
    } else {
        let text = format!(
            " {} of {}",
            text::count(shown as u64),
            text::count(all as u64)
        );
        spans.push(text.into());
    }
    if let Some(site) = app.query.site.and_then(|id| scene.model.site(id)) {
        let place = site
            .location
            .as_ref()
            .map_or_else(|| "?".to_owned(), |at| text::place(at, scene.root()));
        spans.push(Span::styled(
            format!(" spawned at {place} (Esc: all)"),
            theme.warn(),
        ));
    }
    if !app.query.filter.is_empty() {
        spans.push(Span::styled(
            format!(" /{}", app.query.filter),
            theme.warn(),
        ));
    }
    spans.into()
}

fn nothing(scene: &Scene<'_>) -> &'static str {
    if *scene.app.connection() == Connection::Outside {
        "  from outside only slow polls are seen; tasks need asyncwatch's feature in the program"
    } else if scene.app.query.filter.is_empty() && scene.app.query.site.is_none() {
        "  no tasks alive; `g` shows the places that spawned some"
    } else {
        "  no task matches; Esc clears the filter"
    }
}

/// Which columns are shown, the most useful first. The sort column always is.
fn by_use(grouped: bool) -> &'static [Column] {
    if grouped {
        &[
            Column::Place,
            Column::Name,
            Column::Longest,
            Column::Alive,
            Column::Busy,
            Column::Polls,
            Column::P99,
            Column::Spawned,
            Column::Scheduled,
            Column::Kind,
        ]
    } else {
        &[
            Column::Name,
            Column::Place,
            Column::Longest,
            Column::Busy,
            Column::Polls,
            Column::State,
            Column::Load,
            Column::P99,
            Column::Id,
            Column::Scheduled,
            Column::Age,
            Column::Idle,
            Column::Kind,
        ]
    }
}

/// Columns and widths that fit, left to right. Names and places share what the
/// others leave.
fn place(scene: &Scene<'_>, width: usize) -> Vec<Placed> {
    let query = &scene.app.query;
    let mut chosen = vec![query.sort];
    let room = width.saturating_sub(2 + FLEXIBLE_MIN);
    let mut used = cost(query.sort);
    for &column in by_use(query.grouped) {
        if column != query.sort && used + cost(column) <= room {
            used += cost(column);
            chosen.push(column);
        }
    }
    let left = width.saturating_sub(2 + used + 2);
    let for_place = (left * 2 / 5).clamp(FLEXIBLE_MIN * 2 / 5, 60);
    let all = query.columns().iter();
    all.filter(|column| chosen.contains(column))
        .map(|&column| match column {
            Column::Place => (column, for_place),
            Column::Name => (column, left - for_place.min(left)),
            _ => (column, fixed_width(column)),
        })
        .collect()
}

fn cost(column: Column) -> usize {
    match fixed_width(column) {
        0 => 0,
        width => width + 1,
    }
}

fn fixed_width(column: Column) -> usize {
    match column {
        Column::Name | Column::Place => 0,
        Column::Load => 11,
        Column::Kind => 8,
        Column::Longest | Column::Scheduled => 8,
        _ => 7,
    }
}

fn name(column: Column) -> &'static str {
    match column {
        Column::Id => "id",
        Column::Name => "name",
        Column::Kind => "kind",
        Column::State => "state",
        Column::Load => "now",
        Column::Busy => "busy",
        Column::Scheduled => "queued",
        Column::Idle => "idle",
        Column::Polls => "polls",
        Column::P99 => "p99",
        Column::Longest => "longest",
        Column::Age => "age",
        Column::Alive => "alive",
        Column::Spawned => "spawned",
        Column::Place => "spawned at",
    }
}

fn is_text(column: Column) -> bool {
    matches!(
        column,
        Column::Name | Column::Kind | Column::State | Column::Place | Column::Load
    )
}

fn draw_head(
    scene: &Scene<'_>,
    buffer: &mut Buffer,
    area: Rect,
    columns: &[Placed],
    hits: &mut Hits,
) {
    let (_, mut rest) = area.split_left(2);
    for &(column, width) in columns {
        let (cell, after) = rest.split_left(width as u16 + 1);
        let query = &scene.app.query;
        let (mark, style) = match (query.sort == column, query.descending) {
            (true, true) => ("▼", scene.theme.accent()),
            (true, false) => ("▲", scene.theme.accent()),
            (false, _) => ("", scene.theme.dim()),
        };
        let title = format!("{}{mark}", name(column));
        let title = if is_text(column) {
            text::left(&title, width)
        } else {
            text::right(&title, width)
        };
        Line::styled(title, style).render(cell, buffer);
        hits.spot(cell, Action::SortBy(column));
        rest = after;
    }
}

fn row_line<'a>(
    scene: &Scene<'_>,
    row: RowId,
    columns: &[Placed],
    selected: bool,
    accused: &HashMap<u64, &Finding>,
) -> Line<'a> {
    let mut spans = Vec::with_capacity(columns.len() * 2 + 1);
    let cursor = if selected { "›" } else { " " };
    match row {
        RowId::Task(id) => {
            let Some(task) = scene.model.task(id) else {
                return Line::default();
            };
            let finding = accused.get(&task.number()).copied();
            let mark = if finding.is_some() { "!" } else { " " };
            spans.push(Span::styled(format!("{cursor}{mark}"), scene.theme.bad()));
            for &(column, width) in columns {
                spans.push(task_cell(scene, task, finding, column, width));
                spans.push(Span::raw(" "));
            }
        }
        RowId::Site(id) => {
            let Some(site) = scene.model.site(id) else {
                return Line::default();
            };
            let guilty = scene.model.findings_at(site).next().is_some();
            let mark = if guilty { "!" } else { " " };
            spans.push(Span::styled(format!("{cursor}{mark}"), scene.theme.bad()));
            for &(column, width) in columns {
                spans.push(site_cell(scene, site, column, width));
                spans.push(Span::raw(" "));
            }
        }
    }
    spans.into()
}

fn task_cell<'a>(
    scene: &Scene<'_>,
    task: &Task,
    finding: Option<&Finding>,
    column: Column,
    width: usize,
) -> Span<'a> {
    let theme = scene.theme;
    let number = |text: String| Span::raw(text::right(&text, width));
    match column {
        Column::Id => match task.tokio_id {
            Some(id) => number(id.to_string()),
            None => number(format!("#{}", task.id.shown())),
        },
        Column::Name => name_cell(scene, &task.name, finding, width),
        Column::Kind => Span::styled(text::left(task.kind.as_str(), width), theme.dim()),
        Column::State => state_cell(scene, task.state, width),
        Column::Load => load_cell(scene, scene.model.load(task.id), width),
        Column::Busy => number(text::optional(task.busy)),
        Column::Scheduled => number(text::optional(task.scheduled)),
        Column::Idle => number(text::optional(task.idle)),
        Column::Polls => number(text::count(task.polls)),
        Column::P99 => poll_cell(scene, p99(task.poll_times.as_ref(), task.longest), width),
        Column::Longest => match scene.model.held_for(task.id, scene.at) {
            Some(held) => {
                let text = format!("▶{}", text::ticking(held));
                Span::styled(text::right(&text, width), theme.alarm())
            }
            None => poll_cell(scene, task.longest, width),
        },
        Column::Age => number(text::ago(scene.model.since(task.spawned_unix_ns, scene.at))),
        Column::Place => place_cell(scene, scene.model.site(task.site), width),
        Column::Alive | Column::Spawned => number(String::new()),
    }
}

fn site_cell<'a>(scene: &Scene<'_>, site: &Site, column: Column, width: usize) -> Span<'a> {
    let number = |text: String| Span::raw(text::right(&text, width));
    match column {
        Column::Name => name_cell(scene, &site.name, None, width),
        Column::Kind => Span::styled(text::left(site.kind.as_str(), width), scene.theme.dim()),
        Column::Busy => number(text::optional(site.busy)),
        Column::Scheduled => number(text::optional(site.scheduled)),
        Column::Polls => number(text::count(site.polls)),
        Column::P99 => poll_cell(scene, p99(site.poll_times.as_ref(), site.longest), width),
        Column::Longest => poll_cell(scene, site.longest, width),
        Column::Alive => number(text::count(site.alive)),
        Column::Spawned => number(text::count(site.spawned)),
        Column::Place => place_cell(scene, Some(site), width),
        Column::Id | Column::State | Column::Load | Column::Idle | Column::Age => {
            number(String::new())
        }
    }
}

/// A task without a name is known by what it was caught at, if it was.
fn name_cell<'a>(
    scene: &Scene<'_>,
    name: &str,
    finding: Option<&Finding>,
    width: usize,
) -> Span<'a> {
    if !name.is_empty() {
        return Span::raw(text::task_name(name, width));
    }
    let culprit = finding.and_then(|it| it.culprit.as_ref());
    let text = match culprit {
        Some(culprit) => format!("(in {})", text::short_function(&culprit.function)),
        None => "(unnamed)".to_owned(),
    };
    Span::styled(text::left(&text, width), scene.theme.dim())
}

fn state_cell<'a>(scene: &Scene<'_>, state: TaskState, width: usize) -> Span<'a> {
    let (mark, style) = match state {
        TaskState::Unknown => (" ", Style::new()),
        TaskState::Idle => ("·", scene.theme.dim()),
        TaskState::Scheduled => ("◆", scene.theme.warn()),
        TaskState::Running => ("▶", scene.theme.good()),
    };
    let word = match state {
        TaskState::Running => "run",
        state => state.as_str(),
    };
    Span::styled(text::left(&format!("{mark} {word}"), width), style)
}

/// A bar and a percentage.
fn load_cell<'a>(scene: &Scene<'_>, load: Option<f32>, width: usize) -> Span<'a> {
    let Some(load) = load.map(f64::from) else {
        return Span::styled(text::right("·", width), scene.theme.dim());
    };
    let bar = text::bar(load, width.saturating_sub(6));
    let style = match load {
        _ if load >= 0.5 => scene.theme.warn(),
        _ if load >= 0.0005 => scene.theme.good(),
        _ => scene.theme.dim(),
    };
    let percent = text::percent(load);
    Span::styled(format!("{bar} {percent:>5}"), style)
}

/// A poll's duration, loud where it is over the limit.
fn poll_cell<'a>(scene: &Scene<'_>, poll: Option<std::time::Duration>, width: usize) -> Span<'a> {
    let over = poll.is_some_and(|poll| scene.model.is_over_limit(poll));
    let style = if over {
        scene.theme.bad()
    } else {
        Style::new()
    };
    let mark = if over { "▲" } else { "" };
    Span::styled(
        text::right(&format!("{mark}{}", text::optional(poll)), width),
        style,
    )
}

fn place_cell<'a>(scene: &Scene<'_>, site: Option<&Site>, width: usize) -> Span<'a> {
    let place = site
        .and_then(|site| site.location.as_ref())
        .map_or_else(|| "·".to_owned(), |at| text::place(at, scene.root()));
    let style = if scene.app.query.grouped || scene.app.tab != Tab::Tasks {
        Style::new()
    } else {
        scene.theme.dim()
    };
    Span::styled(text::path(&place, width), style)
}
