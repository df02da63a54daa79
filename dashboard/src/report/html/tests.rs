use std::path::Path;

use scraper::{Html, Selector};

use super::*;
use crate::report::tests::formats::{HOSTILE, everything};

/// As many lines as any sample names.
fn source(file: &Path) -> Option<String> {
    let lines = (1..=50).map(|line| match line {
        42 => "\t\tstd::thread::sleep(</pre><b>);\n".to_owned(),
        line => format!("line {line}\n"),
    });
    file.ends_with("src/session.rs").then(|| lines.collect())
}

fn parsed(report: &Report) -> Html {
    let page = Html::parse_document(&page(report, &source).into_string());
    assert!(page.errors.is_empty(), "{:#?}", page.errors);
    page
}

fn all<'p>(page: &'p Html, selector: &str) -> Vec<scraper::ElementRef<'p>> {
    let selector = Selector::parse(selector).expect("a selector");
    page.select(&selector).collect()
}

fn text(element: &scraper::ElementRef<'_>) -> String {
    element.text().collect()
}

#[test]
fn a_page_has_a_row_and_a_card_for_each_finding() {
    let page = parsed(&everything());
    assert_eq!(all(&page, "#places tbody tr").len(), 6);
    assert_eq!(all(&page, "#findings details").len(), 4);
    assert_eq!(text(&all(&page, ".verdict")[0]), "failed");
    for link in all(&page, "a[href^='#']") {
        let target = link.attr("href").expect("it has one");
        assert_eq!(
            all(&page, &format!("[id='{}']", &target[1..])).len(),
            1,
            "{target}"
        );
    }
    let mut ids: Vec<&str> = all(&page, "[id]")
        .iter()
        .filter_map(|e| e.attr("id"))
        .collect();
    let before = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), before, "no id is given twice");
}

#[test]
fn a_page_needs_nothing_else() {
    let page = parsed(&everything());
    for selector in ["[src]", "link", "iframe", "object", "embed", "img", "base"] {
        assert!(all(&page, selector).is_empty(), "{selector}");
    }
    for link in all(&page, "[href]") {
        assert!(link.attr("href").expect("it has one").starts_with('#'));
    }
    let style = text(&all(&page, "style")[0]);
    assert!(!style.contains("url(") && !style.contains("@import"));
}

#[test]
fn what_programs_tell_is_text() {
    let page = parsed(&everything());
    assert_eq!(all(&page, "script").len(), 1);
    for element in all(&page, "*") {
        let handlers = element
            .value()
            .attrs()
            .filter(|(name, _)| name.starts_with("on"));
        assert_eq!(handlers.count(), 0, "{}", element.html());
    }
    let shown = HOSTILE
        .replace(['\n', '\u{1b}'], "\u{fffd}")
        .replace('`', "");
    let messages = all(&page, ".finding .message");
    assert!(messages.iter().any(|message| text(message) == shown));
}

#[test]
fn the_culprits_line_is_shown_with_its_cause() {
    let page = parsed(&everything());
    let hit = all(&page, "#finding-0 .line.hit");
    assert_eq!(
        text(&hit[0])
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" "),
        "42 std::thread::sleep(</pre><b>);"
    );
    let cause = text(&all(&page, "#finding-0 .line.cause")[0]);
    assert!(
        cause.contains("blocked in clock_nanosleep for 511 ms"),
        "{cause}"
    );
    assert_eq!(
        all(&page, "#finding-0 .line").len(),
        10,
        "four above, four below"
    );
}

#[test]
fn flame_graphs_are_as_wide_as_their_stacks() {
    use std::time::Duration;

    use asyncwatch_findings::Stack;

    let mut report = everything();
    let finding = &mut report.groups[0].finding;
    let frame = |function: &str| Frame {
        function: function.to_owned(),
        ..Frame::default()
    };
    let stack = |ms, functions: &[&str]| Stack {
        weight: Duration::from_millis(ms),
        frames: functions.iter().rev().map(|name| frame(name)).collect(),
        ..Stack::default()
    };
    finding.stacks = vec![
        stack(300, &["main", "app::a", "app::deep"]),
        stack(100, &["main", "app::b"]),
    ];
    let page = parsed(&report);
    let calls: Vec<String> = all(&page, "#finding-0 .call")
        .iter()
        .map(|call| {
            let of = |name| call.attr(name).unwrap_or_default();
            format!(
                "{} {} {} {}",
                text(call),
                of("data-depth"),
                of("data-left"),
                of("data-width")
            )
        })
        .collect();
    assert_eq!(
        calls,
        [
            "main 0 0.0000 100.0000",
            "app::a 1 0.0000 75.0000",
            "app::deep 2 0.0000 75.0000",
            "app::b 1 75.0000 25.0000",
        ]
    );
}

#[test]
fn what_leads_to_the_users_code_is_folded() {
    let mut report = everything();
    let frame = |function: &str| Frame {
        function: function.to_owned(),
        user: function.starts_with("app"),
        ..Frame::default()
    };
    let names = [
        "libc::read",
        "std::fs::read",
        "app::load",
        "core::a",
        "tokio::b",
        "core::c",
        "app::main",
        "tokio::d",
    ];
    let stack = &mut report.groups[0].finding.stacks[0];
    stack.frames = names.map(frame).to_vec();
    let page = parsed(&report);
    let calls: Vec<String> = all(&page, "#finding-0 .call").iter().map(text).collect();
    assert_eq!(
        calls,
        [
            "tokio::d",
            "app::main",
            "… 3 calls of the runtime",
            "app::load",
            "std::fs::read",
            "libc::read",
        ]
    );
}

#[test]
fn the_timeline_has_a_bar_for_each_poll() {
    let page = parsed(&everything());
    let bars = all(&page, "#timeline .lane:first-child .poll");
    assert_eq!(bars.len(), 2);
    // The processes start at 500 ns, and the last poll ends 3 s after the epoch.
    assert_eq!(bars[0].attr("style"), Some("left:29.333%;width:4.000%"));
    assert_eq!(
        bars[1].attr("title"),
        Some("512 ms, 2.49 s after the start")
    );
}

#[test]
fn a_page_without_findings_is_whole() {
    let report = Report {
        groups: Vec::new(),
        ..everything()
    };
    let page = parsed(&report);
    assert_eq!(text(&all(&page, ".verdict")[0]), "passed");
    assert!(all(&page, "#findings, #places, #timeline").is_empty());
    assert!(!all(&page, ".coverage li").is_empty());
}

#[test]
fn a_page_of_many_findings_stays_small() {
    use std::time::Duration;

    use asyncwatch_findings::{Finding, Stack};

    let mut report = everything();
    let deep = |stack: u64| Stack {
        weight: Duration::from_millis(1),
        frames: (0..100)
            .map(|depth| Frame {
                function: format!("app::of_{stack}::at_{depth}"),
                ..Frame::default()
            })
            .collect(),
        ..Stack::default()
    };
    let group = report.groups[0].clone();
    report.groups = (0..2_000)
        .map(|id| {
            let mut group = group.clone();
            group.finding = Finding {
                stacks: (0..16).map(deep).collect(),
                fingerprint: format!("{id:016x}"),
                ..group.finding
            };
            group
        })
        .collect();
    let page = page(&report, &source).into_string();
    assert!(page.len() < 25 << 20, "{}", page.len());
}
