//! What every view looks like.

use std::time::Duration;

use asyncwatch_findings::{Code, Finding};

use super::{Stage, data};
use crate::{
    client::Message,
    discover,
    model::{Connection, Trouble, Update},
    tui::{
        OutputLine,
        action::{Action, Motion, Tab},
        app::App,
        theme::Theme,
    },
};

const SIZES: [(u16, u16); 2] = [(80, 24), (200, 60)];

/// Snapshots a view at both sizes, reached by `actions` from the main screen.
#[track_caller]
fn check(name: &str, actions: &[Action]) {
    for (columns, lines) in SIZES {
        let mut stage = Stage::live(columns, lines);
        for action in actions {
            stage.act(*action);
        }
        insta::assert_snapshot!(format!("{name}_{columns}x{lines}"), stage.screen());
    }
}

#[test]
fn main_screen() {
    check("main", &[]);
}

#[test]
fn tasks_by_place() {
    check("grouped", &[Action::Group]);
}

#[test]
fn task_detail() {
    check("task", &[Action::Open]);
}

#[test]
fn place_detail() {
    check("place", &[Action::Group, Action::Open]);
}

#[test]
fn findings() {
    check("findings", &[Action::Show(Tab::Findings)]);
}

#[test]
fn finding_detail() {
    check("finding", &[Action::Show(Tab::Findings), Action::Open]);
    check(
        "finding_end",
        &[
            Action::Show(Tab::Findings),
            Action::Open,
            Action::Move(Motion::Bottom),
        ],
    );
}

#[test]
fn workers() {
    check("workers", &[Action::Show(Tab::Workers)]);
}

#[test]
fn help() {
    check("help", &[Action::Help]);
}

#[test]
fn typing_a_filter() {
    check(
        "filter",
        &[Action::Filter, Action::Type('h'), Action::Type('y')],
    );
}

#[test]
fn nothing_matches() {
    check("no_match", &[Action::Filter, Action::Type('§')]);
}

#[test]
fn chooser() {
    for (columns, lines) in SIZES {
        let mut stage = Stage::live(columns, lines);
        let app = |pid, name: &str, addr: &str| discover::App {
            pid,
            name: name.to_owned(),
            target: addr.parse().expect("an address"),
            started_unix_ns: 0,
        };
        let apps = vec![
            app(4242, "shop-api", "127.0.0.1:6670"),
            app(5151, "billing-worker", "127.0.0.1:6671"),
        ];
        stage.app.apps_found(apps, None);
        stage.app.choose_app();
        insta::assert_snapshot!(format!("chooser_{columns}x{lines}"), stage.screen());
    }
}

#[test]
fn output_of_a_started_program() {
    for (columns, lines) in SIZES {
        let app = App::new(Theme::new(true), Connection::Starting, true);
        let mut stage = Stage::with(app, columns, lines);
        let lines_of = [
            OutputLine::Stderr("   Compiling shop v0.1.0".to_owned()),
            OutputLine::Stdout("listening on 127.0.0.1:8080".to_owned()),
            OutputLine::Exited("exited with code 101".to_owned()),
        ];
        lines_of.into_iter().for_each(|line| stage.app.print(line));
        insta::assert_snapshot!(format!("output_{columns}x{lines}"), stage.screen());
        stage.act(Action::Show(Tab::Tasks));
        insta::assert_snapshot!(format!("exited_{columns}x{lines}"), stage.screen());
    }
}

fn lost(stage: &Stage, trouble: Trouble) -> Message {
    Message::Connection(Connection::Lost {
        addr: "127.0.0.1:6670".to_owned(),
        since: stage.at,
        retry_at: stage.at + Duration::from_millis(1_800),
        trouble,
    })
}

#[test]
fn without_a_program() {
    let waiting = Connection::Waiting {
        addr: "127.0.0.1:6670".to_owned(),
    };
    let mut stage = Stage::with(App::new(Theme::new(true), waiting, false), 80, 24);
    stage.app.apps_found(
        Vec::new(),
        Some("/tmp/asyncwatch-1 is not a directory of yours".to_owned()),
    );
    insta::assert_snapshot!("waiting_80x24", stage.screen());
    let not_ours = lost(
        &stage,
        Trouble::NotAsyncwatch("it does not speak gRPC".to_owned()),
    );
    stage.receive(not_ours);
    insta::assert_snapshot!("not_asyncwatch_80x24", stage.screen());
}

