//! A task, or all tasks of a place, looked at closely.

use std::time::Duration;

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
};

use super::{Scene, findings, pane};
use crate::{
    model::{Histogram, Site, Task, histogram::Bucket, rows::RowId},
    tui::{action::Pane, hits::Hits, text},
};

/// Findings listed at most.
const FINDINGS_MAX: usize = 20;
const BAR_COLUMNS_MAX: usize = 80;

pub(super) fn draw(
    scene: &Scene<'_>,
    buffer: &mut Buffer,
    area: Rect,
    row: RowId,
    scroll: usize,
    hits: &mut Hits,
) {
    let columns = usize::from(area.width);
    let (title, mut lines) = match row {
        RowId::Task(id) => match scene.model.task(id) {
            Some(task) => ("Task ", task_lines(scene, task)),
            None => ("Task ", vec![gone()]),
        },
        RowId::Site(id) => match scene.model.site(id) {
            Some(site) => ("Spawn location ", site_lines(scene, site)),
            None => ("Spawn location ", vec![gone()]),
        },
    };
    lines.extend(polls(scene, row, columns));
    lines.extend(recent_findings(scene, row, columns));
    let title = Line::from(vec![
        Span::styled(title, scene.theme.heading()),
        Span::raw(text::keep_end(
            &name(scene, row),
            columns.saturating_sub(24),
        )),
    ]);
    let rest = pane::frame(scene, buffer, area, title, "", true);
    pane::scrolled(buffer, rest, lines, scroll, Pane::Detail, hits);
}

fn gone<'a>() -> Line<'a> {
    Line::from(" it has ended; its numbers live on in its spawn location (Esc, then g)")
}

fn name(scene: &Scene<'_>, row: RowId) -> String {
    let name = match row {
        RowId::Task(id) => scene.model.task(id).map(|task| task.name.as_str()),
        RowId::Site(id) => scene.model.site(id).map(|site| site.name.as_str()),
    };
    text::clear_name(name.unwrap_or_default())
}

fn task_lines<'a>(scene: &Scene<'_>, task: &Task) -> Vec<Line<'a>> {
    let age = scene.model.since(task.spawned_unix_ns, scene.at);
    let tokio_id = task
        .tokio_id
        .map_or_else(|| "not known".to_owned(), |id| id.to_string());
    let state = match scene.model.load(task.id) {
        Some(load) => format!(
            "{}, busy {} of the last interval",
            task.state.as_str(),
            text::percent(f64::from(load))
        ),
        None => task.state.as_str().to_owned(),
    };
    let mut lines: Vec<_> = held(scene, task).into_iter().collect();
    lines.extend([
        fact(
            scene,
            "id",
            format!(
                "{tokio_id} (tokio), {} (asyncwatch), {}",
                task.id.shown(),
                task.kind
            ),
        ),
        fact(scene, "state", state),
        fact(
            scene,
            "spawned",
            format!(
                "{} ago at {}",
                text::ago(age),
                place(scene, scene.model.site(task.site))
            ),
        ),
    ]);
    if let Some(parent) = task.parent {
        lines.push(fact(scene, "by task", parent_name(scene, parent)));
    }
    if scene.model.runtimes().count() > 1 {
        lines.push(fact(scene, "runtime", task.runtime.0.to_string()));
    }
    lines.push(Line::default());
    lines.extend(shares(scene, age, task.busy, task.scheduled, task.idle));
    lines
}

/// That it blocks its worker now.
fn held<'a>(scene: &Scene<'_>, task: &Task) -> Option<Line<'a>> {
    let held = scene.model.held_for(task.id, scene.at)?;
    let worker = scene
        .model
        .workers()
        .find(|it| it.current_task == Some(task.id))?;
    let text = format!(
        " ▶ holds {} for {} now ",
        worker.label(),
        text::ticking(held)
    );
    Some(Line::from(vec![
        Span::raw(" "),
        Span::styled(text, scene.theme.alarm()),
    ]))
}

