//! What the sampler sees, in the dashboard's words: for programs that have no server.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use asyncwatch_findings::{Class, Finding, ProcessInfo};
use tokio::sync::mpsc;

use crate::{
    client::{Message, Messages},
    gather::Gathering,
    model::{Connection, LIMITS, Process, Update},
    news::News,
    outside::{PREVIEW_EVERY, Sampler},
    run::child::is_alive,
};

/// Messages that wait for the dashboard. What does not fit is told with the next look.
const MESSAGES_WAITING_MAX: usize = 4;

/// Tells the dashboard what is seen from outside.
pub(super) struct Outside {
    messages: mpsc::Sender<Message>,
    /// The program that is shown, once one was seen.
    program: Option<ProcessInfo>,
    findings: Vec<Kept>,
    connected: bool,
    snapshot: u64,
}

/// What was found at one place of a process.
struct Kept {
    pid: u32,
    id: u64,
    first_unix_ns: u64,
    last_unix_ns: u64,
    /// Slow polls that have ended, and the worst of them.
    ended: u64,
    worst: Option<Finding>,
    /// One that lasts, or did when it was told last: its end is told, too.
    lasting: Option<Finding>,
    /// The last one that turned out to be the machine's affair.
    nothing: Option<Finding>,
    told_at: Instant,
    /// It has changed since the dashboard was told.
    news: bool,
}

impl Kept {
    fn new(pid: u32, id: u64, finding: Finding) -> Kept {
        let mut kept = Kept {
            pid,
            id,
            first_unix_ns: finding.first_unix_ns,
            last_unix_ns: finding.last_unix_ns,
            ended: 0,
            worst: None,
            lasting: None,
            nothing: None,
            told_at: Instant::now(),
            news: true,
        };
        kept.merge(finding);
        kept
    }

    fn is_same(&self, pid: u32, finding: &Finding) -> bool {
        let line = |finding: &Finding| finding.culprit.as_ref().and_then(|frame| frame.line);
        self.pid == pid
            && self.told().is_some_and(|told| {
                told.fingerprint == finding.fingerprint && line(told) == line(finding)
            })
    }

    /// A poll that was told while it lasted is told once more at its end.
    fn merge(&mut self, finding: Finding) {
        self.news = true;
        self.last_unix_ns = self.last_unix_ns.max(finding.last_unix_ns);
        let known = self.lasting.take();
        let is_others = |known: &Finding| known.worker != finding.worker;
        if known.as_ref().is_some_and(is_others) {
            // The one that lasts stays to be seen; this one is told again at its end.
            self.lasting = known;
            if !finding.ongoing {
                self.settle(finding);
            }
            return;
        }
        self.told_at = Instant::now();
        if finding.ongoing {
            // Nobody told how one ended that is not said to last any more.
            if let Some(known) = known.filter(|known| !known.ongoing) {
                self.settle(known);
            }
            self.lasting = Some(finding);
        } else {
            self.settle(finding);
        }
    }

    fn settle(&mut self, finding: Finding) {
        if own(&finding).is_zero() {
            self.nothing = Some(finding);
            return;
        }
        self.ended += 1;
        let is_worse = |worst: &Finding| own(&finding) > own(worst);
        if self.worst.as_ref().is_none_or(is_worse) {
            self.worst = Some(finding);
        }
    }

    /// The one that is shown: what lasts, else the worst.
    fn told(&self) -> Option<&Finding> {
        let lasting = self.lasting.as_ref();
        let ended = self.worst.iter().chain(lasting).max_by_key(|one| own(one));
        lasting
            .filter(|lasting| lasting.ongoing)
            .or(ended)
            .or(self.nothing.as_ref())
    }

    fn shown(&self) -> Option<Finding> {
        let told = self.told()?;
        Some(Finding {
            id: self.id,
            count: (self.ended + u64::from(self.lasting.is_some())).max(1),
            first_unix_ns: self.first_unix_ns,
            last_unix_ns: self.last_unix_ns,
            ..told.clone()
        })
    }

    /// Nobody has said for long that it lasts, or its process is gone.
    fn forget_that_it_lasts(&mut self) {
        let is_over = self.told_at.elapsed() > PREVIEW_EVERY * 3 || !is_alive(self.pid);
        if let Some(lasting) = &mut self.lasting
            && lasting.ongoing
            && is_over
        {
            lasting.ongoing = false;
            self.news = true;
        }
    }
}

