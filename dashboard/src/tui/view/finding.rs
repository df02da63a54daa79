//! One finding, with everything that is known about it.

use std::time::Duration;

use asyncwatch_findings::{Finding, Frame, Stack};
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
};

use super::{Scene, findings, pane};
use crate::{
    model::Seen,
    tui::{action::Pane, hits::Hits, text},
};

/// Where labels end and facts begin.
const LABEL: usize = 10;

pub(super) fn draw(
    scene: &Scene<'_>,
    buffer: &mut Buffer,
    area: Rect,
    id: u64,
    scroll: usize,
    hits: &mut Hits,
) {
    let Some(seen) = scene.model.findings().get(id) else {
        let title = Line::from("Finding");
        let rest = pane::frame(scene, buffer, area, title, "", true);
        let gone = Line::from(" this finding is gone; Esc goes back");
        pane::scrolled(buffer, rest, vec![gone], 0, Pane::Detail, hits);
        return;
    };
    let title = Line::from(vec![
        Span::styled("Finding ", scene.theme.heading()),
        Span::styled(seen.finding.fingerprint.as_str(), scene.theme.dim()),
    ]);
    let columns = usize::from(area.width);
    let lines = lines(scene, seen, columns);
    let height = usize::from(area.height.saturating_sub(1));
    let last = (scroll + height).min(lines.len());
    let note = pane::position(&(scroll.min(last)..last), lines.len());
    let rest = pane::frame(scene, buffer, area, title, &note, true);
    pane::scrolled(buffer, rest, lines, scroll, Pane::Detail, hits);
}

/// The finding, line by line, the most useful first.
pub(super) fn lines<'a>(scene: &Scene<'_>, seen: &Seen, columns: usize) -> Vec<Line<'a>> {
    let finding = &seen.finding;
    let mut lines = vec![headline(scene, finding)];
    lines.extend(
        wrap(&finding.message, columns, 1).map(|line| Line::styled(line, scene.theme.heading())),
    );
    lines.push(Line::default());
    lines.extend(source(scene, finding, columns));
    lines.extend(times(scene, finding, columns));
    lines.extend(facts(scene, finding, columns));
    lines.extend(advice(scene, finding, columns));
    lines.extend(stacks(scene, finding, columns));
    lines
}

fn headline<'a>(scene: &Scene<'_>, finding: &Finding) -> Line<'a> {
    let theme = scene.theme;
    let style = findings::level_style(scene, finding.level);
    let mut spans = vec![
        Span::styled(format!(" {}", finding.code), style.patch(theme.heading())),
        Span::styled(format!(" {}", finding.level), style),
        Span::raw(format!("  {}×", text::count(finding.count))),
    ];
    if let Some(elapsed) = scene.model.ongoing_for(finding, scene.at) {
        let does = match findings::holds_thread(finding) {
            true => "BLOCKING NOW",
            false => "GOES ON",
        };
        let text = format!(" ▶ {does} for {} ", text::ticking(elapsed));
        spans.push(Span::raw("  "));
        spans.push(Span::styled(text, theme.alarm()));
    }
    spans.into()
}

/// The place, and the lines around it where the file can be read.
fn source<'a>(scene: &Scene<'_>, finding: &Finding, columns: usize) -> Vec<Line<'a>> {
    let Some(culprit) = &finding.culprit else {
        return Vec::new();
    };
    let theme = scene.theme;
    let place = text::frame_place(culprit, scene.root());
    let function = text::clear_name(&culprit.function);
    let room = columns.saturating_sub(text::width(&place) + 9);
    let mut lines = vec![Line::from(vec![
        Span::styled(" --> ", theme.accent()),
        Span::styled(place, theme.accent()),
        Span::styled(" in ", theme.dim()),
        Span::raw(text::keep_end(&function, room)),
    ])];
    lines.extend(excerpt(scene, culprit, columns));
    lines.push(Line::default());
    lines
}

fn excerpt<'a>(scene: &Scene<'_>, culprit: &Frame, columns: usize) -> Vec<Line<'a>> {
    let theme = scene.theme;
    let excerpt = culprit.file.as_deref().zip(culprit.line);
    let Some(excerpt) = excerpt.and_then(|(file, line)| scene.app.sources.get(file, line)) else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    for (number, source) in (excerpt.first..).zip(&excerpt.lines) {
        let marked = Some(number) == culprit.line;
        let (mark, style) = if marked {
            ("▶", theme.bad())
        } else {
            (" ", theme.dim())
        };
        let source = text::keep_start(source, columns.saturating_sub(10));
        lines.push(Line::from(vec![
            Span::styled(format!(" {mark}{number:>5} │ "), style),
            Span::styled(source, if marked { theme.own() } else { theme.dim() }),
        ]));
    }
    let started = scene
        .model
        .process()
        .map_or(0, |process| process.started_unix_ns);
    if started > 0 && excerpt.changed_unix_ns > started {
        let text = "         the file was changed since the program started";
        lines.push(Line::styled(text, theme.warn()));
    }
    lines
}

