//! Each format, read by somebody else's reader.

use std::{env, fs, path::PathBuf, process::Command};

use asyncwatch_findings::{Allowed, Occurrence};
use serde_json::json;

use super::*;
use crate::{
    auto_limit::AutoLimit,
    baseline::{Compared, Known},
    config::{Unused, Why},
    report::{github, gitlab, junit, markdown, sarif},
};

/// What somebody might call a task to break a report.
pub(in crate::report) const HOSTILE: &str = "</script><img src=x onerror=alert(1)>\n::error::x `|` ]]> **[a](http://b)** %0A \u{1b}[31m & \"'";

/// Everything that a report can hold, with a root to be relative to.
pub(in crate::report) fn everything() -> Report {
    let hostile = Finding {
        id: 4,
        message: HOSTILE.to_owned(),
        wall: Some(Duration::from_millis(511)),
        fingerprint: "00000000000000aa".to_owned(),
        culprit: Some(Frame {
            function: HOSTILE.to_owned(),
            file: Some("/build/app/src/a b%,:.rs".to_owned()),
            line: Some(7),
            user: true,
            ..Frame::default()
        }),
        ..slow_poll()
    };
    let occurrence = |ended_unix_ns, ms| Occurrence {
        ended_unix_ns,
        wall: Duration::from_millis(ms),
        own: Some(Duration::from_millis(ms)),
    };
    let slow_poll = || Finding {
        occurrences: vec![
            occurrence(1_000_000_000, 120),
            occurrence(3_000_000_000, 512),
        ],
        ..slow_poll()
    };
    let placeless = Finding {
        id: 5,
        code: Code::NestedBlockOn,
        culprit: None,
        task: None,
        stacks: Vec::new(),
        fingerprint: "00000000000000bb".to_owned(),
        ..slow_poll()
    };
    let allowed = Finding {
        id: 6,
        level: Level::Allow,
        fingerprint: "00000000000000cc".to_owned(),
        allowed: Some(Allowed {
            reason: "rewritten in Q3".to_owned(),
            source: "asyncwatch.toml:12".to_owned(),
        }),
        ..slow_poll()
    };
    let all = vec![
        slow_poll(),
        descheduled(),
        never_awaited(),
        hostile,
        placeless,
        allowed,
    ];
    let killed = Watched {
        ended: false,
        garbled: 1,
        drops: vec![Drop {
            what: "captures".to_owned(),
            count: 3,
            detail: "stacks that changed while they were read".to_owned(),
        }],
        ..process(PID + 1, Vec::new())
    };
    let mut report = report(vec![process(PID, all), killed]);
    report.roots = Roots {
        directory: "/build/app".into(),
        repository: "/build/app".into(),
    };
    report.left_out = 2;
    report.unused_allows = vec![Unused {
        source: "asyncwatch.toml:3".to_owned(),
        site: Some("src/gone.rs".to_owned()),
        fingerprint: None,
        spawned: None,
        code: Some(Code::SelfWake),
        reason: "x".to_owned(),
        expires: Some("2020-01-31".to_owned()),
        why: Why::Expired,
        matched: 0,
    }];
    report
}

fn with_baseline() -> Report {
    let mut report = everything();
    for group in &mut report.groups {
        group.known = group.finding.id == 1;
    }
    report.auto_limit = Some(AutoLimit::of(&[0, 5_000]));
    report.baseline = Some(Compared {
        path: "asyncwatch-baseline.toml".to_owned(),
        gone: vec![Known {
            file: Some("src/old.rs".to_owned()),
            function: Some("app::old".to_owned()),
            code: Code::LostWaker,
            fingerprint: "00000000000000dd".to_owned(),
        }],
    });
    report
}

