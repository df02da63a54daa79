//! What the sampler sees, in the dashboard's words: for programs that have no server.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use asyncwatch_findings::{Finding, ProcessInfo};
use tokio::sync::mpsc;

use crate::{
    client::{Message, Messages},
    gather::Gathering,
    model::{Connection, LIMITS, Process, Update},
    outside::{News, Sampler},
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

/// A finding of one process, with its number on the dashboard.
struct Kept {
    pid: u32,
    finding: Finding,
    /// It has changed since the dashboard was told.
    news: bool,
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
                self.take(news);
            }
        }
        self.pass_on();
    }

    fn take(&mut self, news: News) {
        match news {
            News::Program(info) => drop(self.program.get_or_insert(*info)),
            News::Finding { pid, finding, .. } => self.merge(pid, *finding),
        }
    }

    fn merge(&mut self, pid: u32, mut finding: Finding) {
        let line = |finding: &Finding| finding.culprit.as_ref().and_then(|frame| frame.line);
        let next_id = self.findings.len() as u64 + 1;
        let known = self.findings.iter_mut().find(|kept| {
            kept.pid == pid
                && kept.finding.fingerprint == finding.fingerprint
                && line(&kept.finding) == line(&finding)
        });
        match known {
            Some(kept) => {
                // A poll that was told while it lasted is told once more at its end.
                let before = &mut kept.finding;
                before.count += u64::from(!before.ongoing);
                before.ongoing = finding.ongoing;
                before.last_unix_ns = finding.last_unix_ns;
                if finding.ongoing || finding.wall >= before.wall {
                    finding.id = before.id;
                    finding.count = before.count;
                    finding.first_unix_ns = before.first_unix_ns;
                    *before = finding;
                }
                kept.news = true;
            }
            None if next_id <= LIMITS.findings as u64 => {
                finding.id = next_id;
                let news = true;
                self.findings.push(Kept { pid, finding, news });
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
            .map(|kept| kept.finding.clone())
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
        let finding = Finding {
            wall: Some(Duration::from_millis(ms)),
            ongoing,
            count: 1,
            ..slow_poll()
        };
        News::Finding {
            pid: 7,
            finding: Box::new(finding),
        }
    }

    fn update(messages: &mut Messages) -> Update {
        match messages.try_recv() {
            Ok(Message::Update(update)) => *update,
            other => panic!("no update: {other:?}"),
        }
    }

    #[test]
    fn a_poll_that_is_told_twice_is_one_and_the_longest_is_shown() {
        let (mut outside, mut messages) = Outside::new();
        outside.take(wall(600, true));
        outside.pass_on();
        assert!(messages.try_recv().is_err(), "of no known program");
        let info = ProcessInfo {
            pid: 7,
            name: "app".to_owned(),
            max_poll_ms: 20.0,
            ..ProcessInfo::default()
        };
        outside.take(News::Program(Box::new(info)));
        outside.pass_on();
        assert!(matches!(
            messages.try_recv(),
            Ok(Message::Connection(Connection::Outside))
        ));
        let first = update(&mut messages);
        assert_eq!(first.process.expect("known").name, "app");
        assert!(first.findings[0].ongoing);
        for news in [wall(900, false), wall(30, false)] {
            outside.take(news);
        }
        outside.pass_on();
        let [finding] = &update(&mut messages).findings[..] else {
            panic!("one place");
        };
        assert_eq!((finding.count, finding.ongoing), (2, false));
        assert_eq!(finding.wall, Some(Duration::from_millis(900)));
        outside.pass_on();
        assert!(update(&mut messages).findings.is_empty(), "nothing is new");
    }
}