/// Where the time went: a bar of the parts, and their numbers.
fn times<'a>(scene: &Scene<'_>, finding: &Finding, columns: usize) -> Vec<Line<'a>> {
    let Some(wall) = finding.wall else {
        return Vec::new();
    };
    let theme = scene.theme;
    let limit = finding.limit.map_or_else(String::new, |limit| {
        format!(" (limit {})", text::duration(limit))
    });
    let mut worst = vec![
        label(scene, "worst"),
        Span::styled(text::duration(wall), theme.heading()),
    ];
    worst.push(Span::raw(limit));
    if let Some(why) = findings::why(finding) {
        worst.push(Span::styled("  ", theme.dim()));
        worst.push(Span::raw(why));
    }
    let mut lines = vec![Line::from(worst)];
    let parts = [
        ("blocked", finding.blocked, '█', theme.bad()),
        ("on CPU", finding.cpu, '▓', theme.warn()),
        ("waiting for a CPU", finding.run_delay, '░', theme.dim()),
    ];
    if parts.iter().all(|(_, part, ..)| part.is_none()) || wall.is_zero() {
        return lines;
    }
    let room = columns.saturating_sub(LABEL + 4).min(60);
    let mut bar = vec![label(scene, ""), Span::styled("▕", theme.dim())];
    let mut legend = vec![label(scene, "")];
    let mut used = 0;
    for (name, part, mark, style) in parts {
        let Some(part) = part else { continue };
        let cells = cells(part, wall, room).min(room - used);
        used += cells;
        bar.push(Span::styled(String::from_iter(vec![mark; cells]), style));
        legend.push(Span::styled(format!("{mark} "), style));
        legend.push(Span::raw(format!("{name} {}  ", text::duration(part))));
    }
    bar.push(Span::styled(
        format!("{}▏", " ".repeat(room - used)),
        theme.dim(),
    ));
    lines.push(bar.into());
    lines.push(legend.into());
    lines
}

fn cells(part: Duration, whole: Duration, columns: usize) -> usize {
    (part.as_secs_f64() / whole.as_secs_f64() * columns as f64).round() as usize
}

fn facts<'a>(scene: &Scene<'_>, finding: &Finding, columns: usize) -> Vec<Line<'a>> {
    let model = scene.model;
    let room = columns.saturating_sub(LABEL + 2);
    let mut lines = Vec::new();
    if let Some(frame) = &finding.blocking_frame {
        let calls = text::clear_name(&frame.function);
        lines.push(fact(scene, "calls", calls, room));
    }
    if finding.wall.is_none()
        && let Some(label) = &finding.label
    {
        lines.push(fact(scene, "here", label.clone(), room));
    }
    let on: Vec<String> = finding
        .worker
        .clone()
        .into_iter()
        .chain(behind(finding))
        .collect();
    if !on.is_empty() {
        lines.push(fact(scene, "on", on.join("; "), room));
    }
    if let Some(task) = &finding.task {
        let name = if task.name.is_empty() {
            String::new()
        } else {
            format!(" `{}`", text::clear_name(&task.name))
        };
        // From outside no number is to be had.
        let id = match task.id {
            0 => String::new(),
            id => format!(" {id}"),
        };
        lines.push(fact(
            scene,
            "task",
            format!("{}{id}{name}", task.kind),
            room,
        ));
        if let Some(at) = &task.spawned_at {
            let place = format!("{}:{}", text::place(at, scene.root()), at.column);
            lines.push(fact(scene, "spawned", format!("at {place}"), room));
        }
    }
    let first = text::ago(model.since(finding.first_unix_ns, scene.at));
    let last = text::ago(model.since(finding.last_unix_ns, scene.at));
    let times = text::count(finding.count);
    let seen = match (finding.count, finding.ongoing) {
        (_, true) => format!("{times}×, the first {first} ago; it has not ended"),
        (1, false) => format!("once, {last} ago"),
        (_, false) => format!("{times}×, the first {first} ago, the last {last} ago"),
    };
    lines.push(fact(
        scene,
        "seen",
        seen.replace("now ago", "just now"),
        room,
    ));
    lines
}

