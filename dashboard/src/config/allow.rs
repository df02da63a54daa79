//! Findings that a project knows and allows, each with a reason and perhaps a last day.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use asyncwatch_findings::{
    Allowed, Class, Code, Finding, Frame, Location, SourceFiles, function_around,
    message::frame_label,
};
use glob::{MatchOptions, Pattern};
use serde::{Deserialize, Serialize};

use super::{
    Source,
    file::{Reader, Value},
};

const KEYS: &[&str] = &[
    "site",
    "fingerprint",
    "spawned",
    "code",
    "reason",
    "expires",
];

const REASON: &str = "say why, as in reason = \"rewritten in Q3\"";

/// One `[[allow]]` entry: it allows what all its conditions hold for.
#[derive(Clone, Debug)]
pub(crate) struct Allow {
    pub(crate) site: Option<Site>,
    pub(crate) fingerprint: Option<String>,
    pub(crate) spawned: Option<Spawned>,
    pub(crate) code: Option<Code>,
    pub(crate) reason: String,
    pub(crate) expires: Option<Day>,
    /// Where it is written.
    pub(crate) source: Source,
}

/// Where the culprit is: `src/legacy/*.rs` or `src/legacy/*.rs:load`.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) text: String,
    file: Pattern,
    function: Option<String>,
}

/// Where the task was spawned: `src/main.rs:30`.
#[derive(Clone, Debug)]
pub(crate) struct Spawned {
    pub(crate) text: String,
    file: Pattern,
    line: Option<u32>,
}

/// The last day on which an entry applies.
#[derive(Clone, Debug)]
pub(crate) struct Day {
    pub(crate) text: String,
    /// When it is over, in UTC.
    over: SystemTime,
}

/// Reads the list.
pub(super) fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Vec<Allow> {
    let Some(list) = value.get_ref().as_array() else {
        let what = "`allow` is a list: write [[allow]] above each entry";
        reader.mistake(value.span(), what);
        return Vec::new();
    };
    list.iter()
        .filter_map(|value| entry(reader, value))
        .collect()
}

fn entry(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Allow> {
    let Some(table) = value.get_ref().as_table() else {
        reader.mistake(value.span(), "write [[allow]] and its keys below it");
        return None;
    };
    let mut allow = Allow {
        site: None,
        fingerprint: None,
        spawned: None,
        code: None,
        reason: String::new(),
        expires: None,
        source: reader.source(&value.span()),
    };
    let has = |name: &str| table.keys().any(|key| &**key.get_ref() == name);
    if !has("reason") {
        reader.mistake(value.span(), format!("there is no `reason`: {REASON}"));
    }
    if !["site", "fingerprint", "spawned"].into_iter().any(has) {
        let what = "it does not say what is allowed: add `site`, `fingerprint` or `spawned`; a whole kind of finding is allowed under [levels]";
        reader.mistake(value.span(), what);
    }
    for (key, value) in table {
        if !KEYS.contains(&&**key.get_ref()) {
            reader.unknown_key(key, KEYS);
            continue;
        }
        // A day may be written without quotes, as TOML has days.
        let day = value.get_ref().as_datetime().map(ToString::to_string);
        let text = match &day {
            Some(day) if **key.get_ref() == *"expires" => Some(day.as_str()),
            _ => reader.text(value, &format!("{} = \"…\"", key.get_ref())),
        };
        if let Some(text) = text
            && let Err(why) = allow.set(key.get_ref(), text)
        {
            reader.mistake(value.span(), why);
        }
    }
    Some(allow)
}

impl Allow {
    fn set(&mut self, key: &str, text: &str) -> Result<(), String> {
        match key {
            "site" => self.site = Some(Site::read(text)?),
            "fingerprint" => self.fingerprint = Some(fingerprint(text)?),
            "spawned" => self.spawned = Some(Spawned::read(text)?),
            "code" => self.code = Some(text.parse::<Code>().map_err(|e| e.to_string())?),
            "expires" => self.expires = Some(Day::read(text)?),
            _ if text.trim().is_empty() => return Err(format!("the reason is empty: {REASON}")),
            _ => text.trim().clone_into(&mut self.reason),
        }
        Ok(())
    }

    fn matches(&self, finding: &Finding, base: &Path) -> bool {
        let spawned = finding
            .task
            .as_ref()
            .and_then(|task| task.spawned_at.as_ref());
        let holds = |at: Option<bool>| at.unwrap_or(true);
        holds(self.code.map(|code| code == finding.code))
            && holds((self.fingerprint.as_ref()).map(|known| *known == finding.fingerprint))
            && holds((self.site.as_ref()).map(|site| site.matches(finding.culprit.as_ref(), base)))
            && holds((self.spawned.as_ref()).map(|known| known.matches(spawned, base)))
    }
}

fn fingerprint(text: &str) -> Result<String, String> {
    let text = text.trim().to_ascii_lowercase();
    if text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(text);
    }
    Err(format!(
        "`{text}` is no fingerprint: these are the 16 hexadecimal digits that a JSON report tells of each finding"
    ))
}

