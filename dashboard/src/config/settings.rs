//! How programs are to watch: what the file, the environment and the flags say, the
//! later ones above the earlier.

use std::{ffi::OsString, fmt, str::FromStr, time::Duration};

use asyncwatch_findings::{Code, Level, humanise};

use super::{Config, Said, Source};
use crate::{auto_limit, cli};

/// What asyncio calls slow, and programs take where nobody said anything else.
const DEFAULT_MAX_POLL: Duration = Duration::from_millis(100);

/// What was said on the command line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    pub(crate) max_poll: Option<MaxPoll>,
    pub(crate) levels: Vec<Said<(Code, Level)>>,
    pub(crate) limits: Vec<CodeLimit>,
}

/// How long a poll may hold its thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaxPoll {
    Fixed(Duration),
    /// As follows from how long the polls take: see [`auto_limit`](crate::auto_limit).
    Auto,
}

impl MaxPoll {
    /// What programs are told.
    pub(crate) fn told(self) -> Duration {
        match self {
            MaxPoll::Fixed(limit) => limit,
            MaxPoll::Auto => auto_limit::LIMIT_MIN,
        }
    }
}

impl FromStr for MaxPoll {
    type Err = String;

    fn from_str(text: &str) -> Result<MaxPoll, String> {
        match text {
            "auto" => Ok(MaxPoll::Auto),
            text => cli::parse_limit(text).map(MaxPoll::Fixed),
        }
    }
}

impl fmt::Display for MaxPoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MaxPoll::Fixed(limit) => f.write_str(&humanise(*limit)),
            MaxPoll::Auto => f.write_str("auto"),
        }
    }
}

/// `CODE=VALUE`: from where on something is a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CodeLimit {
    pub(crate) code: Code,
    /// In the unit of the code's limit.
    pub(crate) value: u64,
}

impl FromStr for CodeLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<CodeLimit, String> {
        let (code, value) = text
            .split_once('=')
            .ok_or("write it as CODE=VALUE, for example large-future=64KiB")?;
        let code = code.trim().parse::<Code>().map_err(|e| e.to_string())?;
        let value = read_limit(code, value)?;
        Ok(CodeLimit { code, value })
    }
}

pub(super) fn read_limit(code: Code, text: &str) -> Result<u64, String> {
    match code.limit() {
        Some(limit) => limit.parse(text),
        None if code == Code::SlowPoll => Err("the limit of `slow-poll` is `max_poll`".to_owned()),
        None => Err(format!("`{code}` has no limit")),
    }
}

/// What somebody said, in the order in which later entries win. What nobody said is
/// left to the program, and else to its defaults.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) max_poll: Option<Said<MaxPoll>>,
    pub(crate) grace: Option<Said<Duration>>,
    pub(crate) levels: Vec<Said<(Code, Level)>>,
    pub(crate) limits: Vec<Said<(Code, u64)>>,
    /// What is wrong in the environment, and so ignored.
    pub(crate) mistakes: Vec<String>,
}

impl Settings {
    /// Puts the three together; `environment` is where variables are looked up.
    pub(crate) fn resolve(
        config: &Config,
        environment: impl Fn(&str) -> Option<OsString>,
        flags: &Flags,
    ) -> Settings {
        let mut settings = Settings {
            max_poll: config.max_poll.clone(),
            grace: config.grace.clone(),
            levels: config.levels.clone(),
            limits: config.limits.clone(),
            mistakes: Vec::new(),
        };
        settings.take_environment(environment);
        if let Some(value) = flags.max_poll {
            settings.max_poll = Some(Said {
                value,
                source: Source::Flag("--max-poll"),
            });
        }
        settings.levels.extend(flags.levels.iter().cloned());
        let limits = flags.limits.iter().map(|limit| Said {
            value: (limit.code, limit.value),
            source: Source::Flag("--limit"),
        });
        settings.limits.extend(limits);
        settings
    }

    /// The limit for programs that say nothing about it themselves.
    pub(crate) fn max_poll(&self) -> Duration {
        self.max_poll
            .as_ref()
            .map_or(DEFAULT_MAX_POLL, |said| said.value.told())
    }

    /// How serious a kind of finding is, if somebody said so.
    pub(crate) fn level(&self, code: Code) -> Option<Level> {
        let said = self.levels.iter().rev().find(|said| said.value.0 == code);
        said.map(|said| said.value.1)
    }

