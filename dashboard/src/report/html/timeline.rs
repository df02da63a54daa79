//! When the slow polls were: a lane for each place, a bar for each poll.

use std::time::Duration;

use asyncwatch_findings::{Occurrence, humanise};
use maud::{Markup, html};

use super::{class_name, place};
use crate::report::{Group, Report, Standing, text::clean};

/// Lanes; the worst places come first.
const LANES_MAX: usize = 25;

/// Marks on the axis.
const MARKS: u32 = 5;

pub(super) fn timeline(report: &Report) -> Markup {
    let lanes: Vec<(usize, &Group)> = report
        .groups
        .iter()
        .enumerate()
        .filter(|(_, group)| !group.finding.occurrences.is_empty())
        .collect();
    let Some((from, to)) = span(report, &lanes) else {
        return html! {};
    };
    let length = Duration::from_nanos(to - from);
    html! {
        section #timeline {
            h2 { "Timeline" }
            div.lanes {
                @for (at, group) in lanes.iter().take(LANES_MAX) {
                    (lane(*at, group, report, from, to))
                }
                div.lane.axis aria-hidden="true" {
                    span.name {}
                    div.track {
                        @for mark in 0..=MARKS {
                            span.mark style={ "left:" (100 * mark / MARKS) "%" } {
                                (humanise(length * mark / MARKS))
                            }
                        }
                    }
                }
            }
            @if lanes.len() > LANES_MAX {
                p.note { (lanes.len() - LANES_MAX) " further places are in the table only." }
            }
            ul.legend {
                @for class in ["blocked", "cpu", "mixed", "descheduled"] { li class=(class) { (class) } }
            }
        }
    }
}

/// From the first process's start, or the first poll's, to the last one's end.
fn span(report: &Report, lanes: &[(usize, &Group)]) -> Option<(u64, u64)> {
    let occurrences = || {
        lanes
            .iter()
            .flat_map(|(_, group)| &group.finding.occurrences)
    };
    let to = occurrences()
        .map(|occurrence| occurrence.ended_unix_ns)
        .max()?;
    let first = occurrences().map(begin).min()?;
    let started = report
        .processes
        .iter()
        .map(|process| process.info.started_unix_ns);
    let from = started
        .filter(|at| *at > 0)
        .min()
        .map_or(first, |at| at.min(first));
    (to > from).then_some((from, to))
}

fn begin(occurrence: &Occurrence) -> u64 {
    let wall = u64::try_from(occurrence.wall.as_nanos()).unwrap_or(u64::MAX);
    occurrence.ended_unix_ns.saturating_sub(wall)
}

fn lane(at: usize, group: &Group, report: &Report, from: u64, to: u64) -> Markup {
    let finding = &group.finding;
    let culprit = finding.culprit.as_ref();
    let name = culprit.and_then(|culprit| place(culprit, report));
    let name = name.unwrap_or_else(|| finding.code.to_string());
    let part = |time: u64| 100.0 * (time - from) as f64 / (to - from) as f64;
    html! {
        div.lane {
            span.name {
                @if group.standing() == Standing::Hidden { (clean(&name)) }
                @else { a href={ "#finding-" (at) } { (clean(&name)) } }
            }
            div.track {
                @for occurrence in &finding.occurrences {
                    @let left = part(begin(occurrence).max(from));
                    @let width = part(occurrence.ended_unix_ns) - left;
                    @let after = Duration::from_nanos(begin(occurrence).saturating_sub(from));
                    span class={ "poll " (class_name(finding.class)) }
                        title={ (humanise(occurrence.wall)) ", " (humanise(after)) " after the start" }
                        style={ "left:" (format!("{left:.3}")) "%;width:" (format!("{width:.3}")) "%" } {}
                }
            }
        }
    }
}
