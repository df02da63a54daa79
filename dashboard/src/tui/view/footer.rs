//! The bottom line: the keys that do something here, or the filter being typed.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
    widgets::Widget,
};

use super::{Scene, Split};
use crate::tui::{
    action::{Action, Pane},
    hits::Hits,
    text,
};

type Key = (&'static str, &'static str, Action);

const QUIT: Key = ("q", "quit", Action::Quit);
const HELP: Key = ("?", "help", Action::Help);
const BACK: Key = ("Esc", "back", Action::Back);
const OPEN: Key = ("↵", "detail", Action::Open);
const FILTER: Key = ("/", "filter", Action::Filter);
const SORT: Key = ("s", "sort", Action::NextColumn);
const REVERSE: Key = ("r", "reverse", Action::Reverse);
const GROUP: Key = ("g", "group", Action::Group);
const PANE: Key = ("Tab", "findings", Action::NextPane);
const TASKS: Key = ("Tab", "tasks", Action::NextPane);
const NEXT: Key = ("Tab", "next tab", Action::NextTab);
const PAUSE: Key = ("p", "pause", Action::Pause);
const APPS: Key = ("a", "apps", Action::Apps);
const OWN: Key = ("t", "its tasks", Action::OwnTasks);
const FINDING: Key = ("↵", "its finding", Action::Open);
const CONNECT: Key = ("↵", "connect", Action::Open);

pub(super) fn draw(scene: &Scene<'_>, buffer: &mut Buffer, area: Rect, hits: &mut Hits) {
    if scene.app.typing {
        draw_filter(scene, buffer, area);
        return;
    }
    let mut rest = area;
    for (key, name, action) in keys(scene) {
        let line = Line::from(vec![
            Span::styled(format!(" {key}"), scene.theme.accent()),
            Span::raw(format!(" {name} ")),
        ]);
        let width = line.width() as u16;
        if width > rest.width {
            return;
        }
        let (cell, after) = rest.split_left(width);
        line.render(cell, buffer);
        hits.spot(cell, action);
        rest = after;
    }
}

/// The keys that matter most where the user is.
fn keys(scene: &Scene<'_>) -> Vec<Key> {
    let app = scene.app;
    let nothing_known = scene.model.process().is_none();
    match app.pane() {
        Pane::Tasks | Pane::Findings | Pane::Workers if nothing_known => {
            vec![QUIT, HELP, APPS, NEXT]
        }
        Pane::Help => vec![BACK, QUIT],
        Pane::Apps => vec![CONNECT, BACK, QUIT],
        Pane::Detail => {
            let mut keys = vec![BACK];
            if let Some(super::Subject::Row(row)) = app.details.last().map(|it| it.subject) {
                if !app.findings_of(row).is_empty() {
                    keys.push(FINDING);
                }
                keys.push(OWN);
            }
            keys.extend([PAUSE, HELP, QUIT]);
            keys
        }
        Pane::Tasks => vec![
            QUIT, HELP, OPEN, FILTER, SORT, REVERSE, GROUP, PANE, PAUSE, APPS,
        ],
        Pane::Findings => {
            let other = if app.on_findings && app.tab == super::Tab::Tasks {
                TASKS
            } else {
                NEXT
            };
            vec![QUIT, HELP, OPEN, FILTER, other, PAUSE, APPS]
        }
        Pane::Workers => vec![QUIT, HELP, OPEN, NEXT, PAUSE, APPS],
        Pane::Output => vec![QUIT, HELP, NEXT, APPS],
    }
}

fn draw_filter(scene: &Scene<'_>, buffer: &mut Buffer, area: Rect) {
    let filter = text::keep_end(
        scene.app.filter(),
        usize::from(area.width).saturating_sub(40),
    );
    Line::from(vec![
        Span::styled(" / ", scene.theme.accent()),
        Span::styled(filter, scene.theme.heading()),
        Span::styled("█", scene.theme.accent()),
        Span::styled("   Enter keep  Esc clear  !word not", scene.theme.dim()),
    ])
    .render(area, buffer);
}