fn pattern(text: &str) -> Result<Pattern, String> {
    let text = text.strip_prefix("./").unwrap_or(text);
    Pattern::new(text).map_err(|why| format!("`{text}` is no pattern for files: {}", why.msg))
}

impl Site {
    fn read(text: &str) -> Result<Site, String> {
        let (file, function) = match text.split_once(':') {
            Some((file, function)) => (file, Some(function.trim_start_matches(':').trim())),
            None => (text, None),
        };
        if let Some(line) = function.filter(|f| f.starts_with(|c: char| c.is_ascii_digit())) {
            return Err(format!(
                "line {line} moves with every edit; name the function instead, as in \"{file}:load\""
            ));
        }
        Ok(Site {
            text: text.to_owned(),
            file: pattern(file)?,
            function: function.filter(|f| !f.is_empty()).map(str::to_owned),
        })
    }

    fn matches(&self, culprit: Option<&Frame>, base: &Path) -> bool {
        let Some((frame, file)) = culprit.and_then(|frame| Some((frame, frame.file.as_deref()?)))
        else {
            return false;
        };
        file_matches(&self.file, file, base)
            && self.function.as_deref().is_none_or(|function| {
                let around = frame
                    .line
                    .and_then(|line| function_around(&SourceFiles, Path::new(file), line));
                is_called(&frame_label(frame), function)
                    || around.is_some_and(|around| is_called(&around, function))
            })
    }
}

/// Whether a function's path ends in `name`: `app::session::load` in `session::load`.
fn is_called(path: &str, name: &str) -> bool {
    path.strip_suffix(name)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with("::"))
}

impl Spawned {
    fn read(text: &str) -> Result<Spawned, String> {
        let mut parts = text.splitn(2, ':');
        let file = parts.next().unwrap_or_default();
        let line = match parts.next() {
            None => None,
            // A column may follow, as findings show it.
            Some(rest) => {
                let line = rest.split(':').next().unwrap_or_default();
                Some(line.trim().parse().map_err(|_| {
                    format!("`{rest}` is no line; write the place as in \"src/main.rs:30\"")
                })?)
            }
        };
        Ok(Spawned {
            text: text.to_owned(),
            file: pattern(file)?,
            line,
        })
    }

    fn matches(&self, at: Option<&Location>, base: &Path) -> bool {
        at.is_some_and(|at| {
            self.line.is_none_or(|line| line == at.line) && file_matches(&self.file, &at.file, base)
        })
    }
}

/// Whether a file is meant by a pattern that is relative to `base`.
///
/// Programs name files by absolute paths or relative to where they were built. Of a
/// path that leads elsewhere, as of a program built on another machine, any end may
/// match.
fn file_matches(pattern: &Pattern, file: &str, base: &Path) -> bool {
    let options = MatchOptions {
        require_literal_separator: true,
        ..MatchOptions::new()
    };
    let matches = |file: &str| pattern.matches_with(file, options);
    let absolute = match Path::new(file).is_absolute() {
        true => PathBuf::from(file),
        false => {
            let mut candidates = base.ancestors().map(|above| above.join(file));
            let found = candidates.find(|path| path.is_file());
            found.unwrap_or_else(|| base.join(file))
        }
    };
    if matches(file) {
        return true;
    }
    match absolute.strip_prefix(base) {
        Ok(relative) => matches(&relative.to_string_lossy()),
        Err(_) => file
            .match_indices('/')
            .any(|(slash, _)| matches(&file[slash + 1..])),
    }
}

