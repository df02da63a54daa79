//! What the program and its environment ask for.
//!
//! The environment wins over the builder: whoever runs the program has the last
//! word. A wrong value is a warning and the default, never an error: a typo in a
//! debugging aid must not stop a service.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use asyncwatch_findings::{Code, Level, Setting, humanise};

use crate::report::sink::{Finding, Sink};

/// Default of [`Builder::max_poll`]: what asyncio calls slow.
pub const DEFAULT_MAX_POLL: Duration = Duration::from_millis(100);

/// Default of [`Builder::addr`].
pub const DEFAULT_ADDR: &str = "127.0.0.1:6670";

const MAX_POLL_MIN: Duration = crate::settings::LIMIT_MIN;

/// How polls are timed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timing {
    /// One timestamp per poll: exact busy times, longest polls, histograms.
    #[default]
    Exact,
    /// No clock on the poll path: polls are counted, and slow ones found and dated
    /// by the watchdog, to within an eighth of the limit.
    Light,
}

impl Timing {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Timing::Exact => "exact",
            Timing::Light => "light",
        }
    }
}

impl FromStr for Timing {
    type Err = String;

    fn from_str(text: &str) -> Result<Timing, String> {
        match text {
            "exact" => Ok(Timing::Exact),
            "light" => Ok(Timing::Light),
            other => Err(format!("`{other}` is neither `exact` nor `light`")),
        }
    }
}

/// Who said a setting.
type Source = &'static str;

const DEFAULT: Source = "default";
const BUILDER: Source = "builder";

/// Configures asyncwatch before it starts; [`install`](Builder::install) starts it.
#[derive(Clone, Debug)]
pub struct Builder {
    pub(crate) on: bool,
    pub(crate) max_poll: Duration,
    pub(crate) grace: Duration,
    pub(crate) timing: Timing,
    pub(crate) addr: Option<SocketAddr>,
    pub(crate) report: Option<PathBuf>,
    pub(crate) warnings: Vec<String>,
    pub(crate) on_finding: Option<Sink>,
    levels: Vec<(Code, Level, Source)>,
    limits: Vec<(Code, u64, Source)>,
    /// It runs under `asyncwatch check`, whose levels are the defaults.
    checked: bool,
    /// Of the settings that are one value, those that somebody said.
    sources: BTreeMap<&'static str, Source>,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

impl Builder {
    /// The defaults.
    pub fn new() -> Builder {
        Builder {
            on: true,
            max_poll: DEFAULT_MAX_POLL,
            grace: Duration::ZERO,
            timing: Timing::default(),
            addr: DEFAULT_ADDR.parse().ok(),
            report: None,
            warnings: Vec::new(),
            levels: Vec::new(),
            limits: Vec::new(),
            on_finding: None,
            checked: false,
            sources: BTreeMap::new(),
        }
    }

    /// A poll that holds its thread for this long or longer is a slow poll.
    ///
    /// Default [`DEFAULT_MAX_POLL`]; environment `ASYNCWATCH_MAX_POLL`, as in `20ms`
    /// or `1.5s`. A shorter limit makes the watchdog look more often: 8 times per
    /// limit, but no more than 1,000 times a second. Limits under 1 ms are raised to it.
    #[must_use]
    pub fn max_poll(mut self, limit: Duration) -> Builder {
        self.max_poll = limit.max(MAX_POLL_MIN);
        self.sources.insert("max_poll", BUILDER);
        self
    }

    /// For how long after the start findings are only counted, because a program that
    /// starts may block on purpose: reads its configuration, fills its caches.
    ///
    /// Default none; environment `ASYNCWATCH_GRACE`, as in `2s`. Findings of this time
    /// have level allow and say why. A poll that goes on past it for the limit or
    /// longer is a finding like any other.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Builder {
        self.grace = grace;
        self.sources.insert("grace", BUILDER);
        self
    }

    /// How polls are timed. Default [`Timing::Exact`]; environment `ASYNCWATCH_TIMING`.
    #[must_use]
    pub fn timing(mut self, timing: Timing) -> Builder {
        self.timing = timing;
        self.sources.insert("timing", BUILDER);
        self
    }

