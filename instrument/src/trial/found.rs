//! What was found of each test that runs, until its verdict.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

use asyncwatch_findings::{
    Allowed, Class, Code, Finding, Level, RenderOptions, SourceFiles, render,
};

use super::active;

/// Places told of one test; there is no end to reading more.
const FINDINGS_MAX: usize = 16;

static FOUND: LazyLock<Mutex<HashMap<u64, Found>>> = LazyLock::new(Mutex::default);

/// What was found of one test that its rules deny.
#[derive(Debug, Default)]
pub(super) struct Found {
    name: &'static str,
    findings: Vec<Finding>,
    /// At further places.
    beyond: u64,
}

pub(super) fn begin(runtime: u64, name: &'static str) {
    let found = Found {
        name,
        ..Found::default()
    };
    all().insert(runtime, found);
}

pub(super) fn end(runtime: u64) -> Found {
    all().remove(&runtime).unwrap_or_default()
}

fn all() -> MutexGuard<'static, HashMap<u64, Found>> {
    FOUND.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Judges an occurrence on `runtime` by the rules of the test that runs there: raises
/// its level, and remembers it for the verdict, or allows it.
pub(crate) fn note(occurrence: &mut Finding, runtime: u64) {
    match active::level_on(runtime, occurrence.code) {
        Some(Level::Allow) => excuse(occurrence, runtime),
        Some(Level::Deny) if is_guilty(occurrence) => {
            occurrence.level = Level::Deny;
            if !occurrence.ongoing
                && let Some(found) = all().get_mut(&runtime)
            {
                found.add(occurrence);
            }
        }
        _ => {}
    }
}

/// What only lacked a CPU is nobody's fault, and what nobody saw may have been meant.
fn is_guilty(occurrence: &Finding) -> bool {
    let innocent = occurrence.code == Code::SlowPoll && occurrence.level == Level::Allow;
    !innocent && occurrence.class != Some(Class::Descheduled) && occurrence.allowed.is_none()
}

/// Has an occurrence on `runtime` only counted if the test that runs there allows it.
pub(crate) fn excuse(occurrence: &mut Finding, runtime: u64) {
    if active::level_on(runtime, occurrence.code) != Some(Level::Allow) {
        return;
    }
    let name = all().get(&runtime).map_or("", |found| found.name);
    occurrence.level = Level::Allow;
    occurrence.allowed = Some(Allowed {
        reason: format!("the test allows {}", occurrence.code),
        source: format!("test `{name}`"),
    });
}

impl Found {
    fn add(&mut self, occurrence: &Finding) {
        let line = |finding: &Finding| finding.culprit.as_ref().and_then(|frame| frame.line);
        let known = self.findings.iter().position(|known| {
            known.fingerprint == occurrence.fingerprint && line(known) == line(occurrence)
        });
        if let Some(at) = known {
            let known = &mut self.findings[at];
            let count = known.count + occurrence.count;
            if occurrence.wall > known.wall {
                *known = occurrence.clone();
            }
            known.count = count;
        } else if self.findings.len() < FINDINGS_MAX {
            self.findings.push(occurrence.clone());
        } else {
            self.beyond += 1;
        }
    }

    /// The kinds of what was found, in the order of their documentation.
    pub(super) fn codes(&self) -> impl Iterator<Item = Code> {
        let codes: BTreeSet<Code> = self.findings.iter().map(|finding| finding.code).collect();
        codes.into_iter()
    }

    /// As text, each as it reads elsewhere; `None` if nothing was found.
    pub(super) fn render(&self) -> Option<String> {
        if self.findings.is_empty() {
            return None;
        }
        let base = std::env::current_dir().ok();
        let options = RenderOptions {
            base: base.as_deref(),
            source: &SourceFiles,
            ..RenderOptions::default()
        };
        let texts = self
            .findings
            .iter()
            .map(|finding| render(finding, &options));
        let mut text = texts.collect::<Vec<_>>().join("\n");
        if self.beyond > 0 {
            text += &format!("\nand {} more at other places\n", self.beyond);
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn occurrence(place: &str, ms: u64) -> Finding {
        Finding {
            fingerprint: place.to_owned(),
            wall: Some(Duration::from_millis(ms)),
            class: Some(Class::Blocked),
            ..Finding::new(Code::SlowPoll, Level::Deny, format!("held for {ms} ms"), 0)
        }
    }

    #[test]
    fn one_place_is_told_once_at_its_worst() {
        let mut found = Found::default();
        for ms in [30, 80, 50] {
            found.add(&occurrence("here", ms));
        }
        found.add(&occurrence("there", 10));
        let counts: Vec<_> = found
            .findings
            .iter()
            .map(|f| (&*f.message, f.count))
            .collect();
        assert_eq!(counts, [("held for 80 ms", 3), ("held for 10 ms", 1)]);
    }

    #[test]
    fn there_is_an_end_to_places() {
        let mut found = Found::default();
        for place in 0..40 {
            found.add(&occurrence(&place.to_string(), 10));
        }
        assert_eq!((found.findings.len(), found.beyond), (FINDINGS_MAX, 24));
        assert!(
            found
                .render()
                .expect("text")
                .ends_with("and 24 more at other places\n")
        );
    }

    #[test]
    fn what_had_no_cpu_or_was_not_seen_is_innocent() {
        assert!(is_guilty(&occurrence("here", 30)));
        let descheduled = Finding {
            class: Some(Class::Descheduled),
            ..occurrence("here", 30)
        };
        assert!(!is_guilty(&descheduled));
        let unseen = Finding {
            level: Level::Allow,
            ..occurrence("here", 30)
        };
        assert!(!is_guilty(&unseen));
    }
}
