//! What is seen while there is no program to show: what is waited for, and what
//! would help.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
    widgets::Widget,
};

use super::{Scene, Split, finding};
use crate::{model::Connection, tui::text};

pub(super) fn draw(scene: &Scene<'_>, buffer: &mut Buffer, area: Rect) {
    let columns = usize::from(area.width.saturating_sub(4)).min(90);
    let lines = lines(scene, columns);
    let top = area.height.saturating_sub(lines.len() as u16) / 3;
    let (_, area) = area.split_top(top);
    let margin = area.width.saturating_sub(columns as u16) / 2;
    let (_, area) = area.split_left(margin);
    for (i, line) in lines.into_iter().take(usize::from(area.height)).enumerate() {
        line.render(area.line(i as u16), buffer);
    }
}

fn lines<'a>(scene: &Scene<'_>, columns: usize) -> Vec<Line<'a>> {
    let exited = scene.app.output.as_ref().and_then(|output| output.exited());
    let (headline, hints) = match (scene.app.connection(), exited) {
        (_, Some(how)) => (
            format!("the program {how} before it announced an address"),
            vec!["its output is on tab 4".to_owned()],
        ),
        (Connection::Starting, _) => (
            "waiting for the program to announce its address".to_owned(),
            vec![
                "its output is on tab 4".to_owned(),
                "a program announces itself when it is built with asyncwatch's feature `enabled`; slow polls of others are found from outside".to_owned(),
            ],
        ),
        (Connection::Outside, _) => ("watched from outside, waiting for data".to_owned(), Vec::new()),
        (Connection::Waiting { addr }, _) => (format!("waiting for an app at {addr}"), start_hints()),
        (Connection::Connecting { addr }, _) => (format!("connecting to {addr}"), Vec::new()),
        (Connection::Live { addr }, _) => (format!("connected to {addr}, waiting for data"), Vec::new()),
        (Connection::Lost { addr, trouble, retry_at, .. }, _) => {
            let wait = retry_at.saturating_duration_since(scene.now).as_secs_f64().ceil();
            let mut hints: Vec<String> = trouble.advice().map(str::to_owned).into_iter().collect();
            hints.push(format!("trying again in {wait} s"));
            (format!("{addr}: {trouble}"), hints)
        }
    };
    let mut lines: Vec<_> = finding::wrap(&headline, columns, 0)
        .map(|line| Line::styled(line, scene.theme.heading()))
        .collect();
    lines.push(Line::default());
    for hint in hints {
        lines.extend(finding::wrap(&hint, columns, 2).map(Line::from));
    }
    if let Some(warning) = &scene.app.warning {
        lines.push(Line::default());
        let wrapped = finding::wrap(warning, columns, 0);
        lines.extend(wrapped.map(|line| Line::styled(line, scene.theme.warn())));
    }
    lines.push(Line::default());
    lines.push(keys(scene));
    lines
}

fn start_hints() -> Vec<String> {
    [
        "start one: `#[asyncwatch::main]` on its main function, built with asyncwatch's feature `enabled`",
        "or let this program start it: `asyncwatch run -- cargo run`",
    ]
    .map(str::to_owned)
    .into()
}

fn keys<'a>(scene: &Scene<'_>) -> Line<'a> {
    let accent = scene.theme.accent();
    let known = text::plural(scene.app.found.len() as u64, "app");
    let known = if scene.app.found.is_empty() {
        " the apps found on this machine   ".to_owned()
    } else {
        format!(" {known} found on this machine   ")
    };
    Line::from(vec![
        Span::styled("a", accent),
        Span::raw(known),
        Span::styled("q", accent),
        Span::raw(" quit"),
    ])
}