/// What counts against the limit; nothing if that is the machine's affair.
fn own(finding: &Finding) -> Duration {
    match finding.class {
        Some(Class::Descheduled) => Duration::ZERO,
        _ => finding.cpu.unwrap_or_default() + finding.blocked.unwrap_or_default(),
    }
}

impl Outside {
    pub(super) fn new() -> (Outside, Messages) {
        let (messages, receiver) = mpsc::channel(MESSAGES_WAITING_MAX);
        let outside = Outside {
            messages,
            program: None,
            findings: Vec::new(),
            connected: false,
            snapshot: 0,
        };
        (outside, receiver)
    }

    /// Takes the sampler's news and passes on what is new to the dashboard.
    pub(super) fn tell(&mut self, sampler: &Sampler, gathering: &Gathering) {
        for news in sampler.news() {
            if !gathering.tells_itself(news.pid()) {
                self.take(news, |pid| sampler.describe(pid));
            }
        }
        self.findings
            .iter_mut()
            .for_each(Kept::forget_that_it_lasts);
        self.pass_on();
    }

    fn take(&mut self, news: News, describe: impl FnOnce(u32) -> ProcessInfo) {
        match news {
            News::Program(info) => drop(self.program.get_or_insert(*info)),
            News::Finding { pid, finding } => {
                self.program.get_or_insert_with(|| describe(pid));
                self.merge(pid, *finding);
            }
        }
    }

    fn merge(&mut self, pid: u32, finding: Finding) {
        let next_id = self.findings.len() as u64 + 1;
        let mut known = self.findings.iter_mut();
        match known.find(|kept| kept.is_same(pid, &finding)) {
            Some(kept) => kept.merge(finding),
            None if next_id <= LIMITS.findings as u64 => {
                self.findings.push(Kept::new(pid, next_id, finding));
            }
            // The report at the end counts it.
            None => {}
        }
    }

    fn pass_on(&mut self) {
        let Some(program) = &self.program else {
            return;
        };
        if !self.connected {
            let connection = Message::Connection(Connection::Outside);
            self.connected = self.messages.try_send(connection).is_ok();
        }
        let findings: Vec<Finding> = (self.findings.iter())
            .filter(|kept| kept.news)
            .filter_map(Kept::shown)
            .collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        self.snapshot += 1;
        let update = Update {
            snapshot: self.snapshot,
            now_unix_ns: now.map_or(0, |now| now.as_nanos() as u64),
            snapshot_complete: true,
            process: Some(process(program)),
            findings,
            ..Update::default()
        };
        if self
            .messages
            .try_send(Message::Update(Box::new(update)))
            .is_ok()
        {
            for kept in &mut self.findings {
                kept.news = false;
            }
        }
    }
}

