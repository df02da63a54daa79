//! The server inside a program, seen by clients that are friendly, slow or hostile.

use std::{
    fs,
    io::{self, Read, Write},
    net::TcpStream,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use asyncwatch_tests::program;
use asyncwatch_wire::v1::{
    self, ConfigureRequest, GetProcessRequest, WatchRequest, async_watch_client::AsyncWatchClient,
};
use serde_json::Value;
use tonic::transport::Channel;

/// A specimen that serves until it is dropped.
struct App {
    child: Child,
    addr: String,
    _reports: tempfile::TempDir,
}

impl App {
    fn start(specimen: &str, arguments: &[&str], addr: &str) -> App {
        let reports = tempfile::tempdir().expect("a directory");
        let child = Command::new(program(specimen))
            .args(arguments)
            .env("ASYNCWATCH_ADDR", addr)
            .env("ASYNCWATCH_REPORT", reports.path())
            .env("XDG_RUNTIME_DIR", reports.path().join("run"))
            .spawn()
            .expect("the specimen runs");
        let addr = wait_for(|| announced(reports.path()));
        App {
            child,
            addr,
            _reports: reports,
        }
    }

    async fn client(&self) -> AsyncWatchClient<Channel> {
        AsyncWatchClient::connect(format!("http://{}", self.addr))
            .await
            .expect("the server answers")
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in the report stream, once it is there.
fn announced(directory: &std::path::Path) -> Option<String> {
    let files = fs::read_dir(directory).ok()?.flatten();
    files
        .filter_map(|file| fs::read_to_string(file.path()).ok())
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|line| serde_json::from_str::<Value>(&line).ok())
        .find_map(|event| Some(event["addr"].as_str()?.to_owned()))
}

fn wait_for<T>(mut what: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = what() {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "it never came");
        thread::sleep(Duration::from_millis(20));
    }
}

async fn next(stream: &mut tonic::Streaming<v1::Update>) -> v1::Update {
    stream
        .message()
        .await
        .expect("the stream goes on")
        .expect("the server goes on")
}

#[tokio::test]
async fn a_client_gets_the_whole_state_and_then_what_changes() {
    let app = App::start("endless", &["60"], "127.0.0.1:0");
    let mut client = app.client().await;
    let process = client
        .get_process(GetProcessRequest {})
        .await
        .expect("answered")
        .into_inner();
    assert_eq!(process.name, "endless");
    assert_eq!(process.pid, app.child.id());

    let request = WatchRequest {
        interval_ns: 100_000_000,
    };
    let mut stream = client.watch(request).await.expect("admitted").into_inner();
    let first = next(&mut stream).await;
    assert!(first.reset && first.snapshot_complete);
    assert!(first.process.is_some());
    assert!(!first.sites.is_empty());
    assert!(!first.workers.is_empty());

    let mut findings = first.findings;
    while !findings.iter().any(|finding| finding.code == "slow-poll") {
        let update = next(&mut stream).await;
        assert!(!update.reset);
        findings.extend(update.findings);
    }
    let finding = findings.last().expect("found");
    assert!(finding.ongoing);
    let culprit = finding.culprit.as_ref().expect("named");
    assert!(culprit.file.ends_with("specimens/endless.rs"));
    assert!(!finding.stacks.is_empty());
}

#[tokio::test]
async fn the_limit_is_changed_and_looking_is_switched_while_the_program_runs() {
    let app = App::start("endless", &["60"], "127.0.0.1:0");
    let mut client = app.client().await;
    let mut configure = async |max_poll_ns, looking| {
        let request = ConfigureRequest {
            max_poll_ns,
            looking,
        };
        client.configure(request).await.expect("done").into_inner()
    };
    assert!(!configure(None, None).await.paused);
    let away = configure(None, Some(false)).await;
    assert!(away.paused);
    let limited = configure(Some(20_000_000), None).await;
    assert!(limited.paused, "it stays as it is");
    assert_eq!(limited.max_poll_ns, 20_000_000);
    let shortest = configure(Some(0), Some(true)).await;
    assert_eq!(shortest.max_poll_ns, 1_000_000);
    assert!(!shortest.paused);
}

#[tokio::test]
async fn health_and_reflection_are_served() {
    let app = App::start("endless", &["60"], "127.0.0.1:0");
    let channel = Channel::from_shared(format!("http://{}", app.addr))
        .expect("an address")
        .connect()
        .await
        .expect("the server answers");
    let health = tonic_health::pb::health_client::HealthClient::new(channel)
        .check(tonic_health::pb::HealthCheckRequest {
            service: "asyncwatch.v1.AsyncWatch".to_owned(),
        })
        .await
        .expect("answered")
        .into_inner();
    assert_eq!(health.status, 1, "serving");
}

#[tokio::test]
async fn a_taken_port_gives_the_next_one() {
    let first = App::start("endless", &["60"], "127.0.0.1:0");
    let second = App::start("endless", &["60"], &first.addr);
    assert_ne!(first.addr, second.addr);
    second.client().await;
}

#[tokio::test]
async fn too_many_clients_are_turned_away_and_counted() {
    let app = App::start("endless", &["60"], "127.0.0.1:0");
    let mut streams = Vec::new();
    let refused = loop {
        let mut client = app.client().await;
        match client.watch(WatchRequest { interval_ns: 0 }).await {
            Ok(stream) => streams.push((client, stream.into_inner())),
            Err(status) => break status,
        }
        assert!(streams.len() <= 64, "there is a bound");
    };
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    drop(streams.pop());
    // The place is free again once the server has noticed.
    let mut client = app.client().await;
    let mut stream = loop {
        match client.watch(WatchRequest { interval_ns: 0 }).await {
            Ok(stream) => break stream.into_inner(),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    // A snapshot that is only just old may be told once more.
    let mut drops = Vec::new();
    while drops.is_empty() {
        drops = next(&mut stream).await.drops.map_or(drops, |new| new.drops);
    }
    assert!(
        drops
            .iter()
            .any(|drop| drop.what == "clients" && drop.count > 0)
    );
}

#[tokio::test]
async fn garbage_does_the_program_no_harm() {
    let app = App::start("endless", &["60"], "127.0.0.1:0");
    for garbage in [
        &b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
        &[0xFF; 4_096],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
        b"",
    ] {
        let mut stream = TcpStream::connect(&app.addr).expect("listens");
        // The server may hang up before it has read everything.
        let _ = stream.write_all(garbage);
    }
    let mut client = app.client().await;
    client
        .get_process(GetProcessRequest {})
        .await
        .expect("still answers");
}

#[tokio::test]
async fn silent_connections_are_bounded_and_let_go() {
    let app = App::start("endless", &["120"], "127.0.0.1:0");
    let mut known = app.client().await;
    known
        .get_process(GetProcessRequest {})
        .await
        .expect("answers");
    let silent: Vec<TcpStream> = (0..64)
        .map(|_| TcpStream::connect(&app.addr).expect("listens"))
        .collect();
    for stream in &silent {
        stream.set_nonblocking(true).expect("set");
    }
    let is_closed = |mut stream: &TcpStream| match stream.read(&mut [0; 64]) {
        Ok(bytes) => bytes == 0,
        Err(why) => why.kind() != io::ErrorKind::WouldBlock,
    };
    wait_for(|| {
        let closed = silent.iter().filter(|stream| is_closed(stream));
        (closed.count() >= 33).then_some(())
    });
    known
        .get_process(GetProcessRequest {})
        .await
        .expect("the one that was there is still served");
    // The others have said nothing for too long and make room.
    wait_for(|| silent.iter().all(is_closed).then_some(()));
    let mut new = app.client().await;
    new.get_process(GetProcessRequest {})
        .await
        .expect("there is room again");
}
