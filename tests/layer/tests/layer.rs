//! What the layer sees, what it finds, and what it leaves alone.

mod run;

use run::{Run, run};

const TRACED: bool = cfg!(feature = "traced") && cfg!(tokio_unstable);

/// Requires one finding of this code, at the line with the mark.
#[track_caller]
fn reports(code: &str, specimen: &str, case: &str) -> Run {
    let run = run(specimen, case);
    if !TRACED {
        assert!(run.of(code).is_empty(), "{run}");
        return run;
    }
    let found = run.of(code);
    assert!(!found.is_empty(), "{run}");
    let (line, _) = run::marked(specimen, case)[0];
    for finding in found {
        assert_eq!(finding["culprit"]["line"], line, "{run}");
    }
    run
}

#[track_caller]
fn is_left_alone(code: &str, specimen: &str, case: &str) {
    let run = run(specimen, case);
    assert!(run.of(code).is_empty(), "{run}");
}

/// Requires the one slow poll of a case, in a task of the kind that the mark tells.
#[track_caller]
fn shows_the_slow_poll(case: &str) -> Run {
    let run = run("unseen", case);
    let (line, kind) = run::marked("unseen", case)[0].clone();
    let slow = run.of("slow-poll");
    assert_eq!(slow.len(), 1, "{run}");
    assert_eq!(slow[0]["culprit"]["line"], line, "{run}");
    assert_eq!(slow[0]["task"]["kind"], kind, "{run}");
    assert_eq!(slow[0]["count"], 1, "{run}");
    run
}

#[test]
fn tasks_of_a_local_set_are_seen() {
    if TRACED {
        shows_the_slow_poll("local");
    }
}

#[test]
fn roots_of_block_on_are_seen() {
    if TRACED {
        shows_the_slow_poll("root");
    }
}

#[test]
fn tasks_of_an_unwatched_runtime_are_seen() {
    if TRACED {
        shows_the_slow_poll("plain");
    }
}

#[test]
fn what_hooks_see_too_is_told_once() {
    if cfg!(tokio_unstable) {
        shows_the_slow_poll("hooked");
    }
}

#[test]
fn what_a_wrapper_sees_too_is_told_once() {
    shows_the_slow_poll("wrapped");
    shows_the_slow_poll("wrapped_local");
    shows_the_slow_poll("watched_root");
}

#[test]
fn a_closure_on_the_blocking_pool_may_block() {
    let run = run("unseen", "closure");
    assert!(run.findings().is_empty(), "{run}");
}

#[test]
fn without_tokios_tracing_nothing_arrives_and_that_is_said() {
    let run = run("unseen", "wrapped");
    assert_eq!(run.covers("layer"), Some(TRACED), "{run}");
}

#[test]
fn tasks_queueing_for_a_lock_are_reported() {
    let run = reports("async-contention", "contention", "queue");
    if TRACED {
        let finding = run.of("async-contention")[0];
        let message = finding["message"].as_str().unwrap_or_default();
        assert!(message.starts_with("5 tasks queued"), "{run}");
        let (line, _) = run::marked("contention", "AWAITS queue")[0];
        let awaits = format!("contention.rs:{line} in `contention::refresh`");
        assert!(run.notes(finding).contains(&awaits), "{run}");
    }
}

#[test]
fn a_lock_that_is_always_held_across_an_await_is_reported() {
    let run = reports("async-contention", "contention", "convoy");
    if TRACED {
        assert!(
            run.notes(run.of("async-contention")[0]).contains("in turn"),
            "{run}"
        );
    }
}

#[test]
fn a_writer_that_waits_for_a_reader_is_reported() {
    reports("async-contention", "contention", "rwlock");
}

#[test]
fn tasks_that_wait_for_each_other_are_reported_while_they_do() {
    let run = reports("async-contention", "contention", "stuck");
    if TRACED {
        let message = run.of("async-contention")[0]["message"].as_str();
        assert!(
            message.unwrap_or_default().starts_with("a task has waited"),
            "{run}"
        );
    }
}

#[test]
fn a_short_queue_is_not() {
    is_left_alone("async-contention", "contention", "short");
}

#[test]
fn a_holder_that_computes_is_a_slow_poll_only() {
    is_left_alone("async-contention", "contention", "computing");
}

#[test]
fn workers_that_share_a_receiver_are_not() {
    is_left_alone("async-contention", "contention", "workers");
}

#[test]
fn a_semaphore_that_limits_is_not() {
    is_left_alone("async-contention", "contention", "limiter");
}

#[test]
fn channels_and_events_are_not() {
    is_left_alone("async-contention", "contention", "channels");
}

#[test]
fn an_interval_that_bursts_is_reported() {
    reports("timer-burst", "intervals", "burst");
}

#[test]
fn an_interval_beside_slow_work_that_bursts_is_reported() {
    reports("timer-burst", "intervals", "select");
}

#[test]
fn an_interval_that_delays_or_skips_is_not() {
    is_left_alone("timer-burst", "intervals", "delay");
    is_left_alone("timer-burst", "intervals", "skip");
}

#[test]
fn a_fast_interval_is_not() {
    is_left_alone("timer-burst", "intervals", "fast");
}

#[test]
fn other_layers_see_no_more_than_before() {
    for case in ["level", "after", "twice"] {
        let run = run("subscribers", case);
        assert!(run.stdout.contains("begins"), "{run}");
        assert!(!run.stdout.contains("runtime.spawn"), "{run}");
        assert!(!run.stdout.contains("TRACE"), "{run}");
        assert_eq!(
            run.of("slow-poll").len(),
            usize::from(TRACED),
            "{case}: {run}"
        );
    }
}

#[test]
fn a_filter_of_another_layer_is_its_own() {
    let run = run("subscribers", "env_filter");
    assert!(run.stdout.contains("in detail"), "{run}");
    assert!(!run.stdout.contains("tokio"), "{run}");
    assert_eq!(run.of("slow-poll").len(), usize::from(TRACED), "{run}");
}

#[test]
fn a_filter_before_everything_keeps_tokio_from_the_layer_and_that_is_said() {
    let run = run("subscribers", "global");
    assert!(run.stdout.contains("begins"), "{run}");
    assert!(run.of("slow-poll").is_empty(), "{run}");
    assert_eq!(run.covers("layer"), Some(false), "{run}");
}
