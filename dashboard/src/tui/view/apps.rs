//! The list of programs on this machine, to choose one from.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
    widgets::{Clear, Widget},
};

use super::{Scene, Split, pane};
use crate::{
    discover::App,
    tui::{action::Pane, hits::Hits, text},
};

pub(super) fn draw(scene: &Scene<'_>, buffer: &mut Buffer, area: Rect, hits: &mut Hits) {
    hits.cover();
    Clear.render(area, buffer);
    let title = Line::from(vec![
        Span::styled("Apps on this machine", scene.theme.heading()),
        Span::raw(format!(" {}", scene.app.found.len())),
    ]);
    let rest = pane::frame(scene, buffer, area, title, "Enter: connect", true);
    let (head, body) = rest.split_top(1);
    if scene.app.found.is_empty() {
        draw_nothing(scene, buffer, head);
        return;
    }
    let heading = format!(
        "  {:>8}  {:<32}  {:<22}  {:>8}",
        "pid", "name", "address", "up"
    );
    Line::styled(heading, scene.theme.dim()).render(head, buffer);
    let height = usize::from(body.height).max(1);
    let first = (scene.app.chosen + 1).saturating_sub(height);
    let last = (first + height).min(scene.app.found.len());
    for (line, index) in (first..last).enumerate() {
        let area = body.line(line as u16);
        let chosen = index == scene.app.chosen;
        app_line(scene, &scene.app.found[index], chosen).render(area, buffer);
        if chosen {
            buffer.set_style(area, scene.theme.selected());
        }
    }
    hits.pane(Pane::Apps, body, first..last);
}

fn draw_nothing(scene: &Scene<'_>, buffer: &mut Buffer, area: Rect) {
    let text = match &scene.app.warning {
        Some(warning) => format!("  {warning}"),
        None => "  none is running with asyncwatch enabled; this list renews itself".to_owned(),
    };
    Line::styled(text, scene.theme.warn()).render(area, buffer);
}

fn app_line<'a>(scene: &Scene<'_>, app: &App, chosen: bool) -> Line<'a> {
    let cursor = if chosen { "›" } else { " " };
    let target = app.target.to_string();
    let watched = scene.app.connection().addr() == Some(&target);
    let mark = if watched { "●" } else { " " };
    Line::from(vec![
        Span::styled(format!("{cursor}{mark}"), scene.theme.good()),
        Span::raw(format!("{:>8}  ", app.pid)),
        Span::styled(text::left(&app.name, 32), scene.theme.heading()),
        Span::raw(format!("  {}", text::left(&target, 22))),
        Span::styled(format!("  {:>8}", up(app)), scene.theme.dim()),
    ])
}

/// How long it has been running, by this machine's clock: it is on this machine.
fn up(app: &App) -> String {
    let started = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(app.started_unix_ns);
    match (app.started_unix_ns, started.elapsed()) {
        (1.., Ok(up)) => text::ago(up),
        _ => String::new(),
    }
}
