//! What was measured, as ratios over bare tokio, and the table of them.

use std::fmt;

use crate::{load::Load, variant::Variant};

/// All rounds of one load.
pub struct Ratios {
    load: Load,
    /// Nanoseconds of bare tokio, a number for each round.
    bare: Vec<f64>,
    rows: Vec<Row>,
}

struct Row {
    variant: Variant,
    per_operation: Vec<f64>,
    ratios: Vec<f64>,
}

impl Ratios {
    pub fn new(load: Load) -> Self {
        Self {
            load,
            bare: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Takes in a measurement; a round begins with the one of bare tokio.
    pub fn add(&mut self, variant: Variant, per_operation: f64) {
        if variant == Variant::Bare {
            return self.bare.push(per_operation);
        }
        let bare = self.bare.last().expect("a round begins with bare tokio");
        let ratio = per_operation / bare;
        let row = self.row(variant);
        row.per_operation.push(per_operation);
        row.ratios.push(ratio);
    }

    fn row(&mut self, variant: Variant) -> &mut Row {
        let found = self.rows.iter().position(|row| row.variant == variant);
        let index = found.unwrap_or_else(|| {
            self.rows.push(Row {
                variant,
                per_operation: Vec::new(),
                ratios: Vec::new(),
            });
            self.rows.len() - 1
        });
        &mut self.rows[index]
    }
}

impl fmt::Display for Ratios {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [low, median, high] = quartiles(&self.bare);
        let operation = operation(self.load);
        writeln!(
            f,
            "{}: bare tokio takes {median:.0} ns per {operation} \
             (quartiles {low:.0} to {high:.0}, {} rounds)",
            self.load.name(),
            self.bare.len()
        )?;
        writeln!(f, "  {:<20}{:>8}   quartiles            added", "", "ratio")?;
        for row in &self.rows {
            let [low, ratio, high] = quartiles(&row.ratios);
            let [_, per_operation, _] = quartiles(&row.per_operation);
            let name = row.variant.name();
            let range = format!("{low:.2} to {high:.2}");
            let added = (per_operation - median).round() as i64;
            writeln!(f, "  {name:<20}{ratio:>8.2}   {range:<16}{added:>+7} ns")?;
        }
        Ok(())
    }
}

/// What one operation of `load` is.
fn operation(load: Load) -> &'static str {
    match load {
        Load::YieldOne | Load::YieldTwo => "poll",
        Load::Spawn => "task",
        Load::PingPong => "round trip",
        Load::Http => "request",
    }
}

/// The lower quartile, the median and the upper quartile.
fn quartiles(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| sorted[(sorted.len() - 1) * quarter / 4])
}