fn site_lines<'a>(scene: &Scene<'_>, site: &Site) -> Vec<Line<'a>> {
    vec![
        fact(scene, "place", place(scene, Some(site))),
        fact(scene, "spawns", site.kind.to_string()),
        fact(
            scene,
            "tasks",
            format!(
                "{} alive, {} spawned",
                text::count(site.alive),
                text::count(site.spawned)
            ),
        ),
        fact(scene, "busy", text::optional(site.busy)),
        fact(scene, "queued", text::optional(site.scheduled)),
    ]
}

fn parent_name(scene: &Scene<'_>, parent: crate::model::TaskId) -> String {
    match scene.model.task(parent) {
        Some(task) => {
            let id = task.number();
            format!("{id} {}", text::clear_name(&task.name))
        }
        None => format!("{} (asyncwatch), which has ended", parent.0),
    }
}

fn place(scene: &Scene<'_>, site: Option<&Site>) -> String {
    site.and_then(|site| site.location.as_ref()).map_or_else(
        || "a place not known".to_owned(),
        |at| format!("{}:{}", text::place(at, scene.root()), at.column),
    )
}

/// How the task's life divides into busy, queued and idle.
fn shares<'a>(
    scene: &Scene<'_>,
    age: Duration,
    busy: Option<Duration>,
    scheduled: Option<Duration>,
    idle: Option<Duration>,
) -> Vec<Line<'a>> {
    let parts = [
        ("busy", busy, scene.theme.good()),
        ("queued", scheduled, scene.theme.warn()),
        ("idle", idle, scene.theme.dim()),
    ];
    let share = |part: Duration| part.as_secs_f64() / age.as_secs_f64().max(1e-9);
    parts
        .into_iter()
        .map(|(name, part, style)| {
            let Some(part) = part else {
                return fact(scene, name, "not measured".to_owned());
            };
            let share = share(part).min(1.0);
            Line::from(vec![
                label(scene, name),
                Span::raw(text::right(&text::duration(part), 8)),
                Span::raw(text::right(&text::percent(share), 6)),
                Span::styled("  ▕", scene.theme.dim()),
                Span::styled(text::bar(share, 30), style),
                Span::styled("▏", scene.theme.dim()),
            ])
        })
        .collect()
}

fn polls<'a>(scene: &Scene<'_>, row: RowId, columns: usize) -> Vec<Line<'a>> {
    let (polls, busy, longest, histogram) = match row {
        RowId::Task(id) => match scene.model.task(id) {
            Some(it) => (it.polls, it.busy, it.longest, it.poll_times.as_ref()),
            None => return Vec::new(),
        },
        RowId::Site(id) => match scene.model.site(id) {
            Some(it) => (it.polls, it.busy, it.longest, it.poll_times.as_ref()),
            None => return Vec::new(),
        },
    };
    let heading = Line::from(vec![
        Span::styled(" Polls ", scene.theme.heading()),
        Span::raw(text::count(polls)),
    ]);
    let mut lines = vec![Line::default(), heading];
    let Some(histogram) = histogram.filter(|it| it.total() > 0) else {
        let why = "  durations are not measured (light timing, or nothing polled yet)";
        lines.push(Line::styled(why, scene.theme.dim()));
        return lines;
    };
    let mean = busy.map(|busy| busy.div_f64(polls.max(1) as f64));
    lines.push(percentiles(scene, histogram, mean, longest, columns));
    lines.push(Line::default());
    lines.extend(histogram_lines(scene, histogram, columns));
    lines
}

fn percentiles<'a>(
    scene: &Scene<'_>,
    histogram: &Histogram,
    mean: Option<Duration>,
    longest: Option<Duration>,
    columns: usize,
) -> Line<'a> {
    let gap = if columns < 90 { " " } else { "   " };
    let at = |share| histogram.percentile(share, longest);
    let numbers = [
        ("mean", mean),
        ("p50", at(0.5)),
        ("p90", at(0.9)),
        ("p99", at(0.99)),
        ("p99.9", at(0.999)),
        ("max", longest),
    ];
    let mut spans = Vec::new();
    for (name, value) in numbers {
        let over = value.is_some_and(|value| scene.model.is_over_limit(value));
        let style = if over {
            scene.theme.bad()
        } else {
            scene.theme.own()
        };
        spans.push(Span::styled(format!("{gap}{name} "), scene.theme.dim()));
        spans.push(Span::styled(text::optional(value), style));
    }
    spans.into()
}

