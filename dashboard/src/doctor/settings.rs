//! Every setting, its value, and who said so.

use asyncwatch_findings::{Code, ProcessInfo, Setting, humanise};

use crate::config::Settings;

/// The default of `max_poll`, as the library has it.
const DEFAULT_MAX_POLL: &str = "100 ms";

/// The table of settings: as a program told them, else as far as they are known here.
pub(super) fn table(said: &Settings, told: Option<&ProcessInfo>) -> String {
    let told = told.map(|process| (process, &process.settings));
    let (title, mut settings) = match told {
        Some((process, settings)) if !settings.is_empty() => (
            format!("Settings of {} (pid {})", process.name, process.pid),
            settings.clone(),
        ),
        _ => (
            "Settings, unless the program's code says otherwise".to_owned(),
            known(said),
        ),
    };
    for setting in &mut settings {
        if let Some(source) = source(said, setting) {
            setting.source = source;
        }
    }
    let width = |text: fn(&Setting) -> &str| {
        let widths = settings.iter().map(|setting| text(setting).chars().count());
        widths.max().unwrap_or(0)
    };
    let (names, values) = (width(|s| &s.name), width(|s| &s.value));
    let mut table = format!("{title}\n");
    for Setting {
        name,
        value,
        source,
    } in &settings
    {
        table.push_str(&format!("  {name:<names$}  {value:<values$}  {source}\n"));
    }
    table
}

/// Who stands behind a variable that we set.
fn source(said: &Settings, setting: &Setting) -> Option<String> {
    let code = |prefix: &str| setting.name.strip_prefix(prefix)?.parse::<Code>().ok();
    let by_variable = setting.source.starts_with("ASYNCWATCH_");
    match setting.name.as_str() {
        _ if !by_variable => None,
        "max_poll" => said.max_poll.as_ref().map(|said| said.source.to_string()),
        "grace" => said.grace.as_ref().map(|said| said.source.to_string()),
        _ => {
            let level = code("levels.").and_then(|code| {
                let mut levels = said.levels.iter().rev();
                levels
                    .find(|said| said.value.0 == code)
                    .map(|said| &said.source)
            });
            let limit = code("limits.").and_then(|code| {
                let mut limits = said.limits.iter().rev();
                limits
                    .find(|said| said.value.0 == code)
                    .map(|said| &said.source)
            });
            level.or(limit).map(ToString::to_string)
        }
    }
}

/// What counts where a program says nothing.
fn known(said: &Settings) -> Vec<Setting> {
    let default = || "default".to_owned();
    let setting = |name: String, value: String, source: Option<String>| Setting {
        name,
        value,
        source: source.unwrap_or_else(default),
    };
    let max_poll = said.max_poll.as_ref();
    let grace = said.grace.as_ref();
    let mut all = vec![
        setting(
            "max_poll".to_owned(),
            max_poll.map_or(DEFAULT_MAX_POLL.to_owned(), |said| said.value.to_string()),
            max_poll.map(|said| said.source.to_string()),
        ),
        setting(
            "grace".to_owned(),
            grace.map_or("none".to_owned(), |said| humanise(said.value)),
            grace.map(|said| said.source.to_string()),
        ),
    ];
    for &code in Code::ALL {
        let level = said.levels.iter().rev().find(|said| said.value.0 == code);
        let (normal, check) = (code.default_level(), code.check_level());
        let value = match level {
            Some(said) => said.value.1.to_string(),
            None if normal == check => normal.to_string(),
            None => format!("{normal}, under check {check}"),
        };
        let source = level.map(|said| said.source.to_string());
        all.push(setting(format!("levels.{code}"), value, source));
    }
    for &code in Code::ALL {
        let Some(limit) = code.limit() else { continue };
        let own = said.limits.iter().rev().find(|said| said.value.0 == code);
        let value = own.map_or(limit.default, |said| said.value.1);
        let source = own.map(|said| said.source.to_string());
        all.push(setting(format!("limits.{code}"), limit.show(value), source));
    }
    all
}

#[cfg(test)]
mod tests {
    use asyncwatch_findings::Level;

    use super::*;
    use crate::config::{Said, Source};

    fn said() -> Settings {
        Settings {
            levels: vec![
                Said {
                    value: (Code::SlowPoll, Level::Deny),
                    source: Source::File("asyncwatch.toml:6".to_owned()),
                },
                Said {
                    value: (Code::SlowPoll, Level::Warn),
                    source: Source::Environment("ASYNCWATCH_LEVELS"),
                },
            ],
            limits: vec![Said {
                value: (Code::LargeFuture, 65_536),
                source: Source::File("asyncwatch.toml:9".to_owned()),
            }],
            ..Settings::default()
        }
    }

    /// The words of the line of a setting.
    fn line(table: &str, name: &str) -> String {
        let mut lines = table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        let line = lines.find(|words| words.first() == Some(&name));
        line.expect("it is listed").join(" ")
    }

    #[test]
    fn every_setting_is_listed_with_its_source() {
        let table = table(&said(), None);
        assert_eq!(line(&table, "max_poll"), "max_poll 100 ms default");
        assert_eq!(
            line(&table, "levels.slow-poll"),
            "levels.slow-poll warn ASYNCWATCH_LEVELS"
        );
        assert_eq!(
            line(&table, "levels.never-awaited"),
            "levels.never-awaited warn, under check deny default"
        );
        assert_eq!(
            line(&table, "limits.large-future"),
            "limits.large-future 64 KiB asyncwatch.toml:9"
        );
        for code in Code::ALL {
            line(&table, &format!("levels.{code}"));
        }
    }

    #[test]
    fn what_a_program_was_told_has_the_source_behind_it() {
        let setting = |name: &str, source: &str| Setting {
            name: name.to_owned(),
            value: "x".to_owned(),
            source: source.to_owned(),
        };
        let process = ProcessInfo {
            settings: vec![
                setting("max_poll", "builder"),
                setting("limits.large-future", "ASYNCWATCH_LIMITS"),
                setting("timing", "ASYNCWATCH_TIMING"),
            ],
            ..ProcessInfo::default()
        };
        let table = table(&said(), Some(&process));
        assert_eq!(line(&table, "max_poll"), "max_poll x builder");
        assert_eq!(
            line(&table, "limits.large-future"),
            "limits.large-future x asyncwatch.toml:9"
        );
        assert_eq!(line(&table, "timing"), "timing x ASYNCWATCH_TIMING");
    }
}