    /// Where the server for the dashboard listens. Default [`DEFAULT_ADDR`];
    /// environment `ASYNCWATCH_ADDR`, where `off` means no server.
    ///
    /// Only loopback addresses are served, because the server knows no passwords. If
    /// the port is taken, the next free one is used; port 0 lets the system choose.
    #[must_use]
    pub fn addr(mut self, addr: SocketAddr) -> Builder {
        self.set_addr(addr, "addr", BUILDER);
        self
    }

    /// No server: findings go to the log and the report only.
    #[must_use]
    pub fn no_server(mut self) -> Builder {
        self.addr = None;
        self.sources.insert("addr", BUILDER);
        self
    }

    /// How seriously to take a kind of finding. Default [`Code::default_level`];
    /// environment `ASYNCWATCH_LEVELS`, as in `slow-poll=deny,never-awaited=allow`.
    #[must_use]
    pub fn level(mut self, code: Code, level: Level) -> Builder {
        self.levels.push((code, level, BUILDER));
        self
    }

    /// From where on something is a finding of kind `code`, written as in
    /// `64KiB`, `250ms` or `10`; the unit and the default are on the code's page.
    /// Environment `ASYNCWATCH_LIMITS`, as in `large-future=64KiB,task-leaked=50`.
    ///
    /// A wrong value is warned of when asyncwatch starts, and the default used.
    #[must_use]
    pub fn limit(mut self, code: Code, limit: &str) -> Builder {
        if let Err(why) = self.set_limit(code, limit, BUILDER) {
            self.warnings
                .push(format!("limit({code}) is ignored: {why}"));
        }
        self
    }

    /// The directory to which findings are appended, one file per process; it must
    /// exist. Default none; environment `ASYNCWATCH_REPORT`.
    #[must_use]
    pub fn report(mut self, directory: impl Into<PathBuf>) -> Builder {
        self.report = Some(directory.into());
        self.sources.insert("report", BUILDER);
        self
    }

    /// Calls `function` with every finding that is not allowed: when it is new, when
    /// it was seen again, and when more of it is known. Default none.
    ///
    /// It is called on a thread of asyncwatch's, one call after the other; while it
    /// takes its time, later findings wait in a bounded queue, and what does not fit
    /// is counted. If it panics, that is said, and it is not called again.
    #[must_use]
    pub fn on_finding(mut self, function: impl Fn(Finding<'_>) + Send + Sync + 'static) -> Builder {
        self.on_finding = Some(Sink::new(function));
        self
    }

    /// Starts asyncwatch in this process, with the environment's word over this
    /// builder's; `false` if it runs already or the environment says `ASYNCWATCH=0`.
    ///
    /// The first call in a process counts. It starts two threads, and a third for
    /// the server; it takes about 2 ms, to measure the clock.
    pub fn install(self) -> bool {
        crate::install_with(self)
    }

    pub(crate) fn level_of(&self, code: Code) -> Level {
        self.level_and_source(code).0
    }

    fn level_and_source(&self, code: Code) -> (Level, Source) {
        let said = self.levels.iter().rev().find(|(of, ..)| *of == code);
        match said {
            Some((_, level, source)) => (*level, source),
            None if self.checked => (code.check_level(), DEFAULT),
            None => (code.default_level(), DEFAULT),
        }
    }

    pub(crate) fn limit_of(&self, code: Code) -> u64 {
        self.limit_and_source(code).0
    }

    fn limit_and_source(&self, code: Code) -> (u64, Source) {
        let said = self.limits.iter().rev().find(|(of, ..)| *of == code);
        said.map(|(_, limit, source)| (*limit, *source))
            .or(code.limit().map(|limit| (limit.default, DEFAULT)))
            .unwrap_or((u64::MAX, DEFAULT))
    }

    /// Every setting, with who said so.
    pub(crate) fn settings(&self) -> Vec<Setting> {
        let setting = |name: String, value: String, source: Source| Setting {
            name,
            value,
            source: source.to_owned(),
        };
        let one = |name: &'static str, value: String| {
            let source = self.sources.get(name).copied().unwrap_or(DEFAULT);
            setting(name.to_owned(), value, source)
        };
        let addr = self.addr.map_or("off".to_owned(), |addr| addr.to_string());
        let grace = match self.grace {
            Duration::ZERO => "none".to_owned(),
            grace => humanise(grace),
        };
        let mut all = vec![
            one("max_poll", humanise(self.max_poll)),
            one("grace", grace),
            one("timing", self.timing.as_str().to_owned()),
            one("addr", addr),
        ];
        for &code in Code::ALL {
            let (level, source) = self.level_and_source(code);
            all.push(setting(format!("levels.{code}"), level.to_string(), source));
        }
        for &code in Code::ALL {
            if let Some(limit) = code.limit() {
                let (value, source) = self.limit_and_source(code);
                all.push(setting(format!("limits.{code}"), limit.show(value), source));
            }
        }
        all
    }

