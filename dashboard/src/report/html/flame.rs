//! The stacks of a finding as a flame graph: the outermost call on top, as wide as it was
//! on the stack, and what it called below.
//!
//! Made of plain boxes whose places are percentages, so that it fits any width and
//! follows the page's colours; a click on one makes it the whole width (see `script.js`).

use std::time::Duration;

use asyncwatch_findings::{Finding, Frame, Owner, humanise, message::frame_label, owner};
use maud::{Markup, html};

use super::place;
use crate::report::{Report, text::clean};

/// Boxes of one graph; a graph of distinct deep stacks has a few hundred. With
/// [`GRAPHS_MAX`](super::GRAPHS_MAX) graphs a page stays below 20 MiB.
const BOXES_MAX: usize = 1_500;

/// Calls on top of each other.
const DEPTH_MAX: usize = 200;

/// Fewer calls of the runtime in a row than this are shown one by one.
const FOLDED_MIN: usize = 3;

/// What one box stands for.
#[derive(Clone, Copy)]
enum Call<'a> {
    Frame(&'a Frame),
    /// Calls by which the runtime comes to the user's code, innermost first.
    Folded(&'a [Frame]),
}

/// A call, and what it called.
struct Node<'a> {
    call: Call<'a>,
    weight: Duration,
    children: Vec<Node<'a>>,
}

/// A box of the graph, in parts of the whole.
struct Placed<'a> {
    call: Call<'a>,
    weight: Duration,
    depth: usize,
    left: f64,
    width: f64,
}

pub(super) fn graph(finding: &Finding, report: &Report) -> Markup {
    let roots = merge(finding);
    let total: Duration = roots.iter().map(|root| root.weight).sum();
    if total.is_zero() {
        return html! {};
    }
    let mut boxes = Vec::new();
    arrange(&roots, 0, 0.0, total, &mut boxes);
    let depth = boxes
        .iter()
        .map(|placed| placed.depth + 1)
        .max()
        .unwrap_or(0);
    html! {
        figure.flame {
            figcaption {
                "Stacks, " (humanise(total)) " in "
                (finding.stacks.len()) @if finding.stacks.len() == 1 { " stack" } @else { " stacks" }
                ". The outermost call is on top."
                button.reset type="button" hidden { "whole graph" }
            }
            div.flame-graph style={ "--depth:" (depth) } {
                @for placed in &boxes { (call(placed, total, report)) }
            }
        }
    }
}

fn call(placed: &Placed<'_>, total: Duration, report: &Report) -> Markup {
    let label = clean(&placed.call.label());
    let share = 100.0 * placed.weight.as_secs_f64() / total.as_secs_f64();
    let mut title = format!("{label}\n{} ({share:.0} %)", humanise(placed.weight));
    for line in placed.call.details(report) {
        title.push('\n');
        title.push_str(&clean(&line));
    }
    let numbers = |value: f64| format!("{:.4}", value * 100.0);
    html! {
        div class={ "call " (placed.call.class()) } title=(title)
            data-left=(numbers(placed.left)) data-width=(numbers(placed.width)) data-depth=(placed.depth)
            style={ "left:" (numbers(placed.left)) "%;width:" (numbers(placed.width)) "%;--at:" (placed.depth) } {
            (label)
        }
    }
}

impl<'a> Call<'a> {
    /// The calls of a stack, the outermost first.
    fn of(frames: &'a [Frame]) -> Vec<Call<'a>> {
        let user = frames.iter().position(|frame| frame.user);
        let inner = user.unwrap_or(frames.len());
        let mut calls: Vec<Call<'_>> = frames[..inner].iter().map(Call::Frame).collect();
        let leads = |frame: &Frame| {
            let owner = owner(&frame.function, frame.file.as_deref());
            !frame.user && matches!(owner, Owner::Runtime | Owner::Std | Owner::Asyncwatch)
        };
        for run in frames[inner..].chunk_by(|a, b| leads(a) == leads(b)) {
            if leads(&run[0]) && run.len() >= FOLDED_MIN {
                calls.push(Call::Folded(run));
            } else {
                calls.extend(run.iter().map(Call::Frame));
            }
        }
        calls.reverse();
        calls.truncate(DEPTH_MAX);
        calls
    }

    fn label(self) -> String {
        match self {
            Call::Frame(frame) => frame_label(frame),
            Call::Folded(frames) => format!("… {} calls of the runtime", frames.len()),
        }
    }

    fn details(self, report: &Report) -> Vec<String> {
        match self {
            Call::Frame(frame) => place(frame, report).into_iter().collect(),
            Call::Folded(frames) => frames.iter().rev().map(frame_label).collect(),
        }
    }

    fn class(self) -> &'static str {
        match self {
            Call::Folded(_) => "runtime folded",
            Call::Frame(frame) if frame.user => "user",
            Call::Frame(frame) => match owner(&frame.function, frame.file.as_deref()) {
                Owner::User => "user",
                Owner::Dependency => "dependency",
                Owner::Std => "std",
                Owner::Runtime | Owner::Asyncwatch => "runtime",
            },
        }
    }

    /// One function, whichever of its lines it was at.
    fn is(self, other: Call<'_>) -> bool {
        let is_same = |a: &Frame, b: &Frame| {
            (&a.function, &a.file, a.offset) == (&b.function, &b.file, b.offset)
        };
        match (self, other) {
            (Call::Frame(a), Call::Frame(b)) => is_same(a, b),
            (Call::Folded(a), Call::Folded(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
            }
            _ => false,
        }
    }
}

/// Equal beginnings of stacks together.
fn merge(finding: &Finding) -> Vec<Node<'_>> {
    let mut roots: Vec<Node<'_>> = Vec::new();
    for stack in &finding.stacks {
        let mut level = &mut roots;
        for call in Call::of(&stack.frames) {
            let known = level.iter().position(|node| node.call.is(call));
            let at = known.unwrap_or_else(|| {
                level.push(Node {
                    call,
                    weight: Duration::ZERO,
                    children: Vec::new(),
                });
                level.len() - 1
            });
            let node = &mut level[at];
            node.weight += stack.weight;
            level = &mut node.children;
        }
    }
    roots
}

fn arrange<'a>(
    nodes: &[Node<'a>],
    depth: usize,
    left: f64,
    total: Duration,
    boxes: &mut Vec<Placed<'a>>,
) {
    let mut left = left;
    for node in nodes {
        if boxes.len() >= BOXES_MAX {
            return;
        }
        let width = node.weight.as_secs_f64() / total.as_secs_f64();
        boxes.push(Placed {
            call: node.call,
            weight: node.weight,
            depth,
            left,
            width,
        });
        arrange(&node.children, depth + 1, left, total, boxes);
        left += width;
    }
}