    fn take_environment(&mut self, environment: impl Fn(&str) -> Option<OsString>) {
        let get = |name: &str| {
            let value = environment(name).filter(|value| !value.is_empty());
            value.map(|value| value.to_string_lossy().into_owned())
        };
        if let Some(text) = get("ASYNCWATCH_MAX_POLL") {
            let read = text.parse::<MaxPoll>();
            self.take("ASYNCWATCH_MAX_POLL", &text, read, |settings, said| {
                settings.max_poll = Some(said);
            });
        }
        if let Some(text) = get("ASYNCWATCH_GRACE") {
            let read = match text.as_str() {
                "0" => Ok(Duration::ZERO),
                text => cli::parse_duration(text),
            };
            self.take("ASYNCWATCH_GRACE", &text, read, |settings, said| {
                settings.grace = Some(said);
            });
        }
        let levels = get("ASYNCWATCH_LEVELS").unwrap_or_default();
        self.levels.extend(each_entry(
            "ASYNCWATCH_LEVELS",
            &levels,
            &mut self.mistakes,
            |_, level| level.parse::<Level>().map_err(|e| e.to_string()),
        ));
        let limits = get("ASYNCWATCH_LIMITS").unwrap_or_default();
        self.limits.extend(each_entry(
            "ASYNCWATCH_LIMITS",
            &limits,
            &mut self.mistakes,
            read_limit,
        ));
    }

    fn take<T>(
        &mut self,
        name: &'static str,
        text: &str,
        read: Result<T, String>,
        apply: fn(&mut Settings, Said<T>),
    ) {
        match read {
            Ok(value) => apply(
                self,
                Said {
                    value,
                    source: Source::Environment(name),
                },
            ),
            Err(why) => self
                .mistakes
                .push(format!("{name}={text} is ignored: {why}")),
        }
    }

