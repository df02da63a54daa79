//! The terminal: taken over for the dashboard, and given back in every case:
//! at the end, on errors, on signals, and on panics of any thread.

use std::{
    io::{self, IsTerminal, Stdout, Write},
    panic,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, bail};
use crossterm::{
    cursor::Show,
    event::{DisableMouseCapture, EnableMouseCapture},
    execute,
    terminal::{
        EnterAlternateScreen, LeaveAlternateScreen, SetTitle, disable_raw_mode, enable_raw_mode,
    },
};
use ratatui::{Terminal, backend::CrosstermBackend};

/// The terminal is ours; whoever turns this to false gives it back.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// A thread panicked and its message is on the screen: nothing may draw over it.
static PANICKED: AtomicBool = AtomicBool::new(false);

type PanicHook = Box<dyn Fn(&panic::PanicHookInfo<'_>) + Send + Sync>;

/// The terminal, for as long as this lives.
pub(super) struct Screen {
    pub(super) terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal over.
    pub(super) fn take(title: &str) -> anyhow::Result<Self> {
        if !io::stdout().is_terminal() {
            bail!(
                "the dashboard needs a terminal, but standard output is none; use `asyncwatch check` or `asyncwatch run --headless` where there is none"
            );
        }
        restore_on_panic();
        TAKEN.store(true, Ordering::SeqCst);
        let screen = enter(title).context("cannot take over the terminal");
        if screen.is_err() {
            give_back();
        }
        screen
    }

    /// Whether a thread of this program panicked.
    pub(super) fn is_lost() -> bool {
        PANICKED.load(Ordering::SeqCst)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter(title: &str) -> io::Result<Screen> {
    enable_raw_mode()?;
    execute!(
        io::stdout(),
        EnterAlternateScreen,
        EnableMouseCapture,
        SetTitle(title)
    )?;
    let mut terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
    terminal.clear()?;
    Ok(Screen { terminal })
}

/// Gives the terminal back, once. Errors have nowhere to go: the terminal may be
/// what is gone.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let mut out = io::stdout();
        let _ = execute!(out, DisableMouseCapture, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
        let _ = out.flush();
    }
}

/// The message of a panic belongs on the user's own screen, below what was there.
fn restore_on_panic() {
    let before: PanicHook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if TAKEN.load(Ordering::SeqCst) {
            PANICKED.store(true, Ordering::SeqCst);
        }
        give_back();
        before(info);
    }));
}

/// Completes when this program is told to end.
#[cfg(unix)]
pub(super) async fn told_to_end() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut quit = signal(SignalKind::quit())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
        _ = quit.recv() => {}
    }
    Ok(())
}

/// Completes when this program is told to end.
#[cfg(not(unix))]
pub(super) async fn told_to_end() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}
