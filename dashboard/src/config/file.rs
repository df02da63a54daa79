//! Finding and reading `asyncwatch.toml`.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use asyncwatch_findings::{Code, Level, nearest};
use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{
    MaxPoll, Said, Source,
    allow::{self, Allow},
};
use crate::cli;

/// Its name, wherever it lies.
const FILE_NAME: &str = "asyncwatch.toml";

const KEYS: &[&str] = &["max_poll", "grace", "baseline", "levels", "limits", "allow"];

/// What the file says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    /// Where it lies; `None` if there is none.
    pub(crate) path: Option<PathBuf>,
    pub(crate) max_poll: Option<Said<MaxPoll>>,
    pub(crate) grace: Option<Said<Duration>>,
    /// The file of what is known, relative to this one.
    pub(crate) baseline: Option<PathBuf>,
    pub(crate) levels: Vec<Said<(Code, Level)>>,
    pub(crate) limits: Vec<Said<(Code, u64)>>,
    pub(crate) allow: Vec<Allow>,
}

impl Config {
    /// Reads the file that was named, else the next one upward from `directory`.
    pub(crate) fn load(named: Option<&Path>, directory: &Path) -> anyhow::Result<Config> {
        let path = match named {
            Some(path) => directory.join(path),
            None => match find(directory) {
                Some(path) => path,
                None => return Ok(Config::default()),
            },
        };
        let shown = path.strip_prefix(directory).unwrap_or(&path);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", shown.display()))?;
        match read(&text, &shown.display().to_string()) {
            Ok(config) => Ok(Config {
                path: Some(path),
                ..config
            }),
            Err(mistakes) => bail!("{}", mistakes.join("\nasyncwatch: ")),
        }
    }

    /// The baseline, as seen from `directory`.
    pub(crate) fn baseline(&self, directory: &Path) -> Option<PathBuf> {
        let path = self.base()?.join(self.baseline.as_ref()?);
        Some(match path.strip_prefix(directory) {
            Ok(below) => below.to_owned(),
            Err(_) => path,
        })
    }

    /// What patterns for files are relative to.
    pub(crate) fn base(&self) -> Option<&Path> {
        self.path.as_deref()?.parent()
    }
}

/// The next one upward, but not beyond the root of a repository.
fn find(directory: &Path) -> Option<PathBuf> {
    for directory in directory.ancestors() {
        let path = directory.join(FILE_NAME);
        if path.is_file() {
            return Some(path);
        }
        if directory.join(".git").exists() {
            return None;
        }
    }
    None
}

/// Reads the text of a file called `name`; on failure every mistake with its place.
pub(super) fn read(text: &str, name: &str) -> Result<Config, Vec<String>> {
    let mut reader = Reader {
        text,
        name,
        mistakes: Vec::new(),
    };
    let config = match DeTable::parse(text) {
        Ok(table) => reader.config(table.get_ref()),
        Err(error) => {
            reader.mistake(error.span().unwrap_or(0..0), error.message());
            Config::default()
        }
    };
    if reader.mistakes.is_empty() {
        return Ok(config);
    }
    reader.mistakes.sort_by_key(|(at, _)| *at);
    let mistakes = reader.mistakes.into_iter();
    Err(mistakes.map(|(_, mistake)| mistake).collect())
}

/// Reads values, and collects what is wrong with them.
pub(super) struct Reader<'a> {
    text: &'a str,
    name: &'a str,
    mistakes: Vec<(usize, String)>,
}

pub(super) type Key<'i> = Spanned<DeString<'i>>;
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

