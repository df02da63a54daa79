//! What keys and the mouse do.

use std::time::Duration;

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::{Stage, data};
use crate::{
    client::{Change, Message},
    discover,
    model::{
        Connection, TaskId,
        rows::{Column, RowId},
    },
    tui::{
        OutputLine,
        action::{Action, Motion, Pane, Tab},
        app::{App, Effect, Subject},
        theme::Theme,
    },
};

impl Stage {
    fn mouse(&mut self, kind: MouseEventKind, column: u16, row: u16) -> Effect {
        let event = MouseEvent {
            kind,
            column,
            row,
            modifiers: KeyModifiers::NONE,
        };
        let action = self.app.hits().action(event);
        action.map_or(Effect::Nothing, |action| self.act(action))
    }

    fn click(&mut self, column: u16, row: u16) -> Effect {
        self.mouse(MouseEventKind::Down(MouseButton::Left), column, row)
    }

    /// Position of a text on the screen.
    #[track_caller]
    fn find(&mut self, text: &str) -> (u16, u16) {
        let screen = self.screen();
        for (row, line) in screen.lines().enumerate() {
            if let Some(at) = line.find(text) {
                return (line[..at].chars().count() as u16, row as u16);
            }
        }
        panic!("{text} is not on the screen:\n{screen}");
    }

    fn selected(&self) -> Option<RowId> {
        self.app.tasks.selected(&self.app.task_rows)
    }
}

#[test]
fn the_task_that_blocks_now_is_on_top() {
    let stage = Stage::live(80, 24);
    assert_eq!(stage.selected(), Some(RowId::Task(TaskId(3))));
}

#[test]
fn the_selection_follows_the_task_when_rows_move() {
    let mut stage = Stage::live(80, 24);
    stage.act(Action::SortBy(Column::Busy));
    stage.act(Action::Move(Motion::Bottom));
    let before = stage.selected();
    stage.act(Action::Reverse);
    assert_eq!(stage.selected(), before);
    assert_eq!(stage.app.tasks.index(), 0);
}

#[test]
fn filters_as_one_types() {
    let mut stage = Stage::live(80, 24);
    stage.type_text("HYPER !ready");
    assert!(stage.app.task_rows.len() < 20);
    stage.act(Action::EraseWord);
    assert_eq!(stage.app.task_rows.len(), 20);
    stage.act(Action::Accept);
    assert!(!stage.app.typing);
    stage.act(Action::Back);
    assert_eq!(stage.app.task_rows.len(), 40);
}

#[test]
fn findings_have_a_filter_of_their_own() {
    let mut stage = Stage::live(80, 24);
    stage.act(Action::Show(Tab::Findings));
    stage.type_text("nanosleep");
    assert_eq!(stage.app.finding_rows, [1]);
    assert_eq!(stage.app.task_rows.len(), 40);
}

#[test]
fn a_task_without_a_name_is_known_by_what_it_was_caught_at() {
    let mut stage = Stage::new(80, 24);
    let mut update = data::snapshot();
    for task in &mut update.tasks {
        task.name.clear();
    }
    stage.receive(Message::Update(Box::new(update)));
    let screen = stage.screen();
    assert!(screen.contains("›!(in session::load)"), "{screen}");
    assert!(screen.contains("(unnamed)"), "{screen}");
}

#[test]
fn a_worker_leads_to_its_task_and_on_to_its_finding() {
    let mut stage = Stage::live(80, 24);
    stage.act(Action::Show(Tab::Workers));
    stage.act(Action::Move(Motion::Lines(1)));
    stage.act(Action::Open);
    let subject = |stage: &Stage| stage.app.details.last().map(|it| it.subject);
    assert_eq!(subject(&stage), Some(Subject::Row(RowId::Task(TaskId(3)))));
    stage.act(Action::Open);
    assert_eq!(subject(&stage), Some(Subject::Finding(1)));
    stage.act(Action::Back);
    stage.act(Action::Back);
    assert_eq!(subject(&stage), None);
    assert_eq!(stage.app.tab, Tab::Workers);
}

#[test]
fn a_place_leads_to_its_tasks() {
    let mut stage = Stage::live(80, 24);
    stage.act(Action::Group);
    stage.act(Action::OwnTasks);
    assert!(!stage.app.query.grouped);
    assert_eq!(stage.app.task_rows.len(), 20);
    stage.act(Action::Back);
    assert_eq!(stage.app.task_rows.len(), 40);
}

#[test]
fn a_click_selects_and_a_second_opens() {
    let mut stage = Stage::live(80, 24);
    let (_, head) = stage.find("spawned at");
    stage.click(10, head + 3);
    assert_eq!(stage.app.tasks.index(), 2);
    assert!(stage.app.details.is_empty());
    stage.click(10, head + 3);
    assert_eq!(stage.app.details.len(), 1);
}