    fn set_limit(&mut self, code: Code, text: &str, source: Source) -> Result<(), String> {
        let limit = code
            .limit()
            .ok_or_else(|| match code {
                Code::SlowPoll => "the limit of `slow-poll` is `max_poll`".to_owned(),
                _ => format!("`{code}` has no limit"),
            })?
            .parse(text)?;
        self.limits.push((code, limit, source));
        Ok(())
    }

    /// Applies the environment.
    pub(crate) fn with_environment(self) -> Builder {
        self.with(|name| env::var_os(name))
    }

    fn with(mut self, get: impl Fn(&str) -> Option<OsString>) -> Builder {
        let mut each = |name: &str, apply: fn(&mut Builder, &str) -> Result<(), String>| {
            let Some(value) = get(name).filter(|value| !value.is_empty()) else {
                return;
            };
            let value = value.to_string_lossy();
            if let Err(why) = apply(&mut self, &value) {
                self.warnings.push(format!("{name} is ignored: {why}"));
            }
        };
        each("ASYNCWATCH", Builder::env_on);
        each("ASYNCWATCH_CHECK", Builder::env_check);
        each("ASYNCWATCH_MAX_POLL", Builder::env_max_poll);
        each("ASYNCWATCH_GRACE", Builder::env_grace);
        each("ASYNCWATCH_TIMING", Builder::env_timing);
        each("ASYNCWATCH_ADDR", Builder::env_addr);
        each("ASYNCWATCH_REPORT", Builder::env_report);
        each("ASYNCWATCH_LEVELS", Builder::env_levels);
        each("ASYNCWATCH_LIMITS", Builder::env_limits);
        self
    }

    fn env_on(&mut self, value: &str) -> Result<(), String> {
        self.on = match value {
            "0" | "off" | "false" => false,
            "1" | "on" | "true" => true,
            other => return Err(format!("`{other}` is neither 0 nor 1")),
        };
        Ok(())
    }

    fn env_check(&mut self, value: &str) -> Result<(), String> {
        self.checked = match value {
            "0" => false,
            "1" => true,
            other => return Err(format!("`{other}` is neither 0 nor 1")),
        };
        Ok(())
    }

    fn env_grace(&mut self, value: &str) -> Result<(), String> {
        self.grace = match value {
            "0" => Duration::ZERO,
            value => parse_duration(value)?,
        };
        self.sources.insert("grace", "ASYNCWATCH_GRACE");
        Ok(())
    }

    fn env_max_poll(&mut self, value: &str) -> Result<(), String> {
        let limit = parse_duration(value)?;
        if limit < MAX_POLL_MIN {
            self.warnings.push(format!(
                "ASYNCWATCH_MAX_POLL is raised from `{value}` to 1ms, the shortest limit"
            ));
        }
        self.max_poll = limit.max(MAX_POLL_MIN);
        self.sources.insert("max_poll", "ASYNCWATCH_MAX_POLL");
        Ok(())
    }

