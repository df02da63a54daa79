//! The formats that a report can be written in.

use std::str::FromStr;

use anyhow::Context;

use super::{Report, github, gitlab, html, json, junit, markdown, options, sarif, text};

/// A way to write a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
    Junit,
    Sarif,
    Github,
    Gitlab,
    Markdown,
    Html,
}

impl Format {
    const ALL: &[Format] = &[
        Format::Text,
        Format::Json,
        Format::Junit,
        Format::Sarif,
        Format::Github,
        Format::Gitlab,
        Format::Markdown,
        Format::Html,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Json => "json",
            Format::Junit => "junit",
            Format::Sarif => "sarif",
            Format::Github => "github",
            Format::Gitlab => "gitlab",
            Format::Markdown => "markdown",
            Format::Html => "html",
        }
    }

    /// The file to write to where none is named; `None` for what belongs into the output.
    pub(super) const fn file_name(self) -> Option<&'static str> {
        match self {
            Format::Text => Some("asyncwatch.txt"),
            Format::Json => Some("asyncwatch.json"),
            Format::Junit => Some("asyncwatch.junit.xml"),
            Format::Sarif => Some("asyncwatch.sarif"),
            Format::Github => None,
            Format::Gitlab => Some("gl-code-quality-report.json"),
            Format::Markdown => Some("asyncwatch.md"),
            Format::Html => Some("asyncwatch.html"),
        }
    }

    /// All names, for people.
    pub(super) fn names() -> String {
        let names: Vec<&str> = Format::ALL.iter().map(|format| format.as_str()).collect();
        names.join(", ")
    }

    /// The whole report.
    pub(super) fn write(self, report: &Report) -> anyhow::Result<String> {
        Ok(match self {
            Format::Text => text(report, &options(Some(&report.roots.directory), false, true)),
            Format::Json => json(report)?,
            Format::Junit => junit::junit(report).context("cannot be written as XML")?,
            Format::Sarif => sarif::sarif(report)?,
            Format::Github => github::annotations(report),
            Format::Gitlab => gitlab::gitlab(report)?,
            Format::Markdown => markdown::markdown(report),
            Format::Html => html::html(report),
        })
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Format, String> {
        let known = Format::ALL.iter().find(|format| format.as_str() == name);
        known
            .copied()
            .ok_or_else(|| format!("unknown format `{name}`; formats are {}", Format::names()))
    }
}
