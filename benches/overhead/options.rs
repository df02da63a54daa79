//! The command line.

use std::time::Duration;

use crate::{load::Load, variant::Variant};

const ROUNDS: usize = 15;
const ROUNDS_QUICK: usize = 2;
const DURATION: Duration = Duration::from_millis(100);
const DURATION_QUICK: Duration = Duration::from_millis(5);

/// What the user asked for.
pub struct Options {
    pub quick: bool,
    pub rounds: usize,
    /// How long one measurement takes.
    pub duration: Duration,
    filter: String,
}

impl Options {
    pub fn parse(args: &[String]) -> Result<Self, String> {
        let mut rounds = None;
        let mut options = Self {
            quick: false,
            rounds: ROUNDS,
            duration: DURATION,
            filter: String::new(),
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                // Cargo adds it for whoever has several ways to run.
                "--bench" => {}
                "--quick" => options.quick = true,
                "--rounds" => rounds = Some(number(args.next())?),
                option if option.starts_with('-') => {
                    return Err(format!(
                        "unknown option `{option}`; known are --quick and --rounds N"
                    ));
                }
                filter => options.filter = filter.to_owned(),
            }
        }
        if options.quick {
            options.duration = DURATION_QUICK;
            options.rounds = ROUNDS_QUICK;
        }
        options.rounds = rounds.unwrap_or(options.rounds);
        Ok(options)
    }

    /// Whether the filter lets a measurement through. Bare tokio always is, because all
    /// others are compared with it.
    pub fn wants(&self, load: Load, variant: Variant) -> bool {
        let name = format!("{}/{}", load.name(), variant.name());
        variant == Variant::Bare || name.contains(&self.filter)
    }
}

fn number(arg: Option<&String>) -> Result<usize, String> {
    arg.and_then(|arg| arg.parse().ok())
        .filter(|&number| number > 0)
        .ok_or_else(|| "--rounds wants a number above 0".to_owned())
}
