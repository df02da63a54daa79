//! What the layer found, as findings.

use std::time::Duration;

use asyncwatch_findings::{Code, Frame, humanise, message};

use super::{
    contention::{Contended, Contention, Look},
    locks::Who,
    rhythm::Burst,
    signals::{self, Signal},
};
use crate::{
    clock::{self, Ticks},
    report::{Detected, Place},
    settings,
    source::SourceLine,
};

/// Takes what the layer tells and judges it; the watchdog's.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    contention: Contention,
    looked: Ticks,
}

impl Judge {
    /// What was found since the last look; `last` if the program ends.
    pub(crate) fn look(&mut self, last: bool) -> Vec<Detected> {
        let now = clock::now();
        let limit = clock::from_duration(Duration::from_nanos(settings::limit_of(
            Code::AsyncContention,
        )));
        let mut found = self.take();
        let stopped = self.looked != 0 && now.saturating_sub(self.looked) > limit / 2;
        self.looked = now;
        // A machine that slept, or signals lost: what was learned before may not hold.
        if signals::were_lost() || stopped {
            self.contention.forget();
        }
        let contended = self.contention.look(Look { now, limit, last });
        if settings::wants(Code::AsyncContention) {
            found.extend(contended.into_iter().map(contention));
        }
        found
    }

    fn take(&mut self) -> Vec<Detected> {
        let mut found = Vec::new();
        while let Some(signal) = signals::pop() {
            match signal {
                Signal::Waits {
                    lock,
                    attempt,
                    at,
                    who,
                    stack,
                } => self.contention.waits(lock, attempt, at, who, stack),
                Signal::WaitEnds { lock, attempt, at } => {
                    self.contention.wait_ends(lock, attempt, at);
                }
                Signal::Released { lock, held } => self.contention.released(lock, *held),
                Signal::Burst { made, who, burst } if settings::wants(Code::TimerBurst) => {
                    found.push(timer_burst(made, who, burst));
                }
                Signal::Burst { .. } => {}
            }
        }
        found
    }
}

fn timer_burst(made: SourceLine, who: Option<Who>, burst: Burst) -> Detected {
    let Burst {
        ticks,
        within,
        stall,
        period,
    } = burst;
    Detected {
        task: who.map(|who| who.identity),
        label: Some(format!(
            "made here, to tick every {}",
            humanise(rounded(period))
        )),
        help: Some(
            "choose what is to become of missed ticks: `set_missed_tick_behavior(MissedTickBehavior::Delay)` waits a full period after a late one, `Skip` goes on at the next multiple of the period".to_owned(),
        ),
        notes: vec![format!(
            "there was no tick for {} before: look for what held up the task meanwhile",
            humanise(stall)
        )],
        ..Detected::new(
            Code::TimerBurst,
            message::timer_burst(ticks, within, stall),
            Place::At(made),
        )
    }
}

/// A measured period, to two digits.
fn rounded(period: Duration) -> Duration {
    let ns = period.as_nanos() as u64;
    let unit = 10u64.pow(ns.max(1).ilog10().saturating_sub(1));
    Duration::from_nanos((ns + unit / 2) / unit * unit)
}

fn contention(found: Contended) -> Detected {
    let wait = clock::to_duration(found.wait);
    let kind = found.lock.kind;
    let made = found.lock.made;
    let elsewhere = found.waiter.and_then(|who| who.identity.spawned_at);
    let label = if found.ongoing {
        format!("has queued for {}", humanise(wait))
    } else {
        format!("queued for {}", humanise(wait))
    };
    let mut notes = vec![format!(
        "the `{kind}` was made at {}:{}",
        made.file(),
        made.line()
    )];
    notes.extend(holder(&found));
    Detected {
        label: Some(label),
        task: found.waiter.map(|who| who.identity),
        wall: Some(wait),
        stacks: found
            .stack
            .map(|stack| (Duration::ZERO, *stack))
            .into_iter()
            .collect(),
        help: Some(
            "drop the guard before the `.await`: copy out what is needed, or give the data to a task of its own that is asked by messages".to_owned(),
        ),
        notes,
        traced: found
            .held
            .awaits
            .into_iter()
            .map(|stack| ("it awaits".to_owned(), stack))
            .collect(),
        excused_by: Some(waits_for_work),
        otherwise: Some(elsewhere.unwrap_or(made)),
        ..Detected::new(
            Code::AsyncContention,
            message::async_contention(kind, found.waiting, wait, found.ongoing),
            Place::Stack,
        )
    }
}

/// Who held the lock, and what that task did.
fn holder(found: &Contended) -> Option<String> {
    let held = &found.held;
    let who = held.who?.identity;
    let task = message::task_name(Some(&who.to_ref()));
    let spawned = who.spawned_at.map_or_else(String::new, |at| {
        format!(", spawned at {}:{},", at.file(), at.line())
    });
    let share = clock::to_duration(held.until.saturating_sub(held.since));
    let turns = match found.holders {
        0 | 1 => String::new(),
        turns => format!("; {turns} tasks held it in turn meanwhile"),
    };
    Some(format!(
        "{task}{spawned} held it for {} and was awaiting for {} of that{turns}",
        humanise(share),
        humanise(clock::to_duration(held.idle))
    ))
}

/// Whether a holder awaits the next message, connection or signal: then those that
/// queue are idle as it is, as where workers share the receiver of a channel.
fn waits_for_work(frames: &[Frame]) -> bool {
    const CRATES: &[&str] = &[
        "tokio",
        "tokio_stream",
        "futures_channel",
        "async_channel",
        "flume",
    ];
    const CALLS: &[&str] = &[
        "recv",
        "recv_async",
        "recv_many",
        "poll_recv",
        "poll_recv_many",
        "accept",
        "poll_accept",
        "changed",
        "wait_for",
        "notified",
        "poll_notified",
    ];
    frames.iter().any(|frame| {
        let name = frame.function.trim_start_matches('<');
        let mut segments = name
            .split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .filter(|segment| !segment.is_empty());
        // The answer to a request is no work to come.
        CRATES.contains(&segments.next().unwrap_or_default())
            && !name.contains("::oneshot::")
            && segments.any(|segment| CALLS.contains(&segment))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn awaits(function: &str) -> bool {
        waits_for_work(&[Frame {
            function: function.to_owned(),
            ..Frame::default()
        }])
    }

    #[test]
    fn who_waits_for_a_message_is_idle() {
        assert!(awaits("tokio::sync::mpsc::chan::Rx<T,S>::recv"));
        assert!(awaits(
            "tokio::sync::mpsc::bounded::Receiver<T>::recv::{{closure}}"
        ));
        assert!(awaits(
            "<tokio::sync::notify::Notified as Future>::poll_notified"
        ));
        assert!(awaits(
            "tokio::net::tcp::listener::TcpListener::poll_accept"
        ));
    }

    #[test]
    fn who_waits_for_an_answer_or_for_time_is_not() {
        assert!(!awaits("tokio::sync::oneshot::Inner<T>::poll_recv"));
        assert!(!awaits(
            "<tokio::time::sleep::Sleep as core::future::future::Future>::poll"
        ));
        assert!(!awaits("app::mailbox::recv"));
        assert!(!awaits("tokio::sync::batch_semaphore::Acquire::poll"));
    }

    #[test]
    fn a_measured_period_is_told_roundly() {
        assert_eq!(
            rounded(Duration::from_micros(49_873)),
            Duration::from_millis(50)
        );
        assert_eq!(
            rounded(Duration::from_micros(1_004)),
            Duration::from_millis(1)
        );
    }
}
