//! The scores as an aligned table, and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::score::{Aspect, Score};

/// A line per specimen, then the sums.
pub(crate) fn text(scores: &[Score], configuration: &str) -> String {
    let width = scores.iter().map(|score| score.id.len()).max().unwrap_or(0);
    let mut text = format!("{configuration:width$}");
    for aspect in Aspect::ALL {
        let _ = write!(text, "  {:>5}", aspect.name());
    }
    text.push('\n');
    for score in scores {
        let mut line = format!("{:width$}", score.id);
        for aspect in Aspect::ALL {
            let _ = write!(line, "  {:>5}", cell(score, aspect));
        }
        for (remark, runs) in &score.remarks {
            let times = if score.runs > 1 {
                format!("{runs}× ")
            } else {
                String::new()
            };
            let _ = write!(line, "\n{:width$}  {times}{remark}", "");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let _ = write!(text, "{:width$}", "all that must be reported");
    for aspect in Aspect::ALL {
        let (right, of) = sum(scores, aspect, true);
        let _ = write!(text, "  {:>5}", format!("{right}/{of}"));
    }
    let (clean, of) = sum(scores, Aspect::Found, false);
    let _ = writeln!(text, "\nnothing reported of what is clean: {clean}/{of}");
    text
}

fn cell(score: &Score, aspect: Aspect) -> String {
    match score.right.get(&aspect) {
        None => "·".to_owned(),
        Some(right) if *right == score.runs && score.reported => "yes".to_owned(),
        Some(right) if *right == score.runs => "clean".to_owned(),
        Some(0) if score.reported => "NO".to_owned(),
        Some(0) => "FALSE".to_owned(),
        Some(right) => format!("{right}/{}", score.runs),
    }
}

/// Runs in which the aspect was right, and runs in which it mattered.
fn sum(scores: &[Score], aspect: Aspect, reported: bool) -> (u32, u32) {
    scores
        .iter()
        .filter(|score| score.reported == reported)
        .filter_map(|score| Some((score.right.get(&aspect)?, score.runs)))
        .fold((0, 0), |(right, of), (r, runs)| (right + r, of + runs))
}

/// The same for programs.
pub(crate) fn json(scores: &[Score], configuration: &str) -> String {
    let totals: serde_json::Map<String, Value> = Aspect::ALL
        .into_iter()
        .map(|aspect| {
            let (right, of) = sum(scores, aspect, true);
            (aspect.name().to_owned(), json!({"right": right, "of": of}))
        })
        .collect();
    let (clean, of) = sum(scores, Aspect::Found, false);
    let specimens: Vec<Value> = scores.iter().map(element).collect();
    let document = json!({
        "configuration": configuration,
        "reported": totals,
        "clean": {"right": clean, "of": of},
        "specimens": specimens,
    });
    format!("{document:#}\n")
}

fn element(score: &Score) -> Value {
    let right: serde_json::Map<String, Value> = score
        .right
        .iter()
        .map(|(aspect, right)| (aspect.name().to_owned(), json!(right)))
        .collect();
    json!({
        "id": score.id,
        "expect": if score.reported { "report" } else { "clean" },
        "runs": score.runs,
        "right": right,
        "remarks": score.remarks,
    })
}