#[test]
fn lost_keeps_what_was_known_and_stops_the_clock() {
    let mut stage = Stage::live(80, 24);
    let lost = lost(&stage, Trouble::Broken("connection reset".to_owned()));
    stage.receive(lost);
    stage.at += Duration::from_secs(1);
    insta::assert_snapshot!("lost_80x24", stage.screen());
}

#[test]
fn before_any_finding() {
    let mut stage = Stage::new(80, 24);
    let mut update = data::snapshot();
    update.findings.clear();
    update.workers.truncate(1);
    stage.receive(Message::Update(Box::new(update)));
    insta::assert_snapshot!("healthy_80x24", stage.screen());
}

#[test]
fn light_timing_shows_what_is_not_measured() {
    let mut stage = Stage::new(80, 24);
    let mut update = data::snapshot();
    for task in &mut update.tasks {
        (task.busy, task.scheduled, task.idle) = (None, None, None);
        (task.longest, task.poll_times) = (None, None);
    }
    for worker in &mut update.workers {
        (worker.busy, worker.busy_share) = (None, None);
    }
    stage.receive(Message::Update(Box::new(update)));
    insta::assert_snapshot!("light_80x24", stage.screen());
    stage.act(Action::Open);
    insta::assert_snapshot!("light_task_80x24", stage.screen());
}

#[test]
fn too_small_a_terminal_says_so() {
    let mut stage = Stage::live(40, 8);
    insta::assert_snapshot!(stage.screen().trim(), @"asyncwatch needs a terminal of 50x12 or");
    for (columns, lines) in [(50, 12), (1, 1), (51, 13), (120, 12), (300, 100)] {
        Stage::live(columns, lines).screen();
    }
}

#[test]
fn without_colour_nothing_is_coloured() {
    let mut app = App::new(Theme::new(false), Connection::Starting, false);
    app.apps_found(Vec::new(), None);
    let mut stage = Stage::with(app, 200, 60);
    stage.connect();
    for action in [
        Action::Show(Tab::Workers),
        Action::Show(Tab::Findings),
        Action::Open,
        Action::Help,
    ] {
        stage.act(action);
        let buffer = stage.terminal.backend().buffer();
        for cell in &buffer.content {
            assert_eq!((cell.fg, cell.bg), Default::default());
        }
    }
}

/// Whatever colours say is said without them as well: both show the same text.
#[test]
fn colour_changes_no_text() {
    let mut plain = App::new(Theme::new(false), Connection::Starting, false);
    plain.root = None;
    let mut plain = Stage::with(plain, 80, 24);
    plain.connect();
    assert_eq!(plain.screen(), Stage::live(80, 24).screen());
}

#[test]
fn kinds_with_long_names_and_words_of_their_own_are_told() {
    let leaked = Finding {
        id: 40,
        code: Code::TaskDroppedPending,
        message: "25 tasks were dropped".to_owned(),
        ongoing: false,
        wall: None,
        class: None,
        syscall: None,
        culprit: None,
        label: Some("spawned here, 25 of 25 dropped".to_owned()),
        queued_behind: Some(3),
        waited_behind: Some(Duration::from_millis(1_500)),
        last_unix_ns: u64::MAX,
        ..data::slow_poll()
    };
    for (columns, kind) in [(80, "task-dropped-pe…"), (200, "task-dropped-pending")] {
        let mut stage = Stage::live(columns, 60);
        let update = Update {
            findings: vec![
                leaked.clone(),
                Finding {
                    ongoing: false,
                    ..data::slow_poll()
                },
            ],
            ..data::later()
        };
        stage.receive(Message::Update(Box::new(update)));
        stage.act(Action::Show(Tab::Findings));
        assert!(stage.screen().contains(kind), "{}", stage.screen());
        stage.act(Action::Open);
        for part in [
            "spawned here, 25 of 25 dropped",
            "3 tasks waited behind it, 1.50 s altogether",
        ] {
            assert!(
                stage.screen().contains(part),
                "no {part:?} in {}",
                stage.screen()
            );
        }
    }
}
