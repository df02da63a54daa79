//! Findings as they come, for whoever sits before the terminal while the command runs.
//!
//! One line for each place when it is first seen; everything else is told at the end. In
//! a file or a CI log the lines would only repeat the report, so there are none.

use std::{collections::HashSet, io, io::IsTerminal, time::Duration};

use asyncwatch_findings::{Class, Code, Finding, Level, message::frame_label};
use tokio::time;

use crate::{
    baseline::Baseline,
    config::Allows,
    gather::Gathering,
    news::News,
    outside::Sampler,
    report::{Roots, clean, say},
    run::child::{Child, Ending},
};

/// How often is looked for news.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Lines that are shown; whoever has so many does not read them one by one.
const LINES_MAX: usize = 20;

/// What was told so far, and what it takes to be told.
pub(crate) struct Progress<'a> {
    pub(crate) caps: &'a [(Code, Level)],
    pub(crate) allows: &'a Allows,
    pub(crate) baseline: Option<&'a Baseline>,
    /// What is slow is known at the end only.
    pub(crate) limit_is_open: bool,
    pub(crate) roots: Roots,
    pub(crate) told: HashSet<(Code, String)>,
}

/// Waits for the command's end, and tells of findings if somebody sees it.
pub(crate) async fn follow(
    child: Child,
    gathering: &mut Gathering,
    sampler: Option<&Sampler>,
    mut progress: Progress<'_>,
) -> anyhow::Result<Ending> {
    if !io::stderr().is_terminal() {
        return child.wait().await;
    }
    let mut ending = std::pin::pin!(child.wait());
    let mut looks = time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            ending = &mut ending => return ending,
            _ = looks.tick() => {
                gathering.read();
                let seen: Vec<Finding> = sampler.into_iter().flat_map(Sampler::news)
                    .filter(|news| !gathering.tells_itself(news.pid()))
                    .filter_map(|news| match news {
                        News::Finding { finding, .. } => Some(*finding),
                        News::Program(_) => None,
                    })
                    .collect();
                let told = gathering.processes().flat_map(|process| process.findings.values());
                for line in progress.news(told.chain(&seen)) {
                    // The command may have left its own progress on the line.
                    say(&format!("\r\u{1b}[Kasyncwatch: {}\n", clean(&line)));
                }
            }
        }
    }
}

impl Progress<'_> {
    /// A line for each finding that was not told before.
    fn news<'f>(&mut self, findings: impl Iterator<Item = &'f Finding>) -> Vec<String> {
        let mut lines = Vec::new();
        for finding in findings {
            if self.told.len() >= LINES_MAX || !self.is_telling(finding) {
                continue;
            }
            if self
                .told
                .insert((finding.code, finding.fingerprint.clone()))
            {
                lines.push(self.line(finding));
                if self.told.len() == LINES_MAX {
                    lines.push("further findings are told at the end".to_owned());
                }
            }
        }
        lines
    }

    /// Whether it is, as far as is known now, what the report will show in full.
    fn is_telling(&self, finding: &Finding) -> bool {
        let cap = self
            .caps
            .iter()
            .rev()
            .find(|(code, _)| *code == finding.code);
        let level = cap.map_or(finding.level, |(_, cap)| finding.level.min(*cap));
        // Names that are still looked up come with the finding's next state.
        let is_named = finding
            .culprit
            .as_ref()
            .is_some_and(|culprit| culprit.line.is_some());
        level > Level::Allow
            && is_named
            && finding.class != Some(Class::Descheduled)
            && !(self.limit_is_open && finding.code == Code::SlowPoll)
            && !self
                .baseline
                .is_some_and(|baseline| baseline.knows(finding))
            && self.allows.of(finding).is_none()
    }

    fn line(&self, finding: &Finding) -> String {
        let place = finding.culprit.as_ref().and_then(|culprit| {
            let file = self.roots.shown(culprit.file.as_deref()?);
            let line = culprit.line?;
            Some(format!(" at {file}:{line} in {}", frame_label(culprit)))
        });
        let place = place.unwrap_or_default();
        format!("{}{place}: {}", finding.code, finding.message)
    }
}

#[cfg(test)]
mod tests {
    use asyncwatch_findings::Frame;

    use super::*;
    use crate::report::samples::{descheduled, never_awaited, slow_poll};

    fn progress<'a>(caps: &'a [(Code, Level)], allows: &'a Allows) -> Progress<'a> {
        Progress {
            caps,
            allows,
            baseline: None,
            limit_is_open: false,
            roots: Roots::of("/build/app".as_ref()),
            told: HashSet::new(),
        }
    }

    #[test]
    fn each_place_is_told_once() {
        let allows = Allows::none();
        let mut progress = progress(&[], &allows);
        let unnamed = Finding {
            culprit: Some(Frame::default()),
            ..slow_poll()
        };
        assert_eq!(progress.news([&unnamed].into_iter()), [""; 0]);
        let first = [slow_poll(), descheduled()];
        assert_eq!(
            progress.news(first.iter()),
            [
                "slow-poll at src/session.rs:42 in app::session::load: task `session` held worker 1 for 512 ms (limit 100 ms)"
            ]
        );
        let both = [slow_poll(), never_awaited(), slow_poll()];
        let lines = progress.news(both.iter());
        assert_eq!(lines.len(), 1);
        assert!(
            lines[0].starts_with("never-awaited at src/mail.rs:7"),
            "{lines:?}"
        );
        assert_eq!(progress.news(both.iter()), [""; 0]);
    }

    #[test]
    fn what_the_report_hides_is_not_told() {
        let allows = Allows::none();
        let one = [slow_poll()];
        let mut lowered = progress(&[(Code::SlowPoll, Level::Allow)], &allows);
        assert_eq!(lowered.news(one.iter()), [""; 0]);
        let mut open = Progress {
            limit_is_open: true,
            ..progress(&[], &allows)
        };
        assert_eq!(open.news(one.iter()), [""; 0]);
    }

    #[test]
    fn many_findings_are_told_at_the_end() {
        let many: Vec<Finding> = (0..50)
            .map(|id| Finding {
                id,
                fingerprint: format!("{id:016x}"),
                ..slow_poll()
            })
            .collect();
        let allows = Allows::none();
        let lines = progress(&[], &allows).news(many.iter());
        assert_eq!(lines.len(), LINES_MAX + 1);
        assert_eq!(lines[LINES_MAX], "further findings are told at the end");
    }
}
