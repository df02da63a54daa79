//! The way from the detectors to the reporter's thread: one queue in order of time,
//! with a bound for each kind of finding, so that a flood of one kind displaces no
//! other. Senders never wait.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc::{self, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::Duration,
};

use asyncwatch_findings::Code;

use super::Event;

/// Slow polls waiting at a time: each is some KiB with its stacks, so a few MiB.
const SLOW_POLLS_MAX: usize = 1_024;
/// Events of each other kind of finding; most are smaller.
const OTHERS_MAX: usize = 256;
/// Warnings, addresses and questions.
const CONTROL_MAX: usize = 64;

const LANES: usize = Code::ALL.len() + 1;
const CAPACITY: usize = SLOW_POLLS_MAX + (Code::ALL.len() - 1) * OTHERS_MAX + CONTROL_MAX;

/// How many events of each kind wait.
type Waiting = Arc<[AtomicUsize; LANES]>;

/// What does not belong to one kind of finding goes last.
fn lane(code: Option<Code>) -> usize {
    code.map_or(LANES - 1, |code| code as usize)
}

fn bound(code: Option<Code>) -> usize {
    match code {
        Some(Code::SlowPoll) => SLOW_POLLS_MAX,
        Some(_) => OTHERS_MAX,
        None => CONTROL_MAX,
    }
}

/// Makes the queue.
pub(super) fn queue() -> (Sender, Receiver) {
    let waiting: Waiting = Arc::new([const { AtomicUsize::new(0) }; LANES]);
    let (events, incoming) = sync_channel(CAPACITY);
    let sender = Sender {
        events,
        waiting: waiting.clone(),
    };
    let receiver = Receiver { incoming, waiting };
    (sender, receiver)
}

/// The end that detectors have.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    events: SyncSender<Event>,
    waiting: Waiting,
}

impl Sender {
    /// Queues an event; `false` if too many of its kind wait already.
    pub(super) fn send(&self, event: Event) -> bool {
        let code = event.code();
        let waiting = &self.waiting[lane(code)];
        if waiting.fetch_add(1, Relaxed) >= bound(code) {
            waiting.fetch_sub(1, Relaxed);
            return false;
        }
        // The bounds add up to the capacity, so there is room; where the reporter's
        // thread has ended, there is nobody to count for.
        let _ = self.events.try_send(event);
        true
    }

    /// How many findings wait to be looked into.
    pub(super) fn waiting(&self) -> usize {
        let findings = &self.waiting[..lane(None)];
        findings.iter().map(|waiting| waiting.load(Relaxed)).sum()
    }
}

/// The reporter's end.
pub(super) struct Receiver {
    incoming: mpsc::Receiver<Event>,
    waiting: Waiting,
}

impl Receiver {
    /// The next event, the oldest first.
    pub(super) fn next(&self, at_most: Duration) -> Result<Event, RecvTimeoutError> {
        let event = self.incoming.recv_timeout(at_most)?;
        self.waiting[lane(event.code())].fetch_sub(1, Relaxed);
        Ok(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Detected, Place};

    fn detected(code: Code) -> Event {
        Event::Detected(Box::new(Detected::new(code, "", Place::Stack)))
    }

    fn waiting(receiver: &Receiver) -> Vec<Option<Code>> {
        std::iter::from_fn(|| receiver.next(Duration::ZERO).ok())
            .map(|event| event.code())
            .collect()
    }

    #[test]
    fn a_flood_of_one_kind_displaces_no_other() {
        let (sender, receiver) = queue();
        let fitted = (0..10_000).filter(|_| sender.send(detected(Code::NeverAwaited)));
        assert_eq!(fitted.count(), OTHERS_MAX);
        assert!(sender.send(detected(Code::SlowPoll)));
        assert!(sender.send(Event::Warning(String::new())));
        assert_eq!(sender.waiting(), OTHERS_MAX + 1, "a warning is no finding");
        assert_eq!(waiting(&receiver).len(), OTHERS_MAX + 2);
        assert!(
            sender.send(detected(Code::NeverAwaited)),
            "there is room again"
        );
    }

    #[test]
    fn every_kind_finds_room_while_all_are_flooded() {
        let (sender, receiver) = queue();
        for _ in 0..2 * SLOW_POLLS_MAX {
            for &code in Code::ALL {
                sender.send(detected(code));
            }
            sender.send(Event::Warning(String::new()));
        }
        assert_eq!(waiting(&receiver).len(), CAPACITY);
    }

    #[test]
    fn events_come_in_the_order_they_went() {
        let (sender, receiver) = queue();
        let codes = [Code::SelfWake, Code::SlowPoll, Code::SelfWake];
        for code in codes {
            sender.send(detected(code));
        }
        assert_eq!(waiting(&receiver), codes.map(Some));
    }
}
