//! A report as JUnit's XML, which most CI services show as test results.
//!
//! Each place that fails the check is a test that failed, named by function and file so
//! that it keeps its name while lines move; each kind of which nothing was found is a test
//! that passed. What the check could not know is an error of its own.

use std::collections::HashMap;

use asyncwatch_findings::{Code, Frame, message::frame_label, render};
use quick_junit::{NonSuccessKind, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::{Group, Report, Standing, Verdict, options, summary, text::clean};

/// The document.
pub(super) fn junit(report: &Report) -> Result<String, SerializeError> {
    let mut suite = TestSuite::new("asyncwatch");
    suite.set_system_out(summary::plain(report));
    if let Some(case) = trouble(report) {
        suite.add_test_case(case);
    }
    let mut names = HashMap::new();
    for code in Code::ALL {
        let groups: Vec<&Group> = report
            .groups
            .iter()
            .filter(|group| group.finding.code == *code && group.standing() != Standing::Hidden)
            .collect();
        if groups.is_empty() && report.verdict() != Verdict::NothingReported {
            let mut case = TestCase::new(code.as_str(), TestCaseStatus::success());
            case.set_classname("asyncwatch");
            suite.add_test_case(case);
        }
        for group in groups {
            suite.add_test_case(case(group, report, &mut names));
        }
    }
    let mut document = quick_junit::Report::new("asyncwatch");
    document.add_test_suite(suite);
    document.to_string()
}

/// What is wrong beside findings: the command failed, or nothing was watched.
fn trouble(report: &Report) -> Option<TestCase> {
    let known = matches!(report.verdict(), Verdict::Clean | Verdict::Denied);
    let headline = match report.ending.failure() {
        Some(how) => format!("the command {how}"),
        None if known => return None,
        None => summary::headline(report),
    };
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_message(clean(&headline));
    let mut case = TestCase::new("the command", status);
    case.set_classname("asyncwatch");
    Some(case)
}

fn case(group: &Group, report: &Report, names: &mut HashMap<String, u32>) -> TestCase {
    let finding = &group.finding;
    let text = render(
        finding,
        &options(Some(&report.roots.directory), false, true),
    );
    let status = match group.standing() {
        Standing::Failure => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type(finding.code.as_str());
            status.set_message(clean(&finding.message));
            status.set_description(text.as_str());
            status
        }
        Standing::Known => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(clean(&format!("known: {}", finding.message)));
            status
        }
        Standing::Warning | Standing::Hidden => TestCaseStatus::success(),
    };
    let mut case = TestCase::new(unique(name(group, report), names), status);
    case.set_classname(format!("asyncwatch.{}", finding.code));
    if group.standing() == Standing::Warning {
        case.set_system_out(text.as_str());
    }
    case.set_time(finding.wall.unwrap_or_default());
    case
}

/// `app::session::load (src/session.rs)`.
fn name(group: &Group, report: &Report) -> String {
    let label = match &group.finding.culprit {
        Some(
            frame @ Frame {
                file: Some(file), ..
            },
        ) => {
            format!("{} ({})", frame_label(frame), report.roots.shown(file))
        }
        Some(frame) => frame_label(frame),
        None => "place unknown".to_owned(),
    };
    clean(&label)
}

/// Equal names would be taken for one test.
fn unique(name: String, names: &mut HashMap<String, u32>) -> String {
    let times = names.entry(name.clone()).or_default();
    *times += 1;
    match *times {
        1 => name,
        times => format!("{name} #{times}"),
    }
}
