//! Names for what was seen, and what it means: on a thread of its own, because the debug
//! information of a large program takes a second to read.

use std::{collections::BTreeMap, sync::mpsc, time::Duration};

use asyncwatch_findings::{
    Class, Code, Finding, Frame, Level, Mark, Scene, SeenStack, SourceFiles, Stack, TaskRef,
    display_name, lines_beside, mark, mark_of, message, scene, trim,
};
use asyncwatch_stack::Objects;

use super::episode::{Episode, Sample};
use crate::{gather, news::News};

/// Places in one process with findings.
const FINDINGS_MAX: u64 = 256;

/// How findings are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) limit: Duration,
    pub(super) level: Level,
}

/// Findings by process, each with a number of its own; and how many polls more.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub(super) findings: BTreeMap<u32, BTreeMap<u64, Finding>>,
    pub(super) left_out: u64,
    /// Slow, and nobody can tell whether a poll of tokio: their stacks could not be
    /// followed to the end.
    pub(super) unclear: u64,
}

/// Names what comes, until nothing more does.
pub(super) fn all(
    episodes: &mpsc::Receiver<Episode>,
    terms: Terms,
    news: &mpsc::SyncSender<News>,
) -> Named {
    let mut objects = Objects::new();
    let mut named = Named::default();
    while let Ok(episode) = episodes.recv() {
        let complete = episode.samples.iter().all(|sample| sample.complete);
        let findings = findings(&episode, terms, &mut objects);
        for finding in &findings {
            // Nobody watches, or too slowly: it is in the report.
            let _ = news.try_send(News::Finding {
                pid: episode.pid,
                finding: Box::new(finding.clone()),
            });
        }
        if episode.preview {
            continue;
        }
        named.unclear += u64::from(findings.is_empty() && !complete);
        for finding in findings {
            named.add(episode.pid, finding);
        }
    }
    named
}

impl Named {
    fn add(&mut self, pid: u32, mut finding: Finding) {
        let findings = self.findings.entry(pid).or_default();
        let new_id = findings.len() as u64 + 1;
        let known = findings.values_mut().find(|known| is_same(known, &finding));
        match known {
            Some(known) => {
                let (count, first) = (known.count + finding.count, known.first_unix_ns);
                let id = known.id;
                let newest = finding.as_occurrence();
                let occurrences = std::mem::take(&mut known.occurrences);
                if finding.wall > known.wall {
                    *known = finding;
                } else {
                    known.last_unix_ns = finding.last_unix_ns;
                }
                (known.id, known.count, known.first_unix_ns) = (id, count, first);
                known.occurrences = occurrences;
                known.note_occurrence(newest);
            }
            None if new_id <= FINDINGS_MAX => {
                finding.id = new_id;
                finding.note_occurrence(finding.as_occurrence());
                findings.insert(new_id, finding);
            }
            None => self.left_out += 1,
        }
    }
}

fn is_same(one: &Finding, other: &Finding) -> bool {
    let line = |finding: &Finding| finding.culprit.as_ref().and_then(|frame| frame.line);
    one.fingerprint == other.fingerprint && line(one) == line(other)
}

/// The findings that an episode makes, if it was a poll: the symbols alone may have
/// promised one where the inlined functions show that it was none.
fn findings(episode: &Episode, terms: Terms, objects: &mut Objects) -> Vec<Finding> {
    let (mut seen, mut kind) = (Vec::<Seen>::new(), None);
    for (sample, order) in episode.samples.iter().zip(0..) {
        let (frames, shows) = named(sample, objects);
        let of = match shows {
            Shows::Poll(of) => of,
            // The end of the root's poll was missed: nobody knows how long it took.
            Shows::Runtime if kind == Some(ROOT) => return Vec::new(),
            Shows::Runtime | Shows::Else => continue,
        };
        kind.get_or_insert(of);
        add(&mut seen, frames, sample, order);
    }
    let Some(kind) = kind else {
        return Vec::new();
    };
    seen.sort_by_key(|seen| std::cmp::Reverse(seen.stack.weight));
    let main = main_finding(episode, terms, kind, &seen);
    let all: Vec<SeenStack<'_>> = seen
        .iter()
        .map(|seen| (&seen.stack, seen.syscall.as_deref()))
        .collect();
    let mut findings = lines_beside(&main, &all, &SourceFiles);
    findings.iter_mut().for_each(note_what_is_missing);
    findings.insert(0, main);
    findings
}

