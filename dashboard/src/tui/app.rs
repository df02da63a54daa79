//! The dashboard's state apart from the data: what is shown, selected, sorted and
//! typed. [`App::act`] is the only way a user changes it; nothing here draws.

use std::{
    cmp::Ordering,
    time::{Duration, Instant},
};

use super::{
    OutputLine,
    action::{Action, Motion, Pane, Tab},
    cursor::Cursor,
    hits::Hits,
    output::Output,
    source::Sources,
    theme::Theme,
};
use crate::{
    client::{Change, Message, Target},
    discover::App as Found,
    model::{
        Connection, Model, SiteId, TaskId, WorkerId,
        rows::{Query, RowId, Words, rows},
    },
};

/// How many findings have their source line read for the list.
const SOURCES_AHEAD: usize = 64;
/// Limits of a poll to step through, in milliseconds.
const LIMITS_MS: &[u64] = &[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];
/// Longest filter.
const FILTER_CHARS_MAX: usize = 200;

/// Something looked at closely; on top of the tabs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Row(RowId),
    Finding(u64),
}

/// A subject, and how far it is scrolled down.
#[derive(Clone, Copy, Debug)]
pub(super) struct Detail {
    pub(super) subject: Subject,
    pub(super) scroll: usize,
}

/// Something drawn over everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overlay {
    Help { scroll: usize },
    Apps,
}

/// What the loop has to do for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Nothing,
    Quit,
    /// Look for programs: the list of them was opened.
    LookAround,
    Connect(Target),
    /// Have the program watched in another way.
    Configure(Change),
}

/// The dashboard's state.
#[derive(Debug)]
pub(super) struct App {
    live: Model,
    paused: Option<Box<(Model, Instant)>>,
    pub(super) theme: Theme,
    pub(super) title: Option<String>,
    /// Paths are told relative to this.
    pub(super) root: Option<String>,
    pub(super) tab: Tab,
    /// Whether the findings below the task table have the keys.
    pub(super) on_findings: bool,
    pub(super) query: Query,
    pub(super) findings_filter: String,
    pub(super) typing: bool,
    pub(super) details: Vec<Detail>,
    pub(super) overlay: Option<Overlay>,
    pub(super) tasks: Cursor<RowId>,
    pub(super) findings: Cursor<u64>,
    pub(super) workers: Cursor<WorkerId>,
    pub(super) found: Vec<Found>,
    pub(super) chosen: usize,
    /// Why a place to find programs in was not believed.
    pub(super) warning: Option<String>,
    pub(super) output: Option<Output>,
    pub(super) sources: Sources,
    pub(super) task_rows: Vec<RowId>,
    pub(super) finding_rows: Vec<u64>,
    pub(super) worker_rows: Vec<WorkerId>,
    settled: Option<(u64, Query, String)>,
    hits: Hits,
    /// The user has not chosen a tab yet: the first data may.
    untouched: bool,
}

impl App {
    pub(super) fn new(theme: Theme, connection: Connection, with_output: bool) -> Self {
        Self {
            live: Model::new(connection),
            paused: None,
            theme,
            title: None,
            root: None,
            tab: if with_output { Tab::Output } else { Tab::Tasks },
            on_findings: false,
            query: Query::default(),
            findings_filter: String::new(),
            typing: false,
            details: Vec::new(),
            overlay: None,
            tasks: Cursor::default(),
            findings: Cursor::default(),
            workers: Cursor::default(),
            found: Vec::new(),
            chosen: 0,
            warning: None,
            output: with_output.then(Output::default),
            sources: Sources::default(),
            task_rows: Vec::new(),
            finding_rows: Vec::new(),
            worker_rows: Vec::new(),
            settled: None,
            hits: Hits::default(),
            untouched: true,
        }
    }

    /// What is shown: the newest data, or that of the moment of the pause.
    pub(super) fn model(&self) -> &Model {
        self.paused
            .as_deref()
            .map_or(&self.live, |(model, _)| model)
    }

    /// The connection, which no pause hides.
    pub(super) fn connection(&self) -> &Connection {
        self.live.connection()
    }

    /// The moment that is shown.
    pub(super) fn moment(&self, at: Instant) -> Instant {
        self.paused_at().unwrap_or(at)
    }