/// One line a bucket, from the first to the last that holds something. Bars are
/// logarithmic: a single slow poll among millions must not vanish.
fn histogram_lines<'a>(scene: &Scene<'_>, histogram: &Histogram, columns: usize) -> Vec<Line<'a>> {
    let buckets: Vec<_> = histogram.buckets().collect();
    let holds = |bucket: &Bucket| bucket.count > 0;
    let first = buckets.iter().position(holds).unwrap_or(0);
    let last = buckets.iter().rposition(holds).unwrap_or(0);
    let most = buckets.iter().map(|bucket| bucket.count).max().unwrap_or(0);
    let room = columns.saturating_sub(42).min(BAR_COLUMNS_MAX);
    buckets[first..=last]
        .iter()
        .map(|bucket| bucket_line(scene, bucket, most, histogram.total(), room))
        .collect()
}

fn bucket_line<'a>(
    scene: &Scene<'_>,
    bucket: &Bucket,
    most: u64,
    total: u64,
    room: usize,
) -> Line<'a> {
    let theme = scene.theme;
    let over = scene.model.is_over_limit(bucket.from);
    let holds_limit = scene
        .model
        .limit()
        .is_some_and(|limit| limit > bucket.from && bucket.to.is_some_and(|to| limit <= to));
    let style = if over { theme.bad() } else { theme.good() };
    let share = (bucket.count as f64 + 1.0).ln() / (most as f64 + 1.0).ln();
    let range = match bucket.to {
        Some(to) => format!(
            "{:>7} – {:<7}",
            text::duration(bucket.from),
            text::duration(to)
        ),
        None => format!("{:>7} or more", text::duration(bucket.from)),
    };
    let note = if holds_limit { " ◀ limit" } else { "" };
    Line::from(vec![
        Span::styled(format!("  {range:<17} "), theme.dim()),
        Span::raw(text::right(&text::count(bucket.count), 7)),
        Span::raw(text::right(
            &text::percent(bucket.count as f64 / total as f64),
            6,
        )),
        Span::raw(" "),
        Span::styled(text::bar(share, room), style),
        Span::styled(note, theme.warn()),
    ])
}

fn recent_findings<'a>(scene: &Scene<'_>, row: RowId, columns: usize) -> Vec<Line<'a>> {
    let ids = scene.app.findings_of(row);
    let mut lines = vec![Line::default()];
    if ids.is_empty() {
        lines.push(Line::styled(" ✓ no findings here", scene.theme.good()));
        return lines;
    }
    lines.push(Line::from(vec![
        Span::styled(" Findings ", scene.theme.heading()),
        Span::styled("Enter: the first", scene.theme.dim()),
    ]));
    let findings = ids
        .into_iter()
        .filter_map(|id| scene.model.findings().get(id));
    for seen in findings.take(FINDINGS_MAX) {
        let it = &seen.finding;
        let text = format!(
            "{:<14}{:>7} {:>7}×  {}  {}",
            it.code.as_str(),
            text::optional(it.wall),
            text::count(it.count),
            findings::place(scene, it),
            findings::what(scene, it),
        );
        let mark = if it.ongoing { " ▶ " } else { " ! " };
        lines.push(Line::from(vec![
            Span::styled(mark, findings::level_style(scene, it.level)),
            Span::raw(text::keep_start(&text, columns.saturating_sub(4))),
        ]));
    }
    lines
}

fn label<'a>(scene: &Scene<'_>, name: &str) -> Span<'a> {
    Span::styled(format!("{name:>8}  "), scene.theme.dim())
}

fn fact<'a>(scene: &Scene<'_>, name: &str, text: String) -> Line<'a> {
    Line::from(vec![label(scene, name), Span::raw(text)])
}