fn process(info: &ProcessInfo) -> Process {
    Process {
        name: info.name.clone(),
        pid: info.pid,
        coverage: info.coverage.clone(),
        max_poll: Some(Duration::from_secs_f64(info.max_poll_ms / 1e3)),
        ..Process::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::slow_poll;

    fn wall(ms: u64, ongoing: bool) -> News {
        finding("worker 0", Class::Blocked, ms, ongoing)
    }

    fn finding(worker: &str, class: Class, ms: u64, ongoing: bool) -> News {
        let wall = Duration::from_millis(ms);
        let finding = Finding {
            wall: Some(wall),
            cpu: Some(Duration::ZERO),
            blocked: Some(wall),
            class: Some(class),
            worker: Some(worker.to_owned()),
            ongoing,
            count: 1,
            ..slow_poll()
        };
        News::Finding {
            pid: std::process::id(),
            finding: Box::new(finding),
        }
    }

    fn describe(pid: u32) -> ProcessInfo {
        ProcessInfo {
            pid,
            name: "app".to_owned(),
            max_poll_ms: 20.0,
            ..ProcessInfo::default()
        }
    }

    /// What is shown of the only place after `news`: count, duration, whether it lasts.
    fn shown(outside: &mut Outside, news: &[(u64, bool)]) -> (u64, u64, bool) {
        let news = news.iter().map(|&(ms, ongoing)| wall(ms, ongoing));
        shown_of(outside, news)
    }

    fn shown_of(outside: &mut Outside, news: impl IntoIterator<Item = News>) -> (u64, u64, bool) {
        for each in news {
            outside.take(each, describe);
        }
        let [kept] = &outside.findings[..] else {
            panic!("one place");
        };
        let shown = kept.shown().expect("something is");
        let ms = shown.wall.expect("it has one").as_millis() as u64;
        (shown.count, ms, shown.ongoing)
    }

    #[test]
    fn a_poll_that_is_told_twice_is_one_and_the_longest_is_shown() {
        let (mut outside, _messages) = Outside::new();
        assert_eq!(shown(&mut outside, &[(600, true)]), (1, 600, true));
        assert_eq!(shown(&mut outside, &[(900, false)]), (1, 900, false));
        assert_eq!(shown(&mut outside, &[(30, false)]), (2, 900, false));
        // What lasts is shown, however short it is as yet.
        assert_eq!(shown(&mut outside, &[(500, true)]), (3, 500, true));
        assert_eq!(shown(&mut outside, &[(550, true)]), (3, 550, true));
        assert_eq!(shown(&mut outside, &[(700, false)]), (3, 900, false));
    }

    #[test]
    fn the_machines_affair_neither_hides_a_poll_nor_counts_beside_it() {
        let (mut outside, _messages) = Outside::new();
        let nothing = || finding("worker 0", Class::Descheduled, 900, false);
        assert_eq!(
            shown_of(&mut outside, [wall(600, true), nothing()]),
            (1, 900, false)
        );
        assert_eq!(shown(&mut outside, &[(300, false)]), (1, 300, false));
        assert_eq!(
            shown_of(&mut outside, [wall(600, true), nothing()]),
            (1, 300, false)
        );
    }

    #[test]
    fn another_threads_poll_does_not_end_one_that_lasts() {
        let (mut outside, _messages) = Outside::new();
        let other = |ms| finding("worker 1", Class::Blocked, ms, false);
        let seen = [wall(600, true), other(40), other(700), other(50)];
        assert_eq!(shown_of(&mut outside, seen), (4, 600, true));
        assert_eq!(shown(&mut outside, &[(650, false)]), (4, 700, false));
    }

    #[test]
    fn what_nobody_says_any_more_does_not_last() {
        let (mut outside, _messages) = Outside::new();
        shown(&mut outside, &[(600, true)]);
        outside.findings[0].forget_that_it_lasts();
        assert_eq!(
            shown(&mut outside, &[]),
            (1, 600, true),
            "its process lives"
        );
        outside.findings[0].pid = u32::MAX;
        outside.findings[0].forget_that_it_lasts();
        assert_eq!(shown(&mut outside, &[]), (1, 600, false));
        // How it ended is told after all.
        outside.findings[0].pid = std::process::id();
        assert_eq!(shown(&mut outside, &[(800, false)]), (1, 800, false));
        assert_eq!(shown(&mut outside, &[(70, false)]), (2, 800, false));
        // Or that it was nothing.
        shown(&mut outside, &[(900, true)]);
        outside.findings[0].pid = u32::MAX;
        outside.findings[0].forget_that_it_lasts();
        assert_eq!(shown(&mut outside, &[]), (3, 900, false));
        outside.findings[0].pid = std::process::id();
        let nothing = finding("worker 0", Class::Descheduled, 950, false);
        assert_eq!(shown_of(&mut outside, [nothing]), (2, 800, false));
    }

    #[test]
    fn the_dashboard_is_told_what_is_new() {
        let (mut outside, mut messages) = Outside::new();
        outside.pass_on();
        assert!(messages.try_recv().is_err(), "of no program");
        shown(&mut outside, &[(600, false)]);
        outside.pass_on();
        assert!(matches!(
            messages.try_recv(),
            Ok(Message::Connection(Connection::Outside))
        ));
        let mut update = || match messages.try_recv() {
            Ok(Message::Update(update)) => *update,
            other => panic!("no update: {other:?}"),
        };
        let first = update();
        assert_eq!(first.process.expect("known").name, "app");
        assert_eq!(first.findings.len(), 1);
        outside.pass_on();
        assert!(update().findings.is_empty(), "nothing is new");
    }
}