    /// Since when the display has been paused.
    pub(super) fn paused_at(&self) -> Option<Instant> {
        self.paused.as_deref().map(|(_, at)| *at)
    }

    /// Takes in what the client tells.
    pub(super) fn receive(&mut self, message: Message, at: Instant) {
        match message {
            Message::Connection(connection) => self.live.connection_changed(connection, at),
            Message::Update(update) => {
                self.live.apply(*update, at);
                if self.untouched && self.live.process().is_some() {
                    self.untouched = false;
                    // From outside there are no tasks to be seen.
                    self.tab = match self.live.connection() {
                        Connection::Outside => Tab::Findings,
                        _ => Tab::Tasks,
                    };
                }
            }
        }
    }

    /// Takes in what the started program prints.
    pub(super) fn print(&mut self, line: OutputLine) {
        if let Some(output) = &mut self.output {
            output.push(line);
        }
    }

    /// A different program is watched from now on.
    pub(super) fn start_over(&mut self, connection: Connection) {
        self.live = Model::new(connection);
        self.paused = None;
        self.details.clear();
        self.query.site = None;
        self.tasks.release();
        self.findings.release();
        self.workers.release();
        self.sources.forget();
        self.settled = None;
    }

    /// Brings lists and selections up to date with the data: before drawing.
    pub(super) fn settle(&mut self) {
        let model = self
            .paused
            .as_deref()
            .map_or(&self.live, |(model, _)| model);
        let state = (
            model.generation(),
            self.query.clone(),
            self.findings_filter.clone(),
        );
        if self.settled.as_ref() == Some(&state) {
            return;
        }
        self.task_rows = rows(model, &self.query);
        self.finding_rows = finding_rows(model, &self.findings_filter);
        self.worker_rows = model.workers().map(|worker| worker.id).collect();
        self.tasks.settle(&self.task_rows);
        self.findings.settle(&self.finding_rows);
        self.workers.settle(&self.worker_rows);
        self.settled = Some(state);
        self.read_sources();
    }

    fn read_sources(&mut self) {
        let model = self
            .paused
            .as_deref()
            .map_or(&self.live, |(model, _)| model);
        let open = self
            .details
            .iter()
            .filter_map(|detail| match detail.subject {
                Subject::Finding(id) => Some(id),
                Subject::Row(_) => None,
            });
        let ahead = self.finding_rows.iter().copied().take(SOURCES_AHEAD);
        let selected = self.findings.selected(&self.finding_rows);
        for id in open.chain(ahead).chain(selected) {
            let culprit = model
                .findings()
                .get(id)
                .and_then(|seen| seen.finding.culprit.as_ref());
            if let Some((file, line)) = culprit.and_then(|it| it.file.as_ref().zip(it.line)) {
                self.sources.ensure(file, line);
            }
        }
    }

    /// Keeps where things were drawn.
    pub(super) fn drawn(&mut self, hits: Hits) {
        if let Some(window) = hits.window(Pane::Tasks) {
            self.tasks.scrolled_to(window.start);
        }
        if let Some(window) = hits.window(Pane::Findings) {
            self.findings.scrolled_to(window.start);
        }
        if let Some(window) = hits.window(Pane::Workers) {
            self.workers.scrolled_to(window.start);
        }
        if let Some(Overlay::Help { scroll }) = &mut self.overlay {
            *scroll = hits.window(Pane::Help).map_or(0, |window| window.start);
        } else if let Some(detail) = self.details.last_mut() {
            detail.scroll = hits.window(Pane::Detail).map_or(0, |window| window.start);
        }
        self.hits = hits;
    }

    /// Where things were drawn.
    pub(super) fn hits(&self) -> &Hits {
        &self.hits
    }

    /// Whether what is shown changes by itself as time passes.
    pub(super) fn ticks(&self, at: Instant) -> bool {
        if !self.live.connection().is_live() {
            return true;
        }
        let model = &self.live;
        self.paused.is_none()
            && (model.findings().ongoing().next().is_some()
                || model.findings().iter().any(|seen| seen.is_new(at))
                || model
                    .workers()
                    .any(|worker| model.is_over_limit(worker.current_poll)))
    }