impl Day {
    fn read(text: &str) -> Result<Day, String> {
        let wrong = || format!("`{text}` is no day; write it as in \"2027-03-01\"");
        if text.len() != "2027-03-01".len() {
            return Err(wrong());
        }
        let begins = humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).map_err(|_| wrong())?;
        Ok(Day {
            text: text.to_owned(),
            over: begins + Duration::from_secs(24 * 60 * 60),
        })
    }
}

/// All entries, and which of them were of use.
#[derive(Debug)]
pub(crate) struct Allows {
    entries: Vec<Allow>,
    base: PathBuf,
    today: SystemTime,
    /// How many findings each entry matched.
    matched: RefCell<Vec<u64>>,
}

/// An entry that did nothing, as reports tell it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unused {
    /// Where it is written.
    pub(crate) source: String,
    pub(crate) site: Option<String>,
    pub(crate) fingerprint: Option<String>,
    pub(crate) spawned: Option<String>,
    pub(crate) code: Option<Code>,
    pub(crate) reason: String,
    /// Its last day.
    pub(crate) expires: Option<String>,
    pub(crate) why: Why,
    /// How many findings it would allow, were it not expired.
    #[serde(default)]
    pub(crate) matched: u64,
}

/// Why an entry did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Why {
    /// No finding is like it.
    Unmatched,
    /// Its last day is over.
    Expired,
}

impl Unused {
    fn new(allow: &Allow, why: Why, matched: u64) -> Unused {
        Unused {
            source: allow.source.to_string(),
            site: allow.site.as_ref().map(|site| site.text.clone()),
            fingerprint: allow.fingerprint.clone(),
            spawned: allow.spawned.as_ref().map(|at| at.text.clone()),
            code: allow.code,
            reason: allow.reason.clone(),
            expires: allow.expires.as_ref().map(|day| day.text.clone()),
            why,
            matched,
        }
    }

    /// What it allows, as written.
    pub(crate) fn what(&self) -> String {
        let quoted = |text: &str| format!("`{text}`");
        let parts = [
            self.code.map(|code| code.to_string()),
            self.site.as_deref().map(quoted),
            self.fingerprint.as_deref().map(quoted),
            (self.spawned.as_deref()).map(|at| format!("spawned at {}", quoted(at))),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        parts.join(" ")
    }
}

impl Allows {
    pub(crate) fn new(entries: Vec<Allow>, base: Option<&Path>, today: SystemTime) -> Allows {
        Allows {
            matched: RefCell::new(vec![0; entries.len()]),
            entries,
            base: base.map_or_else(PathBuf::new, Path::to_owned),
            today,
        }
    }

    /// None.
    #[cfg(test)]
    pub(crate) fn none() -> Allows {
        Allows::new(Vec::new(), None, SystemTime::UNIX_EPOCH)
    }

    /// Why a finding is allowed, if it is; of several entries the last one tells. What
    /// only lacked a CPU needs no allowing.
    pub(crate) fn of(&self, finding: &Finding) -> Option<Allowed> {
        if finding.class == Some(Class::Descheduled) || finding.allowed.is_some() {
            return None;
        }
        let mut matched = self.matched.borrow_mut();
        let mut allowed = None;
        for (entry, matched) in self.entries.iter().zip(matched.iter_mut()) {
            if entry.matches(finding, &self.base) {
                *matched += 1;
                if !self.is_expired(entry) {
                    allowed = Some(Allowed {
                        reason: entry.reason.clone(),
                        source: entry.source.to_string(),
                    });
                }
            }
        }
        allowed
    }

    /// Entries that allowed nothing of what was asked.
    pub(crate) fn unused(&self) -> Vec<Unused> {
        let matched = self.matched.borrow();
        let entries = self.entries.iter().zip(matched.iter());
        entries
            .filter_map(|(allow, &matched)| {
                let why = match (self.is_expired(allow), matched) {
                    (true, _) => Why::Expired,
                    (false, 0) => Why::Unmatched,
                    (false, _) => return None,
                };
                Some(Unused::new(allow, why, matched))
            })
            .collect()
    }