    /// The variables that tell programs all this. Where nothing was said the variable
    /// is empty, so that a mistake in ours is told once and not by every program.
    pub(crate) fn environment(&self) -> [(&'static str, OsString); 4] {
        let ns = |said: Option<Duration>| {
            let ns = said.map(|said| said.as_nanos());
            ns.map_or_else(OsString::new, |ns| format!("{ns}ns").into())
        };
        let max_poll = self.max_poll.as_ref().map(|said| said.value.told());
        let grace = self.grace.as_ref().map(|said| said.value);
        let limits = self.limits.iter().map(|said| {
            let (code, value) = said.value;
            let shown = code
                .limit()
                .map_or_else(String::new, |limit| match limit.unit {
                    asyncwatch_findings::Unit::Time => format!("{value}ns"),
                    _ => value.to_string(),
                });
            format!("{code}={shown}")
        });
        let levels = self.levels.iter().map(|said| {
            let (code, level) = said.value;
            format!("{code}={level}")
        });
        [
            ("ASYNCWATCH_MAX_POLL", ns(max_poll)),
            ("ASYNCWATCH_GRACE", ns(grace)),
            ("ASYNCWATCH_LEVELS", joined(levels)),
            ("ASYNCWATCH_LIMITS", joined(limits)),
        ]
    }

    /// Whether the limit follows from the suite.
    pub(crate) fn is_auto(&self) -> bool {
        let max_poll = self.max_poll.as_ref();
        max_poll.is_some_and(|said| said.value == MaxPoll::Auto)
    }

    /// The same without a limit that follows from a suite: for what is none.
    pub(crate) fn without_auto(mut self) -> Settings {
        if self.is_auto() {
            self.max_poll = None;
        }
        self
    }

    /// The levels alone.
    pub(crate) fn level_pairs(&self) -> Vec<(Code, Level)> {
        self.levels.iter().map(|said| said.value).collect()
    }
}

fn joined(entries: impl Iterator<Item = String>) -> OsString {
    entries.collect::<Vec<_>>().join(",").into()
}

/// `slow-poll=deny,never-awaited=allow`: a mistake in one entry leaves the others alone.
fn each_entry<T, E: fmt::Display>(
    name: &'static str,
    text: &str,
    mistakes: &mut Vec<String>,
    read: impl Fn(Code, &str) -> Result<T, E>,
) -> Vec<Said<(Code, T)>> {
    let mut all = Vec::new();
    let entries = text.split(',').map(str::trim);
    for entry in entries.filter(|entry| !entry.is_empty()) {
        let value = match entry.split_once('=') {
            None => Err("it is not of the form code=value".to_owned()),
            Some((code, value)) => match code.trim().parse::<Code>() {
                Err(why) => Err(why.to_string()),
                Ok(code) => read(code, value.trim())
                    .map(|value| (code, value))
                    .map_err(|why| why.to_string()),
            },
        };
        match value {
            Ok(value) => all.push(Said {
                value,
                source: Source::Environment(name),
            }),
            Err(why) => mistakes.push(format!("`{entry}` in {name} is ignored: {why}")),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file;

    fn resolve(file: &str, environment: &[(&str, &str)], flags: &Flags) -> Settings {
        let config = file::read(file, "asyncwatch.toml").expect("valid");
        let get = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Settings::resolve(&config, get, flags)
    }

    fn max_poll(settings: &Settings) -> Option<(u128, String)> {
        let said = settings.max_poll.as_ref()?;
        Some((said.value.told().as_millis(), said.source.to_string()))
    }

    #[test]
    fn the_environment_wins_over_the_file_and_flags_over_both() {
        let file = "max_poll = \"50ms\"";
        let environment = [("ASYNCWATCH_MAX_POLL", "20ms")];
        let flags = Flags {
            max_poll: Some(MaxPoll::Fixed(Duration::from_millis(10))),
            ..Flags::default()
        };
        let none = Flags::default();
        assert_eq!(max_poll(&resolve("", &[], &none)), None);
        assert_eq!(
            max_poll(&resolve(file, &[], &none)),
            Some((50, "asyncwatch.toml:1".to_owned()))
        );
        assert_eq!(
            max_poll(&resolve(file, &environment, &none)),
            Some((20, "ASYNCWATCH_MAX_POLL".to_owned()))
        );
        assert_eq!(
            max_poll(&resolve(file, &environment, &flags)),
            Some((10, "--max-poll".to_owned()))
        );
    }

    #[test]
    fn programs_are_told_by_their_environment_in_order() {
        let flags = Flags {
            levels: vec![Said {
                value: (Code::SlowPoll, Level::Allow),
                source: Source::Flag("--allow"),
            }],
            limits: vec!["starved-worker=1.5s".parse().expect("valid")],
            ..Flags::default()
        };
        let settings = resolve(
            "grace = \"2s\"\n[levels]\nslow-poll = \"deny\"\n[limits]\nlarge-future = \"64KiB\"",
            &[
                ("ASYNCWATCH_LEVELS", "slow-poll=warn"),
                ("ASYNCWATCH_LIMITS", "task-leaked=50"),
            ],
            &flags,
        );
        let told = settings
            .environment()
            .map(|(name, value)| format!("{name}={}", value.to_string_lossy()));
        assert_eq!(
            told,
            [
                "ASYNCWATCH_MAX_POLL=",
                "ASYNCWATCH_GRACE=2000000000ns",
                "ASYNCWATCH_LEVELS=slow-poll=deny,slow-poll=warn,slow-poll=allow",
                "ASYNCWATCH_LIMITS=large-future=65536,task-leaked=50,starved-worker=1500000000ns",
            ]
        );
    }

    #[test]
    fn mistakes_in_the_environment_are_told_and_spoil_nothing_else() {
        let settings = resolve(
            "max_poll = \"50ms\"",
            &[
                ("ASYNCWATCH_MAX_POLL", "soon"),
                (
                    "ASYNCWATCH_LEVELS",
                    "slow-pole=warn, never-awaited = allow,,slow-poll,slow-poll=no",
                ),
            ],
            &Flags::default(),
        );
        assert_eq!(max_poll(&settings).map(|(ms, _)| ms), Some(50));
        assert_eq!(settings.level_pairs(), [(Code::NeverAwaited, Level::Allow)]);
        assert_eq!(
            settings.mistakes,
            [
                "ASYNCWATCH_MAX_POLL=soon is ignored: expected number at 0; write it as `10s`, `250ms` or `1.5s`",
                "`slow-pole=warn` in ASYNCWATCH_LEVELS is ignored: unknown finding code `slow-pole`; did you mean `slow-poll`?",
                "`slow-poll` in ASYNCWATCH_LEVELS is ignored: it is not of the form code=value",
                "`slow-poll=no` in ASYNCWATCH_LEVELS is ignored: unknown level `no`; known are allow, warn, deny",
            ]
        );
    }

    #[test]
    fn limits_are_read_from_words() {
        let wrong = |text: &str| text.parse::<CodeLimit>().expect_err("wrong");
        assert!(wrong("large-future").contains("CODE=VALUE"));
        assert!(wrong("large-future=5s").contains("64KiB"));
        assert!(wrong("slow-poll=5s").contains("max_poll"));
        assert!(wrong("never-awaited=5").contains("has no limit"));
    }
}