    /// Does what the user asks for.
    pub(super) fn act(&mut self, action: Action, at: Instant) -> Effect {
        match action {
            Action::Quit if self.overlay.is_none() || self.typing => return Effect::Quit,
            Action::Quit | Action::Back => self.back(),
            Action::Help => self.overlay = Some(Overlay::Help { scroll: 0 }),
            Action::Apps => {
                self.overlay = Some(Overlay::Apps);
                return Effect::LookAround;
            }
            Action::Pause => self.toggle_pause(at),
            Action::LongerLimit => return self.step_limit(Ordering::Greater),
            Action::ShorterLimit => return self.step_limit(Ordering::Less),
            Action::ToggleLooking => return self.toggle_looking(),
            Action::Show(tab) => self.show(tab),
            Action::NextTab => self.show(self.next_tab()),
            Action::NextPane => self.next_pane(),
            Action::Move(motion) => self.travel(self.pane(), motion),
            Action::Wheel(pane, by) => self.travel(pane, Motion::Lines(by)),
            Action::Open => return self.open(),
            Action::Click(pane, row) => return self.click(pane, row),
            Action::OwnTasks => self.own_tasks(),
            Action::Filter => self.start_filter(),
            Action::Type(_) | Action::Erase | Action::EraseWord | Action::ClearFilter => {
                self.edit(action);
            }
            Action::Accept => self.typing = false,
            Action::NextColumn => self.turn_column(1),
            Action::PreviousColumn => self.turn_column(-1),
            Action::SortBy(column) => self.query.sort_by(column),
            Action::Reverse => self.query.descending = !self.query.descending,
            Action::Group => self.toggle_grouped(),
        }
        Effect::Nothing
    }

    /// The list that has the keys.
    pub(super) fn pane(&self) -> Pane {
        match (self.overlay, self.details.is_empty(), self.tab) {
            (Some(Overlay::Help { .. }), ..) => Pane::Help,
            (Some(Overlay::Apps), ..) => Pane::Apps,
            (None, false, _) => Pane::Detail,
            (None, true, Tab::Tasks) if self.on_findings => Pane::Findings,
            (None, true, Tab::Tasks) => Pane::Tasks,
            (None, true, Tab::Findings) => Pane::Findings,
            (None, true, Tab::Workers) => Pane::Workers,
            (None, true, Tab::Output) => Pane::Output,
        }
    }

    /// The filter that the keys would change.
    pub(super) fn filter(&self) -> &str {
        if self.pane() == Pane::Findings {
            &self.findings_filter
        } else {
            &self.query.filter
        }
    }

    /// Opens the list of programs.
    pub(super) fn choose_app(&mut self) {
        self.overlay = Some(Overlay::Apps);
    }

    /// These programs run on this machine.
    pub(super) fn apps_found(&mut self, found: Vec<Found>, warning: Option<String>) {
        self.found = found;
        self.warning = warning;
        self.chosen = self.chosen.min(self.found.len().saturating_sub(1));
    }

    fn back(&mut self) {
        if self.typing {
            self.typing = false;
            self.edit(Action::ClearFilter);
        } else if self.overlay.take().is_some() || self.details.pop().is_some() {
        } else if !self.filter().is_empty() {
            self.edit(Action::ClearFilter);
        } else if self.query.site.take().is_none() {
            self.on_findings = false;
        }
    }

    fn toggle_pause(&mut self, at: Instant) {
        self.paused = match self.paused.take() {
            Some(_) => None,
            None => Some(Box::new((self.live.clone(), at))),
        };
        self.settled = None;
    }

    fn show(&mut self, tab: Tab) {
        if tab == Tab::Output && self.output.is_none() {
            return;
        }
        self.untouched = false;
        self.overlay = None;
        self.details.clear();
        self.tab = tab;
    }

    fn next_tab(&self) -> Tab {
        match self.tab {
            Tab::Tasks => Tab::Findings,
            Tab::Findings => Tab::Workers,
            Tab::Workers if self.output.is_some() => Tab::Output,
            Tab::Workers | Tab::Output => Tab::Tasks,
        }
    }