    fn env_timing(&mut self, value: &str) -> Result<(), String> {
        self.timing = value.parse()?;
        self.sources.insert("timing", "ASYNCWATCH_TIMING");
        Ok(())
    }

    fn env_addr(&mut self, value: &str) -> Result<(), String> {
        if value == "off" {
            self.addr = None;
            self.sources.insert("addr", "ASYNCWATCH_ADDR");
            return Ok(());
        }
        let addr = value
            .replace("localhost:", "127.0.0.1:")
            .parse()
            .map_err(|_| {
                format!("`{value}` is not an address such as {DEFAULT_ADDR}, nor `off`")
            })?;
        self.set_addr(addr, "ASYNCWATCH_ADDR", "ASYNCWATCH_ADDR");
        Ok(())
    }

    fn env_report(&mut self, value: &str) -> Result<(), String> {
        if !Path::new(value).is_dir() {
            return Err(format!("`{value}` is not a directory"));
        }
        self.report = Some(PathBuf::from(value));
        Ok(())
    }

    fn env_levels(&mut self, value: &str) -> Result<(), String> {
        self.each_entry("ASYNCWATCH_LEVELS", value, |builder, code, level| {
            let level = level.parse::<Level>().map_err(|e| e.to_string())?;
            builder.levels.push((code, level, "ASYNCWATCH_LEVELS"));
            Ok(())
        });
        Ok(())
    }

    fn env_limits(&mut self, value: &str) -> Result<(), String> {
        self.each_entry("ASYNCWATCH_LIMITS", value, |builder, code, limit| {
            builder.set_limit(code, limit, "ASYNCWATCH_LIMITS")
        });
        Ok(())
    }

    /// A mistake in one entry leaves the others alone.
    fn each_entry(
        &mut self,
        name: &str,
        value: &str,
        apply: fn(&mut Builder, Code, &str) -> Result<(), String>,
    ) {
        for entry in value.split(',').map(str::trim).filter(|e| !e.is_empty()) {
            let applied = match entry.split_once('=') {
                None => Err("it is not of the form code=value".to_owned()),
                Some((code, value)) => code
                    .trim()
                    .parse::<Code>()
                    .map_err(|e| e.to_string())
                    .and_then(|code| apply(self, code, value.trim())),
            };
            if let Err(why) = applied {
                self.warnings
                    .push(format!("`{entry}` in {name} is ignored: {why}"));
            }
        }
    }

    fn set_addr(&mut self, addr: SocketAddr, from: &str, source: Source) {
        if addr.ip().is_loopback() {
            self.addr = Some(addr);
            self.sources.insert("addr", source);
        } else {
            self.warnings.push(format!(
                "{from} is ignored: {addr} is not a loopback address, and the server knows no passwords; use 127.0.0.1:{} and forward it with `ssh -L`",
                addr.port()
            ));
        }
    }
}