#[test]
fn a_click_on_a_title_sorts_and_on_a_tab_switches() {
    let mut stage = Stage::live(80, 24);
    let (column, row) = stage.find("polls");
    stage.click(column, row);
    assert_eq!(stage.app.query.sort, Column::Polls);
    let (column, row) = stage.find("Workers");
    stage.click(column, row);
    assert_eq!(stage.app.tab, Tab::Workers);
    let (column, row) = stage.find("quit");
    assert_eq!(stage.click(column, row), Effect::Quit);
}

#[test]
fn the_wheel_moves_what_is_under_it() {
    let mut stage = Stage::live(80, 24);
    let (_, row) = stage.find("never-awaited  ");
    stage.mouse(MouseEventKind::ScrollDown, 4, row);
    assert_eq!(stage.app.findings.index(), 2);
    assert_eq!(stage.app.tasks.index(), 0);
}

#[test]
fn nothing_under_an_overlay_can_be_clicked() {
    let mut stage = Stage::live(80, 24);
    let (column, row) = stage.find("polls");
    stage.act(Action::Help);
    stage.click(column, row);
    assert_eq!(stage.app.query.sort, Column::Longest);
}

#[test]
fn a_pause_stops_the_display_but_not_the_data() {
    let mut stage = Stage::live(80, 24);
    stage.act(Action::Pause);
    let before = stage.screen();
    stage.receive(Message::Update(Box::new(data::later())));
    stage.at += Duration::from_millis(900);
    assert_eq!(stage.screen(), before);
    stage.act(Action::Pause);
    assert_eq!(stage.app.task_rows.len(), 39);
    assert!(!stage.screen().contains("BLOCKING"));
}

#[test]
fn what_blocks_ticks_without_news() {
    let mut stage = Stage::live(80, 24);
    assert!(stage.screen().contains("BLOCKING NOW 1.2 s"));
    stage.at += Duration::from_millis(1_500);
    assert!(stage.app.ticks(stage.at));
    assert!(stage.screen().contains("BLOCKING NOW 2.7 s"));
    stage.receive(Message::Update(Box::new(data::later())));
    assert!(!stage.app.ticks(stage.at));
    assert!(!stage.screen().contains("BLOCKING"));
}

#[test]
fn new_findings_are_marked_for_a_while() {
    let mut stage = Stage::live(80, 24);
    assert!(!stage.screen().contains("NEW"));
    let mut update = data::later();
    let mut new = data::slow_poll();
    (new.id, new.ongoing) = (99, false);
    update.findings = vec![new];
    stage.receive(Message::Update(Box::new(update)));
    assert!(stage.screen().contains("NEW"));
    stage.at += Duration::from_secs(11);
    assert!(!stage.screen().contains("NEW"));
}

#[test]
fn q_closes_an_overlay_before_it_quits() {
    let mut stage = Stage::live(80, 24);
    stage.act(Action::Help);
    assert_eq!(stage.act(Action::Quit), Effect::Nothing);
    assert_eq!(stage.act(Action::Quit), Effect::Quit);
}

#[test]
fn a_chosen_app_is_connected_to_and_the_old_one_forgotten() {
    let mut stage = Stage::live(80, 24);
    assert_eq!(stage.act(Action::Apps), Effect::LookAround);
    let app = discover::App {
        pid: 7,
        name: "other".to_owned(),
        target: "127.0.0.1:7000".parse().unwrap(),
        started_unix_ns: 0,
    };
    stage.app.apps_found(vec![app.clone()], None);
    assert_eq!(stage.act(Action::Open), Effect::Connect(app.target));
    let addr = "127.0.0.1:7000".to_owned();
    stage.app.start_over(Connection::Connecting { addr });
    assert!(stage.screen().contains("connecting to 127.0.0.1:7000"));
    assert_eq!(stage.app.task_rows, []);
}

#[test]
fn output_is_shown_until_there_is_data() {
    let app = App::new(Theme::new(true), Connection::Starting, true);
    let mut stage = Stage::with(app, 80, 24);
    stage.app.print(OutputLine::Stdout("hello".to_owned()));
    assert!(stage.screen().contains("hello"));
    stage.connect();
    assert_eq!(stage.app.pane(), Pane::Tasks);
}

#[test]
fn the_sort_column_is_always_shown() {
    let mut stage = Stage::live(80, 24);
    for _ in 0..Column::TASKS.len() {
        stage.act(Action::NextColumn);
        let screen = stage.screen();
        assert!(screen.contains('▼') || screen.contains('▲'), "{screen}");
    }
}

#[test]
fn the_limit_steps_up_and_down_a_ladder() {
    let mut stage = Stage::live(80, 24);
    let limit = |ms| Effect::Configure(Change::Limit(Duration::from_millis(ms)));
    assert_eq!(stage.act(Action::LongerLimit), limit(200));
    assert_eq!(stage.act(Action::ShorterLimit), limit(50));
    assert_eq!(
        stage.act(Action::ToggleLooking),
        Effect::Configure(Change::Look(false))
    );
}
