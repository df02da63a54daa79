//! The top of the screen: who is watched, how well, how it stands, what blocks
//! right now, and the tabs.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
    widgets::Widget,
};

use super::{Scene, Split, draw_ends, findings, plain};
use crate::{
    model::{Connection, Process, Seen},
    tui::{
        action::{Action, Tab},
        hits::Hits,
        text,
    },
};

/// Alarms shown at most on a screen of this height.
fn alarms_max(area: Rect) -> usize {
    if area.height >= 30 { 3 } else { 1 }
}

/// Lines that the header takes.
pub(super) fn height(scene: &Scene<'_>, area: Rect) -> u16 {
    let alarms = scene
        .model
        .findings()
        .ongoing()
        .take(alarms_max(area))
        .count();
    3 + alarms as u16
}

pub(super) fn draw(scene: &Scene<'_>, buffer: &mut Buffer, area: Rect, hits: &mut Hits) {
    let name = name_line(scene);
    draw_ends(buffer, area.line(0), name, connection_line(scene));
    let coverage = coverage_line(scene, area.width);
    draw_ends(buffer, area.line(1), coverage, drops_line(scene));
    draw_tabs(scene, buffer, area.line(2), hits);
    let lines = usize::from(area.height.saturating_sub(3));
    let ongoing: Vec<_> = scene.model.findings().ongoing().collect();
    for (i, seen) in ongoing.iter().take(lines).enumerate() {
        let more = if i + 1 == lines {
            ongoing.len() - lines
        } else {
            0
        };
        draw_alarm(scene, buffer, area.line(3 + i as u16), seen, more);
    }
}

fn name_line<'a>(scene: &Scene<'a>) -> Line<'a> {
    let theme = scene.theme;
    let mut spans = vec![Span::styled(" asyncwatch ", theme.accent()), plain(" ")];
    let Some(process) = scene.model.process() else {
        if let Some(title) = &scene.app.title {
            spans.push(Span::styled(title.as_str(), theme.heading()));
        }
        return spans.into();
    };
    spans.push(Span::styled(process.name.as_str(), theme.heading()));
    spans.push(Span::styled("  pid ", theme.dim()));
    spans.push(plain(process.pid.to_string()));
    if process.started_unix_ns > 0 {
        let up = scene.model.since(process.started_unix_ns, scene.at);
        spans.push(Span::styled("  up ", theme.dim()));
        spans.push(plain(text::ago(up)));
    }
    spans.push(plain("  "));
    spans.extend(runtime_spans(scene));
    spans.into()
}

fn runtime_spans<'a>(scene: &Scene<'a>) -> Vec<Span<'a>> {
    let mut runtimes = scene.model.runtimes();
    let (Some(first), more) = (runtimes.next(), runtimes.count()) else {
        return Vec::new();
    };
    let mut spans = vec![plain(first.flavor.as_str())];
    if first.workers > 1 {
        spans.push(plain(format!(" ×{}", first.workers)));
    }
    if more > 0 {
        spans.push(Span::styled(format!(" +{more} more"), scene.theme.dim()));
    }
    spans
}

fn connection_line<'a>(scene: &Scene<'a>) -> Line<'a> {
    let theme = scene.theme;
    if let Some(paused) = scene.app.paused_at() {
        let since = scene.now.saturating_duration_since(paused);
        let text = format!(" ⏸ paused {} (p resumes) ", text::ago(since));
        return Span::styled(text, theme.warn().reversed()).into();
    }
    let exited = scene.app.output.as_ref().and_then(|output| output.exited());
    let (mark, words, style) = match (scene.app.connection(), exited) {
        (Connection::Live { .. }, None) => ("●", "live".to_owned(), theme.good()),
        (Connection::Live { addr }, _) => ("●", format!("live {addr}"), theme.good()),
        (_, Some(how)) => ("■", how.to_owned(), theme.bad()),
        (Connection::Outside, None) => ("●", "from outside".to_owned(), theme.good()),
        (Connection::Starting, _) => ("○", "starting".to_owned(), theme.warn()),
        (Connection::Waiting { .. }, _) => ("○", "waiting".to_owned(), theme.warn()),
        (Connection::Connecting { .. }, _) => ("○", "connecting".to_owned(), theme.warn()),
        (
            Connection::Lost {
                trouble, retry_at, ..
            },
            _,
        ) => {
            let wait = retry_at
                .saturating_duration_since(scene.now)
                .as_secs_f64()
                .ceil();
            let words = format!("{trouble}; again in {wait} s");
            ("✗", text::keep_start(&words, 40), theme.bad())
        }
    };
    Span::styled(format!(" {mark} {words} "), style).into()
}

fn coverage_line<'a>(scene: &Scene<'a>, columns: u16) -> Line<'a> {
    let Some(process) = scene.model.process() else {
        return Line::default();
    };
    let theme = scene.theme;
    let mut spans = vec![Span::styled(" watched ", theme.dim())];
    // Gaps come first: what is cut off at the right must not be a gap.
    let (seen, gaps): (Vec<_>, Vec<_>) = process.coverage.iter().partition(|it| it.covered);
    for aspect in gaps.into_iter().chain(seen) {
        let (mark, style) = if aspect.covered {
            ("✓", theme.good())
        } else {
            ("✗", theme.warn())
        };
        spans.push(Span::styled(mark, style));
        spans.push(plain(format!("{} ", aspect.aspect)));
    }
    let timing = timing(process);
    let used: usize = spans.iter().map(Span::width).sum();
    if used + text::width(&timing) + 12 <= usize::from(columns) {
        spans.push(Span::styled(timing, theme.dim()));
    }
    spans.into()
}

