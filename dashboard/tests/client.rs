//! The client against servers that behave, vanish, or misbehave.

mod fake_server;

use std::time::Duration;

use asyncwatch_dashboard::{
    client::{self, Message, Messages},
    model::{Connection, Model, Trouble, Update},
};
use asyncwatch_wire::v1;
use fake_server::{Fake, Feed};
use tokio::{
    io::AsyncWriteExt,
    net::TcpListener,
    sync::mpsc,
    time::{Instant, timeout_at},
};
use tonic::Status;

/// Generous: tests must not fail because the machine is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A feed of these updates, which then stays open.
fn feed(updates: Vec<v1::Update>) -> Feed {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        for update in updates {
            if sender.send(Ok(update)).await.is_err() {
                return;
            }
        }
        sender.closed().await;
    });
    receiver
}

fn snapshot(names: &[&str]) -> v1::Update {
    let task = |(id, name): (usize, &&str)| v1::Task {
        id: id as u64 + 1,
        name: (*name).to_owned(),
        ..Default::default()
    };
    v1::Update {
        snapshot: 1,
        now_unix_ns: 1_000_000_000,
        snapshot_complete: true,
        process: Some(v1::Process {
            name: "app".to_owned(),
            ..Default::default()
        }),
        tasks: names.iter().enumerate().map(task).collect(),
        ..Default::default()
    }
}

async fn next(messages: &mut Messages) -> Message {
    let deadline = Instant::now() + PATIENCE;
    timeout_at(deadline, messages.recv())
        .await
        .expect("a message in time")
        .expect("the client goes on")
}

async fn next_update(messages: &mut Messages) -> Update {
    loop {
        if let Message::Update(update) = next(messages).await {
            return *update;
        }
    }
}

async fn next_trouble(messages: &mut Messages) -> Trouble {
    loop {
        if let Message::Connection(Connection::Lost { trouble, .. }) = next(messages).await {
            return trouble;
        }
    }
}

fn watch(addr: impl ToString) -> Messages {
    client::watch(addr.to_string().parse().expect("an address"))
}

#[tokio::test]
async fn tells_the_state_and_then_the_news() {
    let fake = Fake::start("127.0.0.1:0", || {
        feed(vec![snapshot(&["a"]), snapshot(&["b"])])
    });
    let mut messages = watch(fake.addr);
    let Message::Connection(Connection::Connecting { addr }) = next(&mut messages).await else {
        panic!("connecting comes first");
    };
    assert_eq!(addr, fake.addr.to_string());
    let Message::Connection(Connection::Live { .. }) = next(&mut messages).await else {
        panic!("then it is live");
    };
    let first = next_update(&mut messages).await;
    assert!(first.reset, "a new stream tells everything anew");
    assert_eq!(first.tasks[0].name, "a");
    let second = next_update(&mut messages).await;
    assert!(!second.reset);
    assert_eq!(second.tasks[0].name, "b");
}

#[tokio::test]
async fn connects_again_when_the_program_comes_back() {
    let fake = Fake::start("127.0.0.1:0", || feed(vec![snapshot(&["a"])]));
    let addr = fake.addr;
    let mut messages = watch(addr);
    let mut model = Model::new(Connection::Starting);
    let at = std::time::Instant::now();
    model.apply(next_update(&mut messages).await, at);
    drop(fake);
    next_trouble(&mut messages).await;

    let _again = Fake::start(&addr.to_string(), || feed(vec![snapshot(&["b", "c"])]));
    model.apply(next_update(&mut messages).await, at);
    let mut names: Vec<_> = model.tasks().map(|task| task.name.clone()).collect();
    names.sort();
    assert_eq!(names, ["b", "c"]);
}

#[tokio::test]
async fn waits_for_a_program_that_is_not_there_yet() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = free.local_addr().unwrap();
    drop(free);
    let mut messages = watch(addr);
    assert_eq!(next_trouble(&mut messages).await, Trouble::Refused);
    let _fake = Fake::start(&addr.to_string(), || feed(vec![snapshot(&["a"])]));
    assert_eq!(next_update(&mut messages).await.tasks.len(), 1);
}

#[tokio::test]
async fn a_stream_that_ends_in_good_order_means_the_program_ended() {
    let fake = Fake::start("127.0.0.1:0", || {
        let (sender, receiver) = mpsc::channel(1);
        sender.try_send(Ok(snapshot(&[]))).unwrap();
        receiver
    });
    let mut messages = watch(fake.addr);
    next_update(&mut messages).await;
    assert_eq!(next_trouble(&mut messages).await, Trouble::Ended);
}