/// Who waited behind it, and for how long.
fn behind(finding: &Finding) -> Option<String> {
    let tasks = finding.queued_behind.filter(|tasks| *tasks > 0)?;
    let tasks = text::plural(tasks, "task");
    let waited = finding.waited_behind.filter(|waited| !waited.is_zero());
    let waited = waited.map_or_else(String::new, |waited| {
        format!(", {} altogether", text::duration(waited))
    });
    Some(format!("{tasks} waited behind it{waited}"))
}

fn advice<'a>(scene: &Scene<'_>, finding: &Finding, columns: usize) -> Vec<Line<'a>> {
    let room = columns.saturating_sub(LABEL + 1);
    let mut lines = Vec::new();
    let mut add = |name: &str, text: &str, style| {
        for (i, line) in wrap(text, room, 0).enumerate() {
            let name = label(scene, if i == 0 { name } else { "" });
            lines.push(Line::from(vec![name, Span::styled(line, style)]));
        }
    };
    if let Some(help) = &finding.help {
        add("help", help, scene.theme.good());
    }
    for note in &finding.notes {
        add("note", note, ratatui::style::Style::new());
    }
    lines
}

fn stacks<'a>(scene: &Scene<'_>, finding: &Finding, columns: usize) -> Vec<Line<'a>> {
    let total: Duration = finding.stacks.iter().map(|stack| stack.weight).sum();
    let mut lines = Vec::new();
    for (i, stack) in finding.stacks.iter().enumerate() {
        lines.push(Line::default());
        lines.push(stack_title(scene, finding, i, stack, total));
        for frame in &stack.frames {
            lines.push(frame_line(scene, finding, frame, columns));
        }
    }
    lines
}

fn stack_title<'a>(
    scene: &Scene<'_>,
    finding: &Finding,
    index: usize,
    stack: &Stack,
    total: Duration,
) -> Line<'a> {
    let number = match finding.stacks.len() {
        1 => " Stack".to_owned(),
        n => format!(" Stack {} of {n}", index + 1),
    };
    let mut spans = vec![Span::styled(number, scene.theme.heading())];
    if !total.is_zero() {
        let share = stack.weight.as_secs_f64() / total.as_secs_f64();
        spans.push(Span::raw(format!(
            "  {} {:>4} ",
            text::duration(stack.weight),
            text::percent(share)
        )));
        spans.push(Span::styled(
            text::bar(share, 20).trim_end().to_owned(),
            scene.theme.warn(),
        ));
    }
    spans.push(Span::styled("  innermost first", scene.theme.dim()));
    spans.into()
}

/// The user's own frames are bold, the culprit is marked.
fn frame_line<'a>(scene: &Scene<'_>, finding: &Finding, frame: &Frame, columns: usize) -> Line<'a> {
    let theme = scene.theme;
    let culprit = finding.culprit.as_ref() == Some(frame);
    let (mark, style) = match (culprit, frame.user) {
        (true, _) => ("▶", theme.bad()),
        (false, true) => ("•", theme.own()),
        (false, false) => (" ", theme.dim()),
    };
    let name = match frame.function.as_str() {
        "" => "(no symbol)",
        name => name,
    };
    let place = text::frame_place(frame, scene.root());
    let for_name = columns.saturating_sub(4) * 11 / 20;
    let for_place = columns.saturating_sub(for_name + 4);
    Line::from(vec![
        Span::styled(format!(" {mark} "), style),
        Span::styled(text::task_name(name, for_name), style),
        Span::raw(" "),
        Span::styled(
            text::keep_end(&place, for_place),
            if frame.user { style } else { theme.dim() },
        ),
    ])
}

fn label<'a>(scene: &Scene<'_>, name: &str) -> Span<'a> {
    Span::styled(format!("{name:>8}  "), scene.theme.dim())
}

fn fact<'a>(scene: &Scene<'_>, name: &str, text: String, room: usize) -> Line<'a> {
    let text = text::keep_start(&text, room);
    Line::from(vec![label(scene, name), Span::raw(text)])
}

/// Breaks a text between words; every line starts with `indent` spaces.
pub(super) fn wrap(text: &str, columns: usize, indent: usize) -> impl Iterator<Item = String> {
    let room = columns.saturating_sub(indent).max(8);
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word = text::keep_start(word, room);
        match lines.last_mut() {
            Some(line) if text::width(line) + 1 + text::width(&word) <= room => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
        .into_iter()
        .map(move |line| " ".repeat(indent) + &line)
}