impl Reader<'_> {
    pub(super) fn mistake(&mut self, span: Range<usize>, what: impl AsRef<str>) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        let mistake = format!(
            "{}:{line}:{column}: {}",
            self.name,
            what.as_ref().trim_end()
        );
        self.mistakes.push((span.start, mistake));
    }

    pub(super) fn source(&self, span: &Range<usize>) -> Source {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        Source::File(format!(
            "{}:{}",
            self.name,
            before.matches('\n').count() + 1
        ))
    }

    pub(super) fn unknown_key(&mut self, key: &Key<'_>, known: &[&str]) {
        let name: &str = key.get_ref();
        let hint = match nearest(name, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", known.join(", ")),
        };
        self.mistake(key.span(), format!("unknown key `{name}`; {hint}"));
    }

    /// A text; `example` is how to write it.
    pub(super) fn text<'v>(&mut self, value: &'v Value<'_>, example: &str) -> Option<&'v str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            let kind = value.get_ref().type_str();
            let what = format!("this is of type {kind}; write it in quotes, as in {example}");
            self.mistake(value.span(), what);
        }
        text
    }

    fn config(&mut self, table: &DeTable<'_>) -> Config {
        let mut config = Config::default();
        for (key, value) in table {
            match &**key.get_ref() {
                "max_poll" => {
                    config.max_poll = self.parsed(value, "max_poll = \"50ms\"", str::parse);
                }
                "grace" => {
                    let read = |text: &str| match text {
                        "0" | "0s" => Ok(Duration::ZERO),
                        text => cli::parse_duration(text),
                    };
                    config.grace = self.parsed(value, "grace = \"2s\"", read);
                }
                "baseline" => {
                    let text = self.text(value, "baseline = \"asyncwatch-baseline.toml\"");
                    config.baseline = text.map(PathBuf::from);
                }
                "levels" => config.levels = self.levels(value),
                "limits" => config.limits = self.limits(value),
                "allow" => config.allow = allow::read(self, value),
                _ => self.unknown_key(key, KEYS),
            }
        }
        config
    }

    fn parsed<T>(
        &mut self,
        value: &Value<'_>,
        example: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Said<T>> {
        let text = self.text(value, example)?;
        match read(text) {
            Ok(read) => Some(Said {
                value: read,
                source: self.source(&value.span()),
            }),
            Err(why) => {
                self.mistake(value.span(), format!("`{text}`: {why}"));
                None
            }
        }
    }

    fn levels(&mut self, value: &Value<'_>) -> Vec<Said<(Code, Level)>> {
        self.by_code(value, "levels", |reader, code, value| {
            let text = reader.text(value, &format!("{code} = \"warn\""))?;
            let level = text.parse::<Level>();
            level
                .map_err(|why| reader.mistake(value.span(), why.to_string()))
                .ok()
        })
    }

    fn limits(&mut self, value: &Value<'_>) -> Vec<Said<(Code, u64)>> {
        self.by_code(value, "limits", |reader, code, value| {
            let text = match value.get_ref() {
                DeValue::Integer(number) => number.as_str().replace('_', ""),
                _ => reader.text(value, &format!("{code} = \"…\""))?.to_owned(),
            };
            let limit = super::settings::read_limit(code, &text);
            limit.map_err(|why| reader.mistake(value.span(), why)).ok()
        })
    }

    fn by_code<T>(
        &mut self,
        value: &Value<'_>,
        name: &str,
        read: impl Fn(&mut Self, Code, &Value<'_>) -> Option<T>,
    ) -> Vec<Said<(Code, T)>> {
        let Some(table) = value.get_ref().as_table() else {
            let what = format!("`{name}` is a table: write [{name}] and one line for each code");
            self.mistake(value.span(), what);
            return Vec::new();
        };
        let mut all = Vec::new();
        for (key, value) in table {
            match key.get_ref().parse::<Code>() {
                Err(why) => self.mistake(key.span(), why.to_string()),
                Ok(code) => all.extend(read(self, code, value).map(|read| Said {
                    value: (code, read),
                    source: self.source(&key.span()),
                })),
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const FULL: &str = r#"
max_poll = "50ms"
grace = "2s"

[levels]
slow-poll = "deny"

[limits]
large-future = "64KiB"
task-leaked = 50

[[allow]]
site = "src/legacy/*.rs"
code = "slow-poll"
reason = "rewritten in Q3"
expires = "2027-03-01"

[[allow]]
fingerprint = "4136681964e4f5ba"
reason = "the vendor's"
"#;

    #[test]
    fn everything_is_read_with_its_place() {
        let config = read(FULL, FILE_NAME).expect("valid");
        let place = |line: u32| Source::File(format!("asyncwatch.toml:{line}"));
        let max_poll = config.max_poll.expect("said");
        assert_eq!(max_poll.value, MaxPoll::Fixed(Duration::from_millis(50)));
        assert_eq!(max_poll.source, place(2));
        assert_eq!(config.grace.expect("said").value, Duration::from_secs(2));
        assert_eq!(
            config.levels,
            [Said {
                value: (Code::SlowPoll, Level::Deny),
                source: place(6)
            }]
        );
        let limits: Vec<_> = config.limits.into_iter().map(|said| said.value).collect();
        assert_eq!(
            limits,
            [(Code::LargeFuture, 65_536), (Code::TaskLeaked, 50)]
        );
        assert_eq!(config.allow.len(), 2);
    }

    fn check_mistakes(text: &str, expected: Expect) {
        let mistakes = read(text, FILE_NAME).expect_err("wrong").join("\n") + "\n";
        expected.assert_eq(&mistakes);
    }

    #[test]
    fn every_mistake_is_told_with_its_place_and_the_way_out() {
        check_mistakes(
            r#"
max-poll = "50ms"
max_poll = 50
grace = "soon"
levels = "deny"
tasks = 1
"#,
            expect![[r#"
                asyncwatch.toml:2:1: unknown key `max-poll`; did you mean `max_poll`?
                asyncwatch.toml:3:12: this is of type integer; write it in quotes, as in max_poll = "50ms"
                asyncwatch.toml:4:9: `soon`: expected number at 0; write it as `10s`, `250ms` or `1.5s`
                asyncwatch.toml:5:10: `levels` is a table: write [levels] and one line for each code
                asyncwatch.toml:6:1: unknown key `tasks`; known are max_poll, grace, baseline, levels, limits, allow
            "#]],
        );
        check_mistakes(
            r#"
[levels]
slow-pole = "deny"
self-wake = "loud"
[limits]
slow-poll = "20ms"
never-awaited = "3"
starved-worker = 5
large-future = "big"
"#,
            expect![[r#"
                asyncwatch.toml:3:1: unknown finding code `slow-pole`; did you mean `slow-poll`?
                asyncwatch.toml:4:13: unknown level `loud`; known are allow, warn, deny
                asyncwatch.toml:6:13: the limit of `slow-poll` is `max_poll`
                asyncwatch.toml:7:17: `never-awaited` has no limit
                asyncwatch.toml:8:18: `5` is not a duration such as 250ms or 1.5s
                asyncwatch.toml:9:16: `big` is not a size such as 64KiB
            "#]],
        );
    }

    #[test]
    fn allowing_takes_a_reason_and_something_to_allow() {
        check_mistakes(
            r#"
[[allow]]
site = "src/a.rs"
[[allow]]
reason = "why not"
[[allow]]
site = "src/a.rs:42"
reason = ""
[[allow]]
site = "src/[.rs"
fingerprint = "12"
reason = "x"
expires = "next year"
until = "x"
"#,
            expect![[r#"
                asyncwatch.toml:2:1: there is no `reason`: say why, as in reason = "rewritten in Q3"
                asyncwatch.toml:4:1: it does not say what is allowed: add `site`, `fingerprint` or `spawned`; a whole kind of finding is allowed under [levels]
                asyncwatch.toml:7:8: line 42 moves with every edit; name the function instead, as in "src/a.rs:load"
                asyncwatch.toml:8:10: the reason is empty: say why, as in reason = "rewritten in Q3"
                asyncwatch.toml:10:8: `src/[.rs` is no pattern for files: invalid range pattern
                asyncwatch.toml:11:15: `12` is no fingerprint: these are the 16 hexadecimal digits that a JSON report tells of each finding
                asyncwatch.toml:13:11: `next year` is no day; write it as in "2027-03-01"
                asyncwatch.toml:14:1: unknown key `until`; known are site, fingerprint, spawned, code, reason, expires
            "#]],
        );
        check_mistakes(
            "allow = 5",
            expect![[r#"
                asyncwatch.toml:1:9: `allow` is a list: write [[allow]] above each entry
            "#]],
        );
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_place() {
        let mistakes = read("max_poll = \"50ms", FILE_NAME).expect_err("wrong");
        assert!(
            mistakes[0].starts_with("asyncwatch.toml:1:"),
            "{mistakes:?}"
        );
    }

    #[test]
    fn the_next_file_upward_is_read_within_the_repository() {
        let root = tempfile::tempdir().expect("a directory");
        let deep = root.path().join("repo/crates/app");
        fs::create_dir_all(&deep).expect("created");
        let load = |directory: &Path| {
            let config = Config::load(None, directory).expect("valid");
            config.max_poll.map(|said| said.value.told().as_millis())
        };
        let write = |directory: &str, ms: u32| {
            let text = format!("max_poll = \"{ms}ms\"");
            fs::write(root.path().join(directory).join(FILE_NAME), text).expect("written");
        };
        write(".", 1);
        assert_eq!(load(&deep), Some(1));
        fs::create_dir(root.path().join("repo/.git")).expect("created");
        assert_eq!(load(&deep), None, "that one is beyond the repository");
        write("repo", 2);
        assert_eq!(load(&deep), Some(2));
        write("repo/crates", 3);
        assert_eq!(load(&deep), Some(3));
        let named = Config::load(Some(&root.path().join(FILE_NAME)), &deep).expect("valid");
        assert_eq!(named.max_poll.expect("said").value.told().as_millis(), 1);
        let missing = Config::load(Some(Path::new("no.toml")), &deep).expect_err("missing");
        assert!(format!("{missing:#}").starts_with("cannot read no.toml:"));
    }
}