    fn next_pane(&mut self) {
        if self.overlay.is_none() && self.details.is_empty() {
            match self.tab {
                Tab::Tasks => self.on_findings = !self.on_findings,
                _ => self.show(self.next_tab()),
            }
        }
    }

    fn travel(&mut self, pane: Pane, motion: Motion) {
        let page = self.hits.height(pane) as isize;
        let by = match motion {
            Motion::Lines(by) => by,
            Motion::Pages(by) => by * page,
            Motion::Top => isize::MIN,
            Motion::Bottom => isize::MAX,
        };
        match pane {
            Pane::Tasks => self.tasks.step(&self.task_rows, by),
            Pane::Findings => self.findings.step(&self.finding_rows, by),
            Pane::Workers => self.workers.step(&self.worker_rows, by),
            Pane::Apps => {
                let last = self.found.len().saturating_sub(1);
                self.chosen = self.chosen.saturating_add_signed(by).min(last);
            }
            Pane::Output => {
                if let Some(output) = &mut self.output {
                    output.scroll(by);
                }
            }
            Pane::Detail | Pane::Help => self.scroll_text(pane, by),
        }
    }

    fn scroll_text(&mut self, pane: Pane, by: isize) {
        let last = self.hits.text_lines.saturating_sub(self.hits.height(pane));
        let scrolled = |scroll: usize| scroll.saturating_add_signed(by).min(last);
        match (&mut self.overlay, self.details.last_mut()) {
            (Some(Overlay::Help { scroll }), _) => *scroll = scrolled(*scroll),
            (None, Some(detail)) => detail.scroll = scrolled(detail.scroll),
            _ => {}
        }
    }

    fn open(&mut self) -> Effect {
        let subject = match self.pane() {
            Pane::Apps => return self.connect(),
            Pane::Tasks => self.tasks.selected(&self.task_rows).map(Subject::Row),
            Pane::Findings => self
                .findings
                .selected(&self.finding_rows)
                .map(Subject::Finding),
            Pane::Workers => self.current_task().map(|id| Subject::Row(RowId::Task(id))),
            Pane::Detail => self.finding_of_detail().map(Subject::Finding),
            Pane::Help => {
                self.overlay = None;
                None
            }
            Pane::Output => None,
        };
        if let Some(subject) = subject {
            self.details.push(Detail { subject, scroll: 0 });
            self.read_sources();
        }
        Effect::Nothing
    }

    /// The next limit on the ladder that is longer or shorter than the one in force.
    fn step_limit(&self, which: Ordering) -> Effect {
        let Some(now) = self.model().limit() else {
            return Effect::Nothing;
        };
        let mut beyond = LIMITS_MS
            .iter()
            .map(|&ms| Duration::from_millis(ms))
            .filter(|limit| limit.cmp(&now) == which);
        let next = match which {
            Ordering::Greater => beyond.next(),
            _ => beyond.next_back(),
        };
        next.map_or(Effect::Nothing, |limit| {
            Effect::Configure(Change::Limit(limit))
        })
    }

    fn toggle_looking(&self) -> Effect {
        match self.model().process() {
            Some(process) => Effect::Configure(Change::Look(process.paused)),
            None => Effect::Nothing,
        }
    }

    fn connect(&mut self) -> Effect {
        let Some(app) = self.found.get(self.chosen) else {
            return Effect::Nothing;
        };
        self.overlay = None;
        Effect::Connect(app.target.clone())
    }

    fn click(&mut self, pane: Pane, row: usize) -> Effect {
        self.on_findings = pane == Pane::Findings;
        let again = match pane {
            Pane::Tasks => pick(&mut self.tasks, &self.task_rows, row),
            Pane::Findings => pick(&mut self.findings, &self.finding_rows, row),
            Pane::Workers => pick(&mut self.workers, &self.worker_rows, row),
            Pane::Apps => std::mem::replace(&mut self.chosen, row) == row,
            Pane::Detail | Pane::Help | Pane::Output => false,
        };
        if again { self.open() } else { Effect::Nothing }
    }

    fn current_task(&self) -> Option<TaskId> {
        let id = self.workers.selected(&self.worker_rows)?;
        self.model().worker(id)?.current_task
    }