/// A stack, and the system call that it slept in.
struct Seen {
    stack: Stack,
    syscall: Option<String>,
}

/// The finding of the line that took most of the time.
fn main_finding(episode: &Episode, terms: Terms, kind: &str, seen: &[Seen]) -> Finding {
    let worker = format!("thread `{}`", episode.thread);
    let time = episode.time;
    let mut finding = Finding {
        ongoing: episode.ongoing,
        wall: Some(time.wall),
        cpu: Some(time.cpu),
        blocked: Some(time.blocked),
        run_delay: Some(time.run_delay),
        limit: Some(terms.limit),
        class: Some(episode.class),
        syscall: match episode.class {
            Class::Cpu => None,
            _ => (episode.samples.iter()).find_map(|sample| sample.syscall.clone()),
        },
        task: Some(TaskRef {
            id: 0,
            name: String::new(),
            kind: kind.to_owned(),
            spawned_at: None,
        }),
        worker: (!episode.thread.is_empty()).then_some(worker),
        stacks: seen.iter().map(|seen| seen.stack.clone()).collect(),
        ..Finding::new(Code::SlowPoll, terms.level, String::new(), episode.unix_ns)
    };
    finding.attribute(&SourceFiles);
    if let Some(task) = &mut finding.task {
        task.name = polled(&finding.stacks).unwrap_or_default();
    }
    finding.message = message::slow_poll(&message::SlowPoll {
        task: finding
            .task
            .as_ref()
            .filter(|task| !task.name.is_empty() || kind != "task"),
        worker: finding.worker.as_deref(),
        wall: time.wall,
        limit: terms.limit,
        class: finding.class,
        ongoing: finding.ongoing,
    });
    note_what_is_missing(&mut finding);
    finding
}

fn note_what_is_missing(finding: &mut Finding) {
    finding.notes.push(
        "seen from outside: it took at least this long, and its task is known by its code only"
            .to_owned(),
    );
    let without_line = |frame: &Frame| frame.line.is_none();
    if finding.culprit.as_ref().is_none_or(without_line) {
        finding.notes.push(
            "the program has no line tables: set `debug = \"line-tables-only\"` and `strip = false` in its Cargo profile to see lines and inlined functions".to_owned(),
        );
    }
}

/// The outermost function of the user's that the task runs: what it is called by.
fn polled(stacks: &[Stack]) -> Option<String> {
    let frames = &stacks.first()?.frames;
    let frame = frames.iter().rev().find(|frame| frame.user)?;
    let name = display_name(&frame.function);
    (name.contains("::")).then_some(name)
}

fn add(seen: &mut Vec<Seen>, frames: Vec<Frame>, sample: &Sample, order: u32) {
    let known = seen
        .iter_mut()
        .find(|seen| seen.stack.frames == frames && seen.syscall == sample.syscall);
    match known {
        Some(known) => {
            known.stack.weight += sample.weight;
            known.stack.seen.push(order);
        }
        None => seen.push(Seen {
            stack: Stack {
                weight: sample.weight,
                frames,
                seen: vec![order],
            },
            syscall: sample.syscall.clone(),
        }),
    }
}

/// What a stack shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shows {
    /// A poll, of what.
    Poll(&'static str),
    /// The runtime between polls.
    Runtime,
    Else,
}

const ROOT: &str = "block_on";