#[tokio::test]
async fn another_grpc_service_is_told_apart() {
    let fake = Fake::start("127.0.0.1:0", || {
        let (sender, receiver) = mpsc::channel(1);
        sender.try_send(Err(Status::unimplemented(""))).unwrap();
        receiver
    });
    let mut messages = watch(fake.addr);
    let trouble = next_trouble(&mut messages).await;
    assert!(matches!(trouble, Trouble::NotAsyncwatch(_)), "{trouble:?}");
    assert!(trouble.advice().is_some());
}

#[tokio::test]
async fn a_web_server_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
                .await;
            // Read what is there, so that closing does not reset the connection.
            let _ = stream.shutdown().await;
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    });
    let mut messages = watch(addr);
    let trouble = next_trouble(&mut messages).await;
    assert!(matches!(trouble, Trouble::NotAsyncwatch(_)), "{trouble:?}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut messages = watch(listener.local_addr().unwrap());
    assert_eq!(next_trouble(&mut messages).await, Trouble::Silent);
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused() {
    let big = "x".repeat(client::MESSAGE_BYTES_MAX + 1);
    let fake = Fake::start("127.0.0.1:0", move || feed(vec![snapshot(&[&big])]));
    let mut messages = watch(fake.addr);
    let trouble = next_trouble(&mut messages).await;
    assert!(matches!(trouble, Trouble::Damaged(_)), "{trouble:?}");
}

#[tokio::test]
async fn hostile_data_arrives_harmless() {
    let evil = "\x1b]0;owned\x07\x1b[2J\u{202e}gnp.exe\n\r\u{9b}31m";
    let fake = Fake::start("127.0.0.1:0", move || feed(vec![hostile(evil)]));
    let mut messages = watch(fake.addr);
    let update = next_update(&mut messages).await;
    assert_eq!(
        update.unreadable, 1,
        "a finding of an unknown kind is counted"
    );
    assert_eq!(update.findings.len(), 1);
    assert_eq!(update.workers[0].busy_share, None);
    assert_eq!(update.workers[1].busy_share, Some(1.0));
    let long = update.tasks[1].name.chars().count();
    assert!(long < 1_000, "a name of {long} characters");
    let frames = update.findings[0].stacks[0].frames.len();
    assert!(frames < 1_000, "{frames} frames");

    // Nothing that came could steer a terminal.
    let everything = format!("{update:?}");
    let shown = everything.replace("\\u{fffd}", "");
    assert!(!shown.contains("\\u{"), "{shown}");

    let mut model = Model::new(Connection::Starting);
    model.apply(update, std::time::Instant::now());
    assert_eq!(model.task_count(), 2);
}

fn hostile(evil: &str) -> v1::Update {
    let frame = v1::Frame {
        function: evil.to_owned(),
        file: evil.to_owned(),
        line: u32::MAX,
        ..Default::default()
    };
    let finding = v1::Finding {
        code: "slow-poll".to_owned(),
        level: "nonsense".to_owned(),
        message: evil.to_owned(),
        count: u64::MAX,
        wall_ns: Some(u64::MAX),
        syscall: evil.to_owned(),
        culprit: Some(frame.clone()),
        stacks: vec![v1::Stack {
            weight_ns: u64::MAX,
            frames: vec![frame; 5_000],
        }],
        ..Default::default()
    };
    let unknown = v1::Finding {
        code: "from-the-future".to_owned(),
        ..Default::default()
    };
    let worker = |id, share| v1::Worker {
        id,
        thread_name: evil.to_owned(),
        current_poll_ns: u64::MAX,
        busy_share: Some(share),
        ..Default::default()
    };
    let mut update = snapshot(&[evil, &"long".repeat(10_000)]);
    update.tasks[0].poll_times = Some(v1::PollHistogram {
        counts: vec![u64::MAX; 1_000],
    });
    update.tasks[0].spawned_unix_ns = u64::MAX;
    update.tasks[0].set_kind(v1::TaskKind::Task);
    update.tasks[1].kind = 77;
    update.workers = vec![worker(1, f64::NAN), worker(2, 1e300)];
    update.findings = vec![finding, unknown];
    update
}