fn timing(process: &Process) -> String {
    let limit = process.max_poll.map_or_else(String::new, |limit| {
        format!(" limit {}", text::duration(limit))
    });
    let timing = match process.timing.as_str() {
        "" => String::new(),
        timing => format!(", {timing} timing"),
    };
    let paused = if process.paused {
        ", not looking (x)"
    } else {
        ""
    };
    format!("{limit}{timing}{paused}")
}

fn drops_line<'a>(scene: &Scene<'a>) -> Line<'a> {
    let model = scene.model;
    let dropped = model.drops().iter().fold(model.overflowed(), |sum, drop| {
        sum.saturating_add(drop.count)
    });
    let mut spans = Vec::new();
    if model.unreadable() > 0 {
        let text = format!("{} of a newer kind  ", text::count(model.unreadable()));
        spans.push(Span::styled(text, scene.theme.warn()));
    }
    if dropped > 0 {
        let text = format!(" ⚠ {} dropped ", text::count(dropped));
        spans.push(Span::styled(text, scene.theme.warn()));
    } else if model.process().is_some() {
        spans.push(Span::styled("0 dropped ", scene.theme.dim()));
    }
    spans.into()
}

fn draw_tabs(scene: &Scene<'_>, buffer: &mut Buffer, area: Rect, hits: &mut Hits) {
    let mut rest = area;
    for (key, tab, name, count) in tabs(scene) {
        let chosen = tab == scene.app.tab;
        let line = tab_line(scene, key, name, &count, chosen);
        let (area, after) = rest.split_left(line.width() as u16 + 1);
        line.render(area, buffer);
        hits.spot(area, Action::Show(tab));
        rest = after;
    }
    draw_busy(scene, buffer, rest);
}

fn tab_line<'a>(
    scene: &Scene<'_>,
    key: &'a str,
    name: &'a str,
    count: &str,
    chosen: bool,
) -> Line<'a> {
    let theme = scene.theme;
    if chosen {
        let text = format!(" {key} {name} {count} ");
        return Span::styled(text, theme.accent().reversed()).into();
    }
    Line::from(vec![
        Span::styled(format!(" {key} "), theme.accent()),
        plain(name),
        Span::styled(format!(" {count} "), theme.dim()),
    ])
}

fn tabs(scene: &Scene<'_>) -> Vec<(&'static str, Tab, &'static str, String)> {
    let model = scene.model;
    let number = |n: usize| text::count(n as u64);
    let mut tabs = vec![
        ("1", Tab::Tasks, "Tasks", number(model.task_count())),
        (
            "2",
            Tab::Findings,
            "Findings",
            number(model.findings().len()),
        ),
        (
            "3",
            Tab::Workers,
            "Workers",
            number(model.workers().count()),
        ),
    ];
    if let Some(output) = &scene.app.output {
        tabs.push(("4", Tab::Output, "Output", number(output.len())));
    }
    tabs
}

/// How busy the workers are, all together.
fn draw_busy(scene: &Scene<'_>, buffer: &mut Buffer, area: Rect) {
    let shares: Vec<f64> = scene
        .model
        .workers()
        .filter_map(|it| it.busy_share)
        .collect();
    if shares.is_empty() || area.width < 24 {
        return;
    }
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    let columns = if area.width > 80 { 20 } else { 10 };
    let line = Line::from(vec![
        Span::styled("busy ▕", scene.theme.dim()),
        Span::styled(text::bar(mean, columns), scene.theme.good()),
        Span::styled("▏", scene.theme.dim()),
        plain(format!("{:>4} ", text::percent(mean))),
    ]);
    draw_ends(buffer, area, Line::default(), line);
}

/// What blocks right now, in one line: for how long, where, in what, and what it
/// costs.
fn draw_alarm(scene: &Scene<'_>, buffer: &mut Buffer, area: Rect, seen: &Seen, more: usize) {
    let style = scene.theme.alarm();
    let finding = &seen.finding;
    let elapsed = scene
        .model
        .ongoing_for(finding, scene.at)
        .unwrap_or_default();
    // Without a connection nobody knows what it does by now.
    let live = scene.app.connection().is_live();
    let fact = match (findings::holds_thread(finding), live) {
        (true, true) => "BLOCKING NOW",
        (true, false) => "WAS BLOCKING",
        (false, true) => "GOES ON",
        (false, false) => "WENT ON",
    };
    let mut left = format!(" ▶ {fact} {:<7} ", text::ticking(elapsed));
    let mut right = String::new();
    if let Some(waiting) = finding.queued_behind.filter(|n| *n > 0) {
        right = format!(" {} waiting ", text::count(waiting));
    }
    if more > 0 {
        right += &format!(" +{more} more ");
    }
    let columns = usize::from(area.width).saturating_sub(text::width(&right) + text::width(&left));
    let place = text::keep_end(&findings::place(scene, finding), columns * 3 / 5);
    left += &place;
    let rest = columns.saturating_sub(text::width(&place) + 2);
    if rest > 8 {
        left += "  ";
        left += &text::keep_start(&findings::what(scene, finding), rest);
    }
    buffer.set_style(area, style);
    let line = |text: String| Line::from(Span::styled(text, style));
    draw_ends(buffer, area, line(left), line(right));
}
