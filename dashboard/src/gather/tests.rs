use std::{fs::OpenOptions, io::Write, time::Duration};

use asyncwatch_findings::{Event, Finding, ProcessInfo, Totals};

use super::*;
use crate::{
    config::{MaxPoll, Said, Source},
    report::samples,
};

fn lines(events: &[Event]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for event in events {
        serde_json::to_writer(&mut bytes, event).expect("serialisable");
        bytes.push(b'\n');
    }
    bytes
}

fn process(pid: u32) -> Event {
    Event::Process(ProcessInfo {
        pid,
        ..ProcessInfo::default()
    })
}

fn finding(id: u64, count: u64) -> Event {
    Event::Finding(Box::new(Finding {
        id,
        count,
        ..samples::slow_poll()
    }))
}

fn append(gathering: &Gathering, name: &str, bytes: &[u8]) {
    let path = gathering.directory.path().join(name);
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .expect("opened");
    file.write_all(bytes).expect("written");
}

fn gathered(streams: &[(&str, &[u8])]) -> Gathered {
    let gathering = Gathering::new().expect("a directory");
    for (name, bytes) in streams {
        append(&gathering, name, bytes);
    }
    gathering.finish()
}

#[test]
fn the_directory_is_private() {
    let gathering = Gathering::new().expect("a directory");
    let mode = fs::metadata(gathering.directory.path())
        .expect("exists")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn processes_are_told_where_and_how_to_report() {
    let gathering = Gathering::new().expect("a directory");
    let settings = Settings {
        max_poll: Some(Said {
            value: MaxPoll::Fixed(Duration::from_micros(2_500)),
            source: Source::Flag("--max-poll"),
        }),
        ..Settings::default()
    };
    let orders = Orders {
        settings: &settings,
        checked: true,
        addr: "off",
    };
    let environment: BTreeMap<_, _> = gathering.environment(&orders).into_iter().collect();
    assert_eq!(environment["ASYNCWATCH"], "1");
    assert_eq!(environment["ASYNCWATCH_CHECK"], "1");
    assert_eq!(environment["ASYNCWATCH_REPORT"], gathering.directory.path());
    assert_eq!(environment["ASYNCWATCH_ADDR"], "off");
    assert_eq!(environment["ASYNCWATCH_MAX_POLL"], "2500000ns");
    assert_eq!(environment["ASYNCWATCH_LEVELS"], "");
}

#[test]
fn later_events_replace_earlier_ones() {
    let totals = |polls| {
        Event::Totals(Totals {
            polls,
            ..Totals::default()
        })
    };
    let stream = lines(&[
        process(7),
        finding(1, 1),
        finding(2, 1),
        totals(10),
        finding(1, 4),
        Event::Withdrawn { id: 2 },
        totals(20),
        Event::End { unix_ns: 0 },
    ]);
    let [process] = &gathered(&[("7-1.jsonl", &stream)]).processes[..] else {
        panic!("one process");
    };
    let counts: Vec<u64> = process
        .findings
        .values()
        .map(|finding| finding.count)
        .collect();
    assert_eq!(counts, [4]);
    assert_eq!(process.totals.polls, 20);
    assert!(process.ended);
}

#[test]
fn streams_are_read_while_they_grow() {
    let mut gathering = Gathering::new().expect("a directory");
    let stream = lines(&[process(7), finding(1, 1), finding(1, 2)]);
    let (head, tail) = stream.split_at(stream.len() - 30);
    append(&gathering, "7-1.jsonl", head);
    gathering.read();
    let count = |gathering: &Gathering| {
        gathering
            .processes()
            .next()
            .map(|process| process.findings[&1].count)
    };
    assert_eq!(count(&gathering), Some(1));
    append(&gathering, "7-1.jsonl", tail);
    gathering.read();
    assert_eq!(count(&gathering), Some(2));
    assert_eq!(
        gathering.processes().next().map(|process| process.garbled),
        Some(0)
    );
}

#[test]
fn a_kill_costs_the_last_line_only() {
    let mut stream = lines(&[process(7), finding(1, 1), finding(1, 2)]);
    stream.truncate(stream.len() - 30);
    let gathered = gathered(&[("7-1.jsonl", &stream)]);
    assert_eq!(gathered.processes[0].findings[&1].count, 1);
    assert_eq!(gathered.processes[0].garbled, 1);
    assert!(!gathered.processes[0].ended);
}

#[test]
fn only_the_line_end_may_be_missing() {
    let mut stream = lines(&[process(7), finding(1, 1)]);
    stream.pop();
    let gathered = gathered(&[("7-1.jsonl", &stream)]);
    assert_eq!(gathered.processes[0].findings.len(), 1);
    assert_eq!(gathered.processes[0].garbled, 0);
}

#[test]
fn garbage_is_counted_and_passed_over() {
    let mut stream = b"not json\n{\"event\":\"unheard-of\"}\n\xff\xfe\n\n".to_vec();
    stream.extend(lines(&[process(7), finding(1, 1)]));
    let gathered = gathered(&[
        ("7-1.jsonl", &stream),
        ("8-1.jsonl", b"rubbish\n"),
        ("9-1.jsonl", b""),
    ]);
    assert_eq!(gathered.processes.len(), 2, "an empty stream is no process");
    let [first, second] = &gathered.processes[..] else {
        unreachable!()
    };
    assert_eq!(
        (first.info.pid, first.garbled, first.findings.len()),
        (7, 3, 1)
    );
    assert_eq!(
        (second.info.pid, second.garbled, second.reported),
        (8, 1, false)
    );
}

#[test]
fn endless_lines_take_no_memory() {
    let mut stream = vec![b'x'; 9 << 20];
    stream.push(b'\n');
    stream.extend(lines(&[process(7)]));
    let gathered = gathered(&[("7-1.jsonl", &stream)]);
    assert_eq!(gathered.processes[0].garbled, 1);
    assert!(gathered.processes[0].reported);
}

#[test]
fn findings_beyond_the_bound_are_counted() {
    let findings: Vec<Event> = (0..2_010).map(|id| finding(id, 1)).collect();
    let gathered = gathered(&[("7-1.jsonl", &lines(&findings))]);
    assert_eq!(gathered.processes[0].findings.len(), 2_000);
    assert_eq!(gathered.left_out, 10);
}

#[test]
fn other_files_are_not_streams() {
    let gathering = Gathering::new().expect("a directory");
    append(&gathering, "notes.txt", b"hello\n");
    fs::create_dir(gathering.directory.path().join("x.jsonl")).expect("created");
    std::os::unix::fs::symlink("/dev/zero", gathering.directory.path().join("1-1.jsonl"))
        .expect("linked");
    assert!(gathering.finish().processes.is_empty());
}

#[test]
fn files_that_vanish_have_been_read() {
    let mut gathering = Gathering::new().expect("a directory");
    append(
        &gathering,
        "7-1.jsonl",
        &lines(&[process(7), finding(1, 1)]),
    );
    gathering.read();
    fs::remove_file(gathering.directory.path().join("7-1.jsonl")).expect("removed");
    assert_eq!(gathering.finish().processes[0].findings.len(), 1);
}
