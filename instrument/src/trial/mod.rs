//! Tests with rules of their own: `#[asyncwatch::test(max_poll = "20ms", deny(..))]`.
//!
//! Several tests run at a time in one process, each on a runtime of its own, and that
//! runtime is how they are told apart: what happens on it is judged by the rules of its
//! test, and by nobody else's. The verdict falls after the test's future has ended, so
//! nothing that the test does with its errors can hide a finding.

mod active;
mod deadline;
mod dump;
mod found;
mod leaks;

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    process::Termination,
    time::Duration,
};

use asyncwatch_findings::Code;

use crate::{
    ending::{AnyRuntime, running},
    registry::slots,
    runtimes, settings,
};
use active::{Active, Terms};
pub(crate) use active::{any, keeps, level_on, limit_on, shortest_limit, with_rule};
use deadline::Deadline;
use found::Found;
pub(crate) use found::{excuse, note};

/// What a test asks for.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Its path.
    pub name: &'static str,
    /// A poll on its runtime that takes this long is a slow one.
    pub max_poll: Option<Duration>,
    /// Findings of these kinds fail it.
    pub deny: &'static [Code],
    /// Findings of these kinds are only counted.
    pub allow: &'static [Code],
    /// It fails if it has not ended by then.
    pub timeout: Option<Duration>,
}

/// Runs the future that `body` makes on `runtime`, as a test with rules of its own.
///
/// # Panics
///
/// As the future does; and after it has ended, if something was found that the rules
/// deny, or if it did not end in time.
#[track_caller]
pub fn run_test<R, F>(rules: Rules, runtime: R, body: impl FnOnce() -> F) -> F::Output
where
    R: AnyRuntime,
    F: Future<Output: Termination>,
{
    if !settings::on() {
        return runtime.block_on(body());
    }
    let id = runtimes::number(runtime.handle().id());
    let terms = Terms::of(&rules);
    let Some(active) = Active::begin(id, rules.name, terms) else {
        crate::warn(format!(
            "`{}` is not judged by its own rules: too many tests run at a time",
            rules.name
        ));
        return runtime.block_on(body());
    };
    let deadline = rules
        .timeout
        .map(|timeout| Deadline::start(rules.name, id, timeout));
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // The thread may have run another test's runtime before, and been seen there.
        let future = {
            let _inside = runtime.handle().enter();
            slots::refresh_here();
            body()
        };
        runtime.block_on(deadline::within(deadline.as_ref(), future))
    }));
    if terms.denies(Code::TaskLeaked) && matches!(outcome, Ok(Some(_))) {
        leaks::look(&runtime);
    }
    match outcome {
        // What is stuck would be waited for.
        Ok(None) => runtime.shutdown_background(),
        _ => drop(running(runtime)),
    }
    let overdue = deadline.and_then(Deadline::end);
    crate::settle();
    let found = active.end();
    let failure = failure(rules.name, overdue, &found);
    match (outcome, failure) {
        (Err(panic), failure) => {
            failure
                .into_iter()
                .for_each(|failure| eprintln!("{failure}"));
            resume_unwind(panic)
        }
        (Ok(Some(output)), None) => output,
        (Ok(Some(output)), Some(failure)) => {
            // An error that the test returns is told as if it were alone.
            output.report();
            panic!("{failure}");
        }
        (Ok(None), failure) => panic!("{}", failure.unwrap_or_default()),
    }
}

/// What fails the test, if anything does.
fn failure(name: &str, overdue: Option<String>, found: &Found) -> Option<String> {
    let found = found.render().map(|text| {
        let denied: Vec<&str> = found.codes().map(Code::as_str).collect();
        let denied = denied.join(", ");
        format!("test `{name}` denies {denied}, and this was found:\n\n{text}")
    });
    match (overdue, found) {
        (Some(overdue), Some(found)) => Some(format!("{overdue}\n{found}")),
        (overdue, found) => overdue.or(found),
    }
}