    /// The newest finding about what is looked at.
    fn finding_of_detail(&self) -> Option<u64> {
        match self.details.last()?.subject {
            Subject::Finding(_) => None,
            Subject::Row(row) => self.findings_of(row).first().copied(),
        }
    }

    /// Findings about a task, or about any task of a place.
    pub(super) fn findings_of(&self, row: RowId) -> Vec<u64> {
        let model = self.model();
        match row {
            RowId::Task(id) => model.task(id).map_or_else(Vec::new, |task| {
                model.findings_of(task).map(|finding| finding.id).collect()
            }),
            RowId::Site(id) => model.site(id).map_or_else(Vec::new, |site| {
                model.findings_at(site).map(|finding| finding.id).collect()
            }),
        }
    }

    /// Shows only the tasks of the selected place.
    fn own_tasks(&mut self) {
        let row = match self.details.last().map(|detail| detail.subject) {
            Some(Subject::Row(row)) => Some(row),
            Some(Subject::Finding(_)) => None,
            None if self.pane() == Pane::Tasks => self.tasks.selected(&self.task_rows),
            None => None,
        };
        if let Some(site) = row.and_then(|row| self.site_of(row)) {
            self.show(Tab::Tasks);
            self.on_findings = false;
            self.query.site = Some(site);
            if self.query.grouped {
                self.toggle_grouped();
            }
        }
    }

    fn site_of(&self, row: RowId) -> Option<SiteId> {
        match row {
            RowId::Site(site) => Some(site),
            RowId::Task(task) => self.model().task(task).map(|task| task.site),
        }
    }

    fn toggle_grouped(&mut self) {
        self.query.toggle_grouped();
        if self.query.grouped {
            self.query.site = None;
        }
        self.tasks.release();
    }

    fn start_filter(&mut self) {
        if matches!(self.pane(), Pane::Tasks | Pane::Findings) {
            self.typing = true;
        }
    }

    fn edit(&mut self, action: Action) {
        let filter = if self.pane() == Pane::Findings {
            &mut self.findings_filter
        } else {
            &mut self.query.filter
        };
        match action {
            Action::Type(c) if filter.chars().count() < FILTER_CHARS_MAX => filter.push(c),
            Action::Erase => {
                filter.pop();
            }
            Action::EraseWord => {
                let rest = filter.trim_end();
                let start = rest.rfind(char::is_whitespace).map_or(0, |at| at + 1);
                filter.truncate(start);
            }
            Action::ClearFilter => filter.clear(),
            _ => {}
        }
    }

    fn turn_column(&mut self, by: isize) {
        if self.pane() != Pane::Tasks {
            return;
        }
        let columns = self.query.columns();
        let now = columns.iter().position(|column| *column == self.query.sort);
        let len = columns.len() as isize;
        let next = (now.unwrap_or(0) as isize + by).rem_euclid(len);
        self.query.sort_by(columns[next as usize]);
    }
}

/// Selects a row; tells whether it already was.
fn pick<K: Copy + Eq>(cursor: &mut Cursor<K>, rows: &[K], row: usize) -> bool {
    let again = cursor.index() == row;
    cursor.go_to(row, rows);
    again
}

fn finding_rows(model: &Model, filter: &str) -> Vec<u64> {
    let words = Words::parse(filter);
    model
        .findings()
        .iter()
        .map(|seen| &seen.finding)
        .filter(|finding| words.is_empty() || words.matches(&searchable(finding)))
        .map(|finding| finding.id)
        .collect()
}

fn searchable(finding: &asyncwatch_findings::Finding) -> String {
    let frame = |frame: Option<&asyncwatch_findings::Frame>| {
        frame.map_or_else(String::new, |it| {
            format!(
                "{} {}:{}",
                it.function,
                it.file.as_deref().unwrap_or(""),
                it.line.unwrap_or(0)
            )
        })
    };
    let culprit = frame(finding.culprit.as_ref());
    let blocking = frame(finding.blocking_frame.as_ref());
    let syscall = finding.syscall.as_deref().unwrap_or("");
    let task = finding.task.as_ref().map_or("", |task| &task.name);
    let (code, level, message) = (finding.code, finding.level, &finding.message);
    format!("{code} {level} {message} {culprit} {blocking} {syscall} {task}")
}
