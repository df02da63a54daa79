//! Every view, drawn from fixed data at a fixed moment, at both sizes; and the
//! app's answers to keys and mouse.

mod behaviour;
mod data;
mod views;

use std::time::Instant;

use ratatui::{Terminal, backend::TestBackend};

use super::{
    action::Action,
    app::{App, Effect},
    hits::Hits,
    theme::Theme,
    view,
};
use crate::{client::Message, model::Connection};

/// An app on a screen that only exists in memory.
struct Stage {
    app: App,
    terminal: Terminal<TestBackend>,
    at: Instant,
}

impl Stage {
    fn new(columns: u16, lines: u16) -> Self {
        let connection = Connection::Connecting {
            addr: "127.0.0.1:6670".to_owned(),
        };
        Self::with(
            App::new(Theme::new(true), connection, false),
            columns,
            lines,
        )
    }

    fn with(app: App, columns: u16, lines: u16) -> Self {
        let backend = TestBackend::new(columns, lines);
        let mut stage = Self {
            app,
            terminal: Terminal::new(backend).expect("memory does not fail"),
            at: Instant::now(),
        };
        stage.app.root = Some("/home/dev/shop".to_owned());
        stage
    }

    /// With the fixed program connected.
    fn live(columns: u16, lines: u16) -> Self {
        let mut stage = Self::new(columns, lines);
        stage.connect();
        stage
    }

    fn connect(&mut self) {
        let addr = "127.0.0.1:6670".to_owned();
        self.receive(Message::Connection(Connection::Live { addr }));
        self.receive(Message::Update(Box::new(data::snapshot())));
        data::add_sources(&mut self.app.sources);
        self.draw();
    }

    fn receive(&mut self, message: Message) {
        self.app.receive(message, self.at);
        self.app.settle();
    }

    fn act(&mut self, action: Action) -> Effect {
        let effect = self.app.act(action, self.at);
        self.draw();
        effect
    }

    fn type_text(&mut self, text: &str) {
        self.act(Action::Filter);
        for c in text.chars() {
            self.act(Action::Type(c));
        }
    }

    fn draw(&mut self) {
        self.app.settle();
        let mut hits = Hits::default();
        let (app, at) = (&self.app, self.at);
        self.terminal
            .draw(|frame| view::draw(frame, app, at, &mut hits))
            .expect("memory does not fail");
        self.app.drawn(hits);
    }

    fn screen(&mut self) -> String {
        self.draw();
        let buffer = self.terminal.backend().buffer();
        let columns = usize::from(buffer.area.width);
        buffer
            .content
            .chunks(columns)
            .map(|cells| {
                let line: String = cells.iter().map(|cell| cell.symbol()).collect();
                line.trim_end().to_owned() + "\n"
            })
            .collect()
    }
}