/// The frames of a sample with their names, down to where the runtime began to poll.
fn named(sample: &Sample, objects: &mut Objects) -> (Vec<Frame>, Shows) {
    let mut frames: Vec<Frame> = sample
        .places
        .iter()
        .flat_map(|place| gather::names::named(place.frame(), objects))
        .collect();
    mark(&mut frames);
    let marks: Vec<_> = frames.iter().map(mark_of_frame).collect();
    let shows = match scene(&marks) {
        Scene::Task { .. } => Shows::Poll("task"),
        Scene::Root { at } if sample.syscall.is_some() && waits_itself(&frames[..at]) => {
            Shows::Runtime
        }
        Scene::Root { .. } => Shows::Poll(ROOT),
        Scene::MayBlock if is_between_polls(&marks, &frames) => Shows::Runtime,
        Scene::PerhapsRoot { .. } | Scene::MayBlock | Scene::Elsewhere => Shows::Else,
    };
    trim(&mut frames);
    (frames, shows)
}

/// Whether the runtime does what it does between polls: polls call some of it, too, to
/// spawn and to wake.
fn is_between_polls(marks: &[Option<Mark>], frames: &[Frame]) -> bool {
    let innermost = marks.iter().position(Option::is_some);
    innermost
        .filter(|&at| marks[at] == Some(Mark::Runtime))
        .is_some_and(|at| {
            let ends = |mark: &Option<Mark>| matches!(mark, Some(Mark::BlockOn | Mark::TaskPoll));
            let outward = marks[at..].iter().position(ends);
            let around = &frames[at..outward.map_or(frames.len(), |end| at + end)];
            !around.iter().any(|frame| frame.user)
        })
}

/// Whether the runtime itself made the system call that it sleeps in, as far as names
/// tell: nothing but functions of C lies between, as where all of its own was inlined.
fn waits_itself(inside: &[Frame]) -> bool {
    let of_c = |frame: &Frame| !frame.user && !frame.function.contains("::");
    inside
        .first()
        .is_some_and(|frame| !frame.function.is_empty())
        && inside.iter().all(of_c)
}

/// Line tables name a closure by the module it is in: that it is somewhere in the
/// runtime's does not say that it is the runtime's own work.
fn mark_of_frame(frame: &Frame) -> Option<Mark> {
    let own_name = frame.function.split('<').next().unwrap_or_default();
    mark_of(&display_name(&frame.function))
        .filter(|mark| *mark != Mark::Runtime || !own_name.contains("{closure#"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str) -> Frame {
        Frame {
            function: function.to_owned(),
            ..Frame::default()
        }
    }

    #[test]
    fn a_poll_that_spawns_is_not_between_polls() {
        let shows = |names: &[&str]| {
            let frames: Vec<Frame> = names
                .iter()
                .map(|name| Frame {
                    user: name.starts_with("app"),
                    ..frame(name)
                })
                .collect();
            let marks: Vec<_> = frames.iter().map(mark_of_frame).collect();
            is_between_polls(&marks, &frames)
        };
        let push = "tokio::runtime::scheduler::current_thread::Core::push_task";
        let park = "tokio::runtime::scheduler::current_thread::Context::park";
        let outer = ["tokio::runtime::runtime::Runtime::block_on", "app::main"];
        assert!(shows(&[&["epoll_wait", park], &outer[..]].concat()));
        assert!(!shows(&[&[push, "app::serve"], &outer[..]].concat()));
        assert!(!shows(&[&["app::serve"], &outer[..]].concat()));
    }

    #[test]
    fn a_call_with_nothing_between_is_the_runtimes_own() {
        assert!(waits_itself(&[frame("epoll_wait")]));
        assert!(waits_itself(&[frame("__GI_syscall"), frame("syscall")]));
        assert!(!waits_itself(&[
            frame("clock_nanosleep"),
            frame("std::thread::sleep")
        ]));
        let of_user = Frame {
            user: true,
            ..frame("read")
        };
        assert!(!waits_itself(&[of_user]));
        // It computes, or nothing is known.
        assert!(!waits_itself(&[]));
        assert!(!waits_itself(&[frame(""), frame("")]));
    }
}
