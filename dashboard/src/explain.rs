//! `asyncwatch explain`: the page of a finding's code, or the list of codes.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Context;
use asyncwatch_findings::Code;

pub(crate) fn explain(code: Option<Code>) -> anyhow::Result<ExitCode> {
    let text = code.map_or_else(list, page);
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever reads it has seen enough: `asyncwatch explain slow-poll | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        result => result.context("cannot write to standard output")?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The page, with what holds for every code: how projects allow it, and its defaults.
fn page(code: Code) -> String {
    let (level, check) = (code.default_level(), code.check_level());
    let level = match level == check {
        true => format!("Its level is `{level}`"),
        false => format!("Its level is `{level}`, under `asyncwatch check` `{check}`"),
    };
    let limit = code.limit().map_or_else(String::new, |limit| {
        let value = limit.show(limit.default);
        format!(
            " Its limit is {value} ({}); `--limit {code}=…` sets another.",
            limit.meaning
        )
    });
    let page = code.explain().trim_end();
    format!(
        "{page}\n- In the project's `asyncwatch.toml`: `{code} = \"allow\"` under `[levels]`, or for one\n  place an `[[allow]]` entry with its `site` and a `reason`.\n\n{level}, unless somebody says otherwise.{limit}\n"
    )
}

fn list() -> String {
    let lines = Code::ALL
        .iter()
        .map(|code| format!("{code:<28}{}\n", summary(*code)));
    let pages: String = lines.collect();
    format!("{pages}\n`asyncwatch explain CODE` shows what one means and how to fix it\n")
}

/// The first paragraph below the page's title, on one line.
pub(crate) fn meaning(code: Code) -> String {
    let paragraph = code.explain().split("\n\n").nth(1).unwrap_or_default();
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first sentence below the page's title, without what it adds in brackets or
/// after a colon.
pub(crate) fn summary(code: Code) -> String {
    let paragraph = code.explain().split("\n\n").nth(1).unwrap_or_default();
    let mut brackets = 0;
    let plain: String = paragraph
        .chars()
        .filter(|c| {
            brackets += u32::from(*c == '(');
            let keep = brackets == 0;
            brackets -= u32::from(*c == ')').min(brackets);
            keep
        })
        .collect();
    let joined = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentence = joined.split(". ").next().unwrap_or_default();
    let sentence = sentence.split(':').next().unwrap_or_default();
    sentence.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_listed_with_a_sentence() {
        for code in Code::ALL {
            let summary = summary(*code);
            assert!((20..130).contains(&summary.len()), "{code}: {summary:?}");
            assert!(list().contains(code.as_str()));
        }
    }

    #[test]
    fn pages_end_with_the_defaults() {
        let page = page(Code::LargeFuture);
        assert!(page.starts_with("# large-future\n"));
        assert!(page.contains("`large-future = \"allow\"` under `[levels]`"));
        let end = "Its level is `warn`, under `asyncwatch check` `deny`, unless somebody says otherwise. Its limit is 32 KiB (a future is moved); `--limit large-future=…` sets another.\n";
        assert!(page.ends_with(end), "{page}");
    }

    #[test]
    fn pages_tell_the_same_things_in_the_same_order() {
        for code in Code::ALL {
            let titles: Vec<&str> = code
                .explain()
                .lines()
                .filter(|line| line.starts_with("# ") || line.starts_with("## "))
                .collect();
            assert_eq!(titles[0], format!("# {code}"));
            assert_eq!(
                titles[1..],
                [
                    "## What it means",
                    "## How it is found",
                    "## Known false alarms and blind spots",
                    "## How to fix it",
                    "## How to allow it"
                ],
            );
        }
    }
}