    fn is_expired(&self, allow: &Allow) -> bool {
        allow
            .expires
            .as_ref()
            .is_some_and(|day| self.today >= day.over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::file, report::samples::slow_poll};

    fn allows(entry: &str, today: &str) -> Allows {
        let text = format!("[[allow]]\nreason = \"r\"\n{entry}");
        let config = file::read(&text, "asyncwatch.toml").expect("valid");
        let today = humantime::parse_rfc3339(&format!("{today}T12:00:00Z")).expect("a day");
        Allows::new(config.allow, Some(Path::new("/build/app")), today)
    }

    /// Whether an entry allows the sample, which is at /build/app/src/session.rs:42 in
    /// app::session::load, spawned at src/main.rs:30:5.
    fn allowed(entry: &str) -> bool {
        allows(entry, "2026-11-21").of(&slow_poll()).is_some()
    }

    #[test]
    fn sites_match_by_file_and_function() {
        for (site, expected) in [
            ("src/session.rs", true),
            ("src/*.rs", true),
            ("**/*.rs", true),
            ("./src/session.rs", true),
            ("/build/app/src/session.rs", true),
            ("src/session.rs:load", true),
            ("src/session.rs:session::load", true),
            ("src/session.rs:oad", false),
            ("src/session.rs:store", false),
            ("*.rs", false),
            ("session.rs", false),
            ("app/src/session.rs", false),
            ("src/mail.rs", false),
        ] {
            assert_eq!(allowed(&format!("site = \"{site}\"")), expected, "{site}");
        }
    }

    #[test]
    fn files_of_another_machine_match_by_their_end() {
        let mut finding = slow_poll();
        let elsewhere = "/home/ci/77/app/src/session.rs".to_owned();
        finding.culprit.as_mut().expect("has one").file = Some(elsewhere);
        let of = |site: &str| {
            let allows = allows(&format!("site = \"{site}\""), "2026-11-21");
            allows.of(&finding).is_some()
        };
        assert!(of("src/session.rs"));
        assert!(of("src/*.rs"));
        assert!(!of("rc/session.rs"));
    }

    #[test]
    fn tasks_match_by_where_they_were_spawned() {
        for (at, expected) in [
            ("src/main.rs:30", true),
            ("src/main.rs:30:5", true),
            ("src/main.rs", true),
            ("src/main.rs:31", false),
            ("src/other.rs:30", false),
        ] {
            assert_eq!(allowed(&format!("spawned = \"{at}\"")), expected, "{at}");
        }
    }

    #[test]
    fn all_conditions_have_to_hold() {
        let print = "fingerprint = \"0123456789ABCDEF\"";
        assert!(allowed(print));
        assert!(allowed(&format!("{print}\ncode = \"slow-poll\"")));
        assert!(!allowed(&format!("{print}\ncode = \"self-wake\"")));
        assert!(!allowed(&format!("{print}\nsite = \"src/mail.rs\"")));
    }

    #[test]
    fn an_entry_applies_up_to_its_last_day() {
        for expires in ["expires = \"2027-03-01\"", "expires = 2027-03-01"] {
            let entry = format!("site = \"src/session.rs\"\n{expires}");
            let on = |today: &str| allows(&entry, today).of(&slow_poll()).is_some();
            assert!(on("2027-02-28"));
            assert!(on("2027-03-01"));
            assert!(!on("2027-03-02"));
        }
    }

    #[test]
    fn entries_that_did_nothing_are_told() {
        let why = |entry: &str| {
            let allows = allows(entry, "2026-11-21");
            allows.of(&slow_poll());
            let unused = allows.unused();
            unused.first().map(|unused| (unused.why, unused.matched))
        };
        assert_eq!(why("site = \"src/session.rs\""), None);
        assert_eq!(why("site = \"src/gone.rs\""), Some((Why::Unmatched, 0)));
        let expired = "site = \"src/session.rs\"\nexpires = 2026-01-01";
        assert_eq!(why(expired), Some((Why::Expired, 1)));
    }
}