#[test]
fn json_is_what_its_schema_says() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/report.schema.json");
    let text = fs::read_to_string(path).expect("the schema is in the repository");
    let mut schema: Value = serde_json::from_str(&text).expect("JSON");
    // Others may meet fields that the schema does not know; here it has to know all.
    close(&mut schema);
    let validator = jsonschema::draft202012::new(&schema).expect("a schema");
    for report in [everything(), with_baseline(), super::report(Vec::new())] {
        let document = document(&report);
        let errors: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
    let codes = &schema["$defs"]["code"]["enum"];
    let known: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(codes, &json!(known));
    let mut wrong = document(&everything());
    wrong["findings"][0]["level"] = "loud".into();
    assert!(!validator.is_valid(&wrong));
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.contains_key("properties") {
                fields.insert("additionalProperties".to_owned(), false.into());
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

#[test]
fn json_tells_all_that_other_formats_show() {
    for report in [everything(), with_baseline(), super::report(Vec::new())] {
        let written = json(&report).expect("serialisable");
        let read = read(&written).expect("a report");
        assert_eq!(json(&read).expect("serialisable"), written);
        let text = |report: &Report| text(report, &options(None, false, true));
        assert_eq!(text(&read), text(&report));
    }
}

#[test]
fn what_is_no_report_is_told() {
    for (text, part) in [
        ("", "no JSON report"),
        ("[]", "no JSON report"),
        ("{\"schema\":2}", "format 2"),
        ("{\"schema\":1}", "damaged"),
    ] {
        let error = format!("{:#}", read(text).expect_err("no report"));
        assert!(error.contains(part), "{text}: {error}");
    }
}

/// The schema that OASIS published, from a crate that carries it.
fn sarif_schema() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version", "1"])
        // Packages for other systems need not be there.
        .args([
            "--filter-platform",
            &format!("{}-unknown-linux-gnu", env::consts::ARCH),
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let trouble = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{trouble}");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("a list");
    let carrier = packages
        .iter()
        .find(|package| package["name"] == "serde-sarif");
    let manifest = carrier.and_then(|package| package["manifest_path"].as_str());
    let path =
        PathBuf::from(manifest.expect("it is a dependency")).with_file_name("src/schema.json");
    let text = fs::read_to_string(path).expect("it is there");
    // Its first edition has a pattern that is none; this is how errata 01 corrected it.
    let text = text.replace(
        "^[a-zA-Z]{2}|^[a-zA-Z]{2}-[a-zA-Z]{2}]?$",
        "^[a-zA-Z]{2}(-[a-zA-Z]{2})?$",
    );
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        schema["title"],
        "Static Analysis Results Format (SARIF) Version 2.1.0 JSON Schema"
    );
    schema
}

#[test]
fn sarif_is_what_the_official_schema_says() {
    let validator = jsonschema::validator_for(&sarif_schema()).expect("a schema");
    for report in [everything(), with_baseline(), super::report(Vec::new())] {
        let written = sarif::sarif(&report).expect("serialisable");
        let document: Value = serde_json::from_str(&written).expect("JSON");
        let errors: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:#?}");
        let _: serde_sarif::sarif::Sarif = serde_json::from_str(&written).expect("SARIF");
    }
    let mut wrong: Value =
        serde_json::from_str(&sarif::sarif(&everything()).expect("serialisable")).expect("JSON");
    wrong["runs"][0]["results"][0]["level"] = "deny".into();
    assert!(!validator.is_valid(&wrong));
}

#[test]
fn sarif_places_results_in_the_repository() {
    let written = sarif::sarif(&with_baseline()).expect("serialisable");
    let document: Value = serde_json::from_str(&written).expect("JSON");
    let run = &document["runs"][0];
    assert_eq!(
        run["originalUriBaseIds"]["%SRCROOT%"]["uri"],
        "file:///build/app/"
    );
    let results = run["results"].as_array().expect("a list");
    let of = |fingerprint: &str| {
        let mut all = results.iter();
        let found =
            all.find(|result| result["partialFingerprints"]["asyncwatch/v1"] == fingerprint);
        found.unwrap_or_else(|| panic!("no {fingerprint}"))
    };
    let known = of("0123456789abcdef");
    assert_eq!(known["ruleId"], "slow-poll");
    assert_eq!(known["level"], "error");
    assert_eq!(known["baselineState"], "unchanged");
    assert_eq!(
        known["locations"][0]["physicalLocation"],
        json!({
            "artifactLocation": {"uri": "src/session.rs", "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": 42},
        })
    );
    let hostile = of("00000000000000aa");
    assert_eq!(hostile["baselineState"], "new");
    assert_eq!(
        hostile["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
        "src/a%20b%25%2C%3A.rs"
    );
    let allowed = of("00000000000000cc");
    assert_eq!(
        allowed["suppressions"][0]["justification"],
        "rewritten in Q3"
    );
    let rules = run["tool"]["driver"]["rules"].as_array().expect("a list");
    assert_eq!(rules.len(), Code::ALL.len());
    for result in results {
        let index = result["ruleIndex"].as_u64().expect("an index") as usize;
        assert_eq!(rules[index]["id"], result["ruleId"]);
    }
}

#[test]
fn sarif_of_nothing_watched_is_no_success() {
    let written = sarif::sarif(&super::report(Vec::new())).expect("serialisable");
    let document: Value = serde_json::from_str(&written).expect("JSON");
    let invocation = &document["runs"][0]["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    let message = &invocation["toolExecutionNotifications"][0]["message"]["text"];
    let message = message.as_str().expect("a text");
    assert!(
        message.starts_with("no watched process reported\n"),
        "{message}"
    );
}

fn read_junit(report: &Report) -> junit_parser::TestSuites {
    let xml = junit::junit(report).expect("serialisable");
    quick_junit::Report::deserialize_from_str(&xml).expect("JUnit");
    junit_parser::from_reader(xml.as_bytes()).expect("JUnit")
}

#[test]
fn junit_has_a_test_for_each_place_and_each_kind() {
    let suites = read_junit(&with_baseline());
    let suite = &suites.suites[0];
    let failed: Vec<&str> = suite
        .cases
        .iter()
        .filter(|case| case.status.is_failure())
        .map(|case| case.original_name.as_str())
        .collect();
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert!(failed.contains(&"place unknown"), "{failed:?}");
    let case = |name: &str| {
        let found = suite.cases.iter().find(|case| case.original_name == name);
        found.unwrap_or_else(|| panic!("no test {name}"))
    };
    let known = case("app::session::load (src/session.rs)");
    assert!(known.status.is_skipped());
    assert_eq!(known.classname.as_deref(), Some("asyncwatch.slow-poll"));
    assert!(case("app::mail::send (src/mail.rs)").status.is_success());
    assert!(case("lost-waker").status.is_success());
    assert_eq!((suite.failures, suite.errors, suite.skipped), (2, 0, 1));
    assert_eq!(suite.tests, suite.cases.len() as u64);
}

#[test]
fn junit_has_an_error_where_nothing_is_known() {
    for (report, message) in [
        (super::report(Vec::new()), "no watched process reported"),
        (
            report_of(vec![process(PID, Vec::new())], &[], EXIT_101),
            "the command exited with code 101",
        ),
    ] {
        let suites = read_junit(&report);
        let suite = &suites.suites[0];
        assert_eq!(suite.errors, 1);
        assert_eq!(suite.cases[0].status.error_as_ref().message, message);
    }
    let clean = read_junit(&super::report(vec![process(PID, Vec::new())]));
    assert_eq!(clean.suites[0].tests, Code::ALL.len() as u64);
    assert_eq!(clean.suites[0].failures + clean.suites[0].errors, 0);
}

/// A workflow command, read by the rules that GitHub documents.
#[derive(Debug, PartialEq, Eq)]
struct WorkflowCommand {
    name: String,
    properties: BTreeMap<String, String>,
    message: String,
}

fn workflow_commands(output: &str) -> Vec<WorkflowCommand> {
    let decode = |text: &str, more: &[(&str, &str)]| {
        let mut text = text.to_owned();
        for (code, sign) in more
            .iter()
            .chain(&[("%0D", "\r"), ("%0A", "\n"), ("%25", "%")])
        {
            text = text.replace(code, sign);
        }
        text
    };
    let lines = output.split_inclusive(['\n', '\r']);
    let commands = lines.filter_map(|line| {
        let line = line.trim_end_matches(['\n', '\r']).strip_prefix("::")?;
        let (head, message) = line.split_once("::")?;
        let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
        let properties = properties.split(',').filter_map(|property| {
            let (name, value) = property.split_once('=')?;
            Some((
                name.to_owned(),
                decode(value, &[("%3A", ":"), ("%2C", ",")]),
            ))
        });
        Some(WorkflowCommand {
            name: name.to_owned(),
            properties: properties.collect(),
            message: decode(message, &[]),
        })
    });
    commands.collect()
}

#[test]
fn github_annotates_lines_and_nothing_else() {
    let output = github::annotations(&everything());
    let commands = workflow_commands(&output);
    assert_eq!(commands.len(), output.lines().count(), "{output}");
    let summary: Vec<(&str, Option<&str>, Option<&str>)> = commands
        .iter()
        .map(|command| {
            let property = |name| command.properties.get(name).map(String::as_str);
            (&*command.name, property("file"), property("line"))
        })
        .collect();
    assert_eq!(
        summary,
        [
            ("error", Some("src/session.rs"), Some("42")),
            ("error", None, None),
            ("error", Some("src/a b%,:.rs"), Some("7")),
            ("warning", Some("src/mail.rs"), Some("7")),
        ]
    );
    assert!(
        commands[2].message.starts_with(HOSTILE),
        "{:?}",
        commands[2]
    );
    assert_eq!(
        commands[0].message,
        "task `session` held worker 1 for 512 ms (limit 100 ms)\nblocked in clock_nanosleep for 511 ms; 37 tasks waited behind it\nhelp: use `tokio::time::sleep(..).await`"
    );
    let known = github::annotations(&with_baseline());
    assert_eq!(known.matches("::error ").count(), 2);
    let nothing = github::annotations(&super::report(Vec::new()));
    assert_eq!(
        nothing,
        "::error title=asyncwatch::no watched process reported\n"
    );
}

#[test]
fn github_shows_no_more_than_it_can() {
    let many = (0..30).map(|id| Finding {
        id,
        fingerprint: format!("{id:016x}"),
        notes: vec!["x".repeat(40_000)],
        ..slow_poll()
    });
    let report = super::report(vec![process(PID, many.collect())]);
    assert_eq!(github::annotations(&report).lines().count(), 10);
    let summary = github::step_summary(&report);
    assert!(summary.len() < 1 << 20);
    assert!(summary.contains("| ❌ | slow-poll |"));
}

#[test]
fn gitlab_gets_a_place_for_each_finding() {
    let written = gitlab::gitlab(&with_baseline()).expect("serialisable");
    let issues: Vec<Value> = serde_json::from_str(&written).expect("a list");
    let mut fingerprints: Vec<&str> = Vec::new();
    for issue in &issues {
        assert!(issue["description"].is_string());
        assert!(issue["check_name"].is_string());
        assert!(
            issue["location"]["lines"]["begin"]
                .as_u64()
                .expect("a line")
                > 0
        );
        let path = issue["location"]["path"].as_str().expect("a path");
        assert!(!path.starts_with('/') && !path.starts_with("./"), "{path}");
        fingerprints.push(issue["fingerprint"].as_str().expect("a text"));
    }
    let severities: Vec<&str> = issues
        .iter()
        .filter_map(|issue| issue["severity"].as_str())
        .collect();
    assert_eq!(severities, ["info", "major", "minor"]);
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), issues.len());
}

#[test]
fn markdown_is_what_it_seems() {
    use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag};

    let text = markdown::markdown(&with_baseline());
    let (mut rows, mut headings, mut blocks) = (0, 0, Vec::new());
    let mut in_block = false;
    for event in Parser::new_ext(&text, Options::all()) {
        match event {
            Event::Start(Tag::TableRow) => rows += 1,
            Event::Start(Tag::Heading { .. }) => headings += 1,
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))) => {
                in_block = true;
                blocks.push(String::new());
            }
            Event::End(pulldown_cmark::TagEnd::CodeBlock) => in_block = false,
            Event::Text(text) if in_block => {
                blocks.last_mut().expect("begun").push_str(&text);
            }
            Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::Strong)
            | Event::InlineHtml(_) => {
                panic!("{event:?} in\n{text}")
            }
            Event::Html(html) => {
                let html = html.trim();
                assert!(
                    html.starts_with("<details><summary>") || html == "</details>",
                    "{html}"
                );
                assert!(
                    !html.contains("<img") && !html.contains("script>"),
                    "{html}"
                );
            }
            _ => {}
        }
    }
    assert_eq!((rows, headings, blocks.len()), (3, 1, 3), "{text}");
    assert!(blocks[1].starts_with("error[slow-poll]"), "{blocks:?}");
    assert!(text.contains("- known, and so no failure: slow-poll (asyncwatch-baseline.toml)\n"));
}

#[test]
fn markdown_of_nothing_watched_says_why() {
    let text = markdown::markdown(&super::report(Vec::new()));
    expect![[r###"
        ## asyncwatch: no watched process reported

        ❌ `cargo test`

        - no watched process reported
          - nothing is known about what \`cargo\` blocked; likely reasons:
          - none of its programs has tokio inside, or they ended within a few milliseconds
          - what was to be instrumented is built without asyncwatch's feature: asyncwatch = { version = "0.1", features = \["enabled"\] }
          - or it never starts asyncwatch: put \`#\[asyncwatch::main\]\` on \`main\`, \`#\[asyncwatch::test\]\` on tests
          - it sets ASYNCWATCH=0, or clears or replaces its environment
          - it ended before its runtime started, or its tests were filtered out
    "###]].assert_eq(&text);
}
