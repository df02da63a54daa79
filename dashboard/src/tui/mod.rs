//! The live terminal dashboard.
//!
//! [`show`] is the loop: what comes from the program, the keyboard, the mouse and
//! the clock changes the app's state; then the views draw it. Views are pure
//! functions of that state; keys become actions; only `terminal` and this
//! loop touch the real terminal.

mod action;
mod app;
mod cursor;
mod hits;
mod link;
mod output;
mod source;
mod terminal;
mod text;
mod theme;
mod view;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use anyhow::Context;
use crossterm::event::{Event as Input, EventStream};
use tokio::{sync::mpsc, sync::watch, time};
use tokio_stream::StreamExt;

use self::{
    app::{App, Effect, Overlay},
    link::{Event, Link},
    terminal::Screen,
    theme::Theme,
};
use crate::{
    client::{Messages, Target},
    discover,
};

/// While something ticks.
const TICK: Duration = Duration::from_millis(250);
/// Frames are at least this far apart, whatever happens.
const FRAME: Duration = Duration::from_millis(25);
/// Lines of output taken in between two looks at everything else.
const LINES_AT_ONCE: usize = 1_000;

/// How the dashboard looks.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Use colours. `NO_COLOR` is the caller's to honour.
    pub color: bool,
    /// What to call the program until it tells its name.
    pub title: Option<String>,
}

/// Something that the started program printed, or its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputLine {
    /// A line of its output.
    Stdout(String),
    /// A line of its error output.
    Stderr(String),
    /// It ended; the text says how: `exited with code 0`.
    Exited(String),
}

/// What comes from a program that was started for the dashboard.
#[derive(Debug)]
pub struct Started {
    /// What it prints.
    pub output: mpsc::Receiver<OutputLine>,
    /// What is seen of it from outside, for as long as it tells no address.
    pub outside: Messages,
}

/// Shows the dashboard until the user quits.
///
/// `target` yields the address to connect to, now or later; where it yields none,
/// its sender is gone and no program was `started`, programs are looked for on this
/// machine. What a started program prints gets its own tab.
///
/// # Errors
///
/// Fails where standard output is no terminal, when the terminal fails, and when a
/// thread of this program panicked.
pub async fn show(
    target: watch::Receiver<Option<Target>>,
    started: Option<Started>,
    options: Options,
) -> anyhow::Result<()> {
    let mut screen = Screen::take("asyncwatch")?;
    let (output, outside) = started.map(|it| (it.output, it.outside)).unzip();
    let link = Link::new(target, outside);
    let theme = Theme::new(options.color);
    let mut app = App::new(theme, link.connection(), output.is_some());
    app.title = options.title;
    app.root = std::env::current_dir()
        .ok()
        .and_then(|dir| dir.to_str().map(str::to_owned));
    run(&mut screen, &mut app, link, output).await
}

async fn run(
    screen: &mut Screen,
    app: &mut App,
    mut link: Link,
    mut output: Option<mpsc::Receiver<OutputLine>>,
) -> anyhow::Result<()> {
    let mut inputs = EventStream::new();
    let end = terminal::told_to_end();
    tokio::pin!(end);
    let mut tick = time::interval(TICK);
    tick.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    let mut look = time::interval(Duration::from_secs(1));
    let mut drawn: Option<time::Instant> = None;
    let mut changed = true;
    while !Screen::is_lost() {
        let next_frame = drawn.map_or_else(time::Instant::now, |drawn| drawn + FRAME);
        tokio::select! {
            biased;
            ended = &mut end => return ended.context("cannot watch for signals"),
            input = inputs.next() => {
                let Some(input) = input else { return Ok(()) };
                let input = input.context("cannot read from the terminal")?;
                match on_input(app, &input) {
                    Effect::Nothing => {}
                    Effect::Quit => return Ok(()),
                    Effect::LookAround => look_around(app),
                    Effect::Connect(target) => on_event(app, link.switch(target)),
                    Effect::Configure(change) => {
                        if let Some(event) = link.configure(change) {
                            on_event(app, event);
                        }
                    }
                }
                changed = true;
            }
            () = time::sleep_until(next_frame), if changed => {
                draw(screen, app)?;
                drawn = Some(time::Instant::now());
                changed = false;
            }
            event = link.next() => {
                on_event(app, event);
                changed = true;
            }
            Some(lines) = printed(&mut output) => {
                lines.into_iter().for_each(|line| app.print(line));
                changed = true;
            }
            _ = tick.tick(), if app.ticks(Instant::now()) => changed = true,
            _ = look.tick(), if app.overlay == Some(Overlay::Apps) => {
                look_around(app);
                changed = true;
            }
        }
    }
    anyhow::bail!("a thread of the dashboard panicked; the message above says where")
}

fn draw(screen: &mut Screen, app: &mut App) -> anyhow::Result<()> {
    app.settle();
    let mut hits = hits::Hits::default();
    let at = Instant::now();
    screen
        .terminal
        .draw(|frame| view::draw(frame, app, at, &mut hits))
        .context("cannot draw to the terminal")?;
    app.drawn(hits);
    Ok(())
}

fn on_input(app: &mut App, input: &Input) -> Effect {
    let action = match input {
        Input::Key(key) => action::of_key(*key, app.typing),
        Input::Mouse(mouse) => app.hits().action(*mouse),
        Input::Paste(_) | Input::Resize(..) | Input::FocusGained | Input::FocusLost => None,
    };
    let effect = action.map_or(Effect::Nothing, |action| app.act(action, Instant::now()));
    // What is asked for next may be about the rows as they are now.
    app.settle();
    effect
}

fn on_event(app: &mut App, event: Event) {
    match event {
        Event::Message(message) => app.receive(message, Instant::now()),
        Event::Switched(connection) => app.start_over(connection),
        Event::Choose(found) => {
            app.apps_found(found.apps, found.warning);
            app.choose_app();
        }
        Event::Warning(warning) => app.warning = Some(warning),
    }
}

fn look_around(app: &mut App) {
    let found = discover::look_around();
    app.apps_found(found.apps, found.warning);
}

/// The lines that are there; none when no more will come.
async fn printed(output: &mut Option<mpsc::Receiver<OutputLine>>) -> Option<Vec<OutputLine>> {
    let Some(receiver) = output else {
        return std::future::pending().await;
    };
    let mut lines = Vec::new();
    if receiver.recv_many(&mut lines, LINES_AT_ONCE).await == 0 {
        *output = None;
        return std::future::pending().await;
    }
    Some(lines)
}