/// Parses `100ms`, `1.5s`, `250us`, `2m`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration such as 100ms or 1.5s");
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit.trim() {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" | "sec" => 1.0,
        "m" | "min" => 60.0,
        _ => return Err(wrong()),
    };
    Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(environment: &[(&str, &str)]) -> Builder {
        Builder::new().with(|name| {
            environment
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn durations_are_read() {
        assert_eq!(parse_duration("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(parse_duration("250 us"), Ok(Duration::from_micros(250)));
        for wrong in ["", "100", "ms", "1.2.3s", "-5ms", "5 fortnights", "9e99s"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_environment_wins() {
        let config = from(&[
            ("ASYNCWATCH_MAX_POLL", "20ms"),
            ("ASYNCWATCH_TIMING", "light"),
            ("ASYNCWATCH_ADDR", "off"),
            ("ASYNCWATCH_LEVELS", "slow-poll=deny, never-awaited=allow"),
            ("ASYNCWATCH_LIMITS", "large-future=1MiB, self-wake=9"),
            ("ASYNCWATCH_GRACE", "1.5s"),
        ]);
        assert_eq!(config.grace, Duration::from_millis(1_500));
        assert_eq!(config.limit_of(Code::LargeFuture), 1 << 20);
        assert_eq!(config.limit_of(Code::SelfWake), 9);
        assert_eq!(config.limit_of(Code::TaskLeaked), 10);
        assert_eq!(config.max_poll, Duration::from_millis(20));
        assert_eq!(config.timing, Timing::Light);
        assert_eq!(config.addr, None);
        assert_eq!(config.level_of(Code::SlowPoll), Level::Deny);
        assert_eq!(config.level_of(Code::NeverAwaited), Level::Allow);
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    }

    #[test]
    fn later_entries_win_and_a_mistake_spoils_no_other() {
        let levels = "slow-poll=deny,slow-pole=warn,self-wake=loud,slow-poll=warn";
        let config = from(&[("ASYNCWATCH_LEVELS", levels)]);
        assert_eq!(config.level_of(Code::SlowPoll), Level::Warn);
        let [typo, loud] = &config.warnings[..] else {
            panic!("two warnings, not {:?}", config.warnings);
        };
        assert!(typo.contains("did you mean `slow-poll`?"), "{typo}");
        assert!(loud.contains("allow, warn, deny"), "{loud}");
    }

    #[test]
    fn a_check_has_its_own_defaults_below_everything_that_was_said() {
        let config = from(&[("ASYNCWATCH_CHECK", "1")]);
        assert_eq!(config.level_of(Code::SlowPoll), Level::Deny);
        let said = Builder::new().level(Code::SlowPoll, Level::Allow);
        let config = said.with(|name| (name == "ASYNCWATCH_CHECK").then(|| "1".into()));
        assert_eq!(config.level_of(Code::SlowPoll), Level::Allow);
        assert_eq!(config.level_of(Code::NeverAwaited), Level::Deny);
    }

    #[test]
    fn every_setting_tells_who_said_it() {
        let said = Builder::new()
            .grace(Duration::from_secs(2))
            .level(Code::SelfWake, Level::Allow);
        let config = said.with(|name| match name {
            "ASYNCWATCH_MAX_POLL" => Some("20ms".into()),
            "ASYNCWATCH_LIMITS" => Some("large-future=64KiB".into()),
            _ => None,
        });
        let settings = config.settings();
        for (name, value, source) in [
            ("max_poll", "20 ms", "ASYNCWATCH_MAX_POLL"),
            ("grace", "2 s", "builder"),
            ("timing", "exact", "default"),
            ("levels.self-wake", "allow", "builder"),
            ("levels.slow-poll", "warn", "default"),
            ("limits.large-future", "64 KiB", "ASYNCWATCH_LIMITS"),
            ("limits.task-leaked", "10", "default"),
        ] {
            let found = settings.iter().find(|setting| setting.name == name);
            let found = found.expect("it is listed");
            assert_eq!((&*found.value, &*found.source), (value, source), "{name}");
        }
    }

    #[test]
    fn zero_is_off() {
        assert!(!from(&[("ASYNCWATCH", "0")]).on);
        assert!(from(&[("ASYNCWATCH", "1")]).on);
        assert!(from(&[]).on);
    }

    #[test]
    fn wrong_values_are_warned_of_and_defaulted() {
        let config = from(&[
            ("ASYNCWATCH", "maybe"),
            ("ASYNCWATCH_MAX_POLL", "soon"),
            ("ASYNCWATCH_TIMING", "rough"),
            ("ASYNCWATCH_ADDR", "0.0.0.0:6670"),
            ("ASYNCWATCH_REPORT", "/no/such/directory"),
            ("ASYNCWATCH_LEVELS", "slow-poll=fatal"),
            ("ASYNCWATCH_LIMITS", "large-future=soon"),
        ]);
        assert!(config.on);
        assert_eq!(config.max_poll, DEFAULT_MAX_POLL);
        assert_eq!(config.timing, Timing::Exact);
        assert_eq!(config.addr, DEFAULT_ADDR.parse().ok());
        assert_eq!(config.report, None);
        assert_eq!(config.warnings.len(), 7, "{:#?}", config.warnings);
    }
}
