//! How much of each kind of finding the log shows: it stays readable however much
//! goes wrong, and what it leaves out is counted and said.
//!
//! Places already repeat at the 1st, 2nd, 4th, 8th … time only; this bounds many
//! places, and kinds of findings against each other. Knows no clock of its own.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use asyncwatch_findings::Code;

/// Each bound holds for one period, which begins with the first occurrence.
const PERIOD: Duration = Duration::from_secs(60);
/// Findings of one kind shown in a period: some ten lines each, so a few screens.
const SHOWN_MAX: u32 = 30;
/// Of these, the ones that may go to places which were shown before: noise that is
/// known must not hide what is new.
const REPEATS_MAX: u32 = 20;
/// Lines that say how a finding goes on.
const FOLLOW_UPS_MAX: u32 = 30;

/// What the log has shown of each kind.
#[derive(Default)]
pub(super) struct Pace {
    kinds: [Kind; Code::ALL.len()],
}

#[derive(Default)]
struct Kind {
    period: Option<Period>,
    since_start: Tally,
}

/// One minute of one kind.
struct Period {
    began: Instant,
    shown: u32,
    repeats: u32,
    follow_ups: u32,
    follow_ups_left_out: u64,
    tally: Tally,
    /// Something was due and found no room.
    over: bool,
}

/// How often, where, and how much of it nobody was shown.
#[derive(Default)]
struct Tally {
    seen: u64,
    left_out: u64,
    /// Of findings that were left out at least once; as many as places are kept.
    places: HashSet<u64>,
}

impl Tally {
    fn add(&mut self, place: u64, times: u64, shown: bool) {
        self.seen += times;
        // What is shown stands for one occurrence and tells the count of all.
        self.left_out += if shown { times - 1 } else { times };
        if !shown || times > 1 {
            self.places.insert(place);
        }
    }
}

/// An occurrence on its way to the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Occurrence {
    pub(super) code: Code,
    /// The finding's id.
    pub(super) place: u64,
    /// How many it stands for, at least 1.
    pub(super) times: u64,
    /// It is its place's turn to be shown.
    pub(super) due: bool,
    /// The place was not shown before.
    pub(super) new: bool,
}

/// What was left out, to be said in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) code: Code,
    /// Occurrences altogether, shown ones included.
    pub(super) seen: u64,
    pub(super) left_out: u64,
    pub(super) places: u64,
    pub(super) follow_ups: u64,
}

impl Pace {
    /// Counts an occurrence; whether to show it.
    pub(super) fn take(&mut self, occurrence: Occurrence, now: Instant) -> bool {
        let Occurrence { place, times, .. } = occurrence;
        let kind = &mut self.kinds[occurrence.code as usize];
        let period = kind.period(now);
        let room = period.shown < SHOWN_MAX && (occurrence.new || period.repeats < REPEATS_MAX);
        let show = occurrence.due && room;
        if show {
            period.shown += 1;
            period.repeats += u32::from(!occurrence.new);
        }
        period.over |= occurrence.due && !room;
        period.tally.add(place, times, show);
        kind.since_start.add(place, times, show);
        show
    }

    /// Whether to show one more line about a finding that was shown.
    pub(super) fn follow_up(&mut self, code: Code, now: Instant) -> bool {
        let period = self.kinds[code as usize].period(now);
        let show = period.follow_ups < FOLLOW_UPS_MAX;
        if show {
            period.follow_ups += 1;
        } else {
            period.follow_ups_left_out += 1;
            period.over = true;
        }
        show
    }

    /// Ends the periods that are over; gives those in which the bounds were reached.
    pub(super) fn ended(&mut self, now: Instant) -> Vec<LeftOut> {
        let mut all = Vec::new();
        for (kind, &code) in self.kinds.iter_mut().zip(Code::ALL) {
            let ended = kind
                .period
                .take_if(|period| now.duration_since(period.began) >= PERIOD);
            all.extend(ended.filter(|period| period.over).map(|period| LeftOut {
                follow_ups: period.follow_ups_left_out,
                ..period.tally.left_out(code)
            }));
        }
        all
    }

    /// Everything that was left out since the start.
    pub(super) fn since_start(&self) -> Vec<LeftOut> {
        let kinds = self.kinds.iter().zip(Code::ALL);
        kinds
            .filter(|(kind, _)| kind.since_start.left_out > 0)
            .map(|(kind, &code)| kind.since_start.left_out(code))
            .collect()
    }
}

impl Kind {
    /// The period of `now`; one that is over and in which nothing was left out makes
    /// room for it.
    fn period(&mut self, now: Instant) -> &mut Period {
        let over = |period: &Period| now.duration_since(period.began) >= PERIOD;
        if self
            .period
            .as_ref()
            .is_some_and(|period| over(period) && !period.over)
        {
            self.period = None;
        }
        self.period.get_or_insert_with(|| Period {
            began: now,
            shown: 0,
            repeats: 0,
            follow_ups: 0,
            follow_ups_left_out: 0,
            tally: Tally::default(),
            over: false,
        })
    }
}

impl Tally {
    fn left_out(&self, code: Code) -> LeftOut {
        LeftOut {
            code,
            seen: self.seen,
            left_out: self.left_out,
            places: self.places.len() as u64,
            follow_ups: 0,
        }
    }
}

impl LeftOut {
    /// What a period left out.
    pub(super) fn of_a_minute(&self) -> String {
        let LeftOut { code, .. } = self;
        let mut parts = Vec::new();
        if self.left_out > 0 {
            let (more, places) = (grouped(self.left_out), plural(self.places, "place"));
            parts.push(format!("{more} more in the last minute at {places}"));
        }
        if self.follow_ups > 0 {
            let lines = plural(self.follow_ups, "line");
            parts.push(format!("{lines} on how they went on not shown"));
        }
        format!("{code}: {}", parts.join("; "))
    }

    /// What was left out altogether.
    pub(super) fn of_all(&self) -> String {
        format!(
            "{}: seen {} times; {} of them, at {}, were not shown",
            self.code,
            grouped(self.seen),
            grouped(self.left_out),
            plural(self.places, "place")
        )
    }
}

fn plural(count: u64, one: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} {one}{s}", grouped(count))
}

/// `9,970`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use asyncwatch_findings::Repeats;

    use super::*;

    const MINUTE: Duration = PERIOD;

    fn occurrence(place: u64, due: bool, new: bool) -> Occurrence {
        Occurrence {
            code: Code::SlowPoll,
            place,
            times: 1,
            due,
            new,
        }
    }

    #[test]
    fn ten_thousand_slow_polls_a_minute_are_a_screenful_and_no_count_is_lost() {
        let start = Instant::now();
        let mut pace = Pace::default();
        let mut repeats = [Repeats::default(); 12];
        let mut shown = 0;
        for n in 0..10_000_u32 {
            let place = n as usize % repeats.len();
            let due = repeats[place].record().is_some();
            let new = repeats[place].seen() == 1;
            let now = start + MINUTE * n / 10_000;
            assert!(pace.ended(now).is_empty());
            shown += u64::from(pace.take(occurrence(place as u64, due, new), now));
        }
        assert_eq!(shown, u64::from(SHOWN_MAX));
        let [left_out] = &pace.ended(start + MINUTE)[..] else {
            panic!("one line");
        };
        assert_eq!(
            left_out.of_a_minute(),
            "slow-poll: 9,970 more in the last minute at 12 places"
        );
        assert_eq!(
            pace.since_start()[0].of_all(),
            "slow-poll: seen 10,000 times; 9,970 of them, at 12 places, were not shown"
        );
    }

    #[test]
    fn noise_that_is_known_leaves_room_for_what_is_new() {
        let now = Instant::now();
        let mut pace = Pace::default();
        let noise = (0..100).filter(|_| pace.take(occurrence(1, true, false), now));
        assert_eq!(noise.count(), REPEATS_MAX as usize);
        assert!(pace.take(occurrence(2, true, true), now));
    }

    #[test]
    fn one_kind_takes_no_room_from_another() {
        let now = Instant::now();
        let mut pace = Pace::default();
        for place in 0..100 {
            pace.take(occurrence(place, true, true), now);
        }
        let other = Occurrence {
            code: Code::NeverAwaited,
            ..occurrence(1, true, true)
        };
        assert!(pace.take(other, now));
    }

    #[test]
    fn quiet_minutes_are_passed_over_in_silence() {
        let start = Instant::now();
        let mut pace = Pace::default();
        for n in 0..20 {
            assert!(pace.take(occurrence(1, true, n == 0), start + MINUTE * n));
            assert!(!pace.take(occurrence(1, false, false), start + MINUTE * n));
            assert!(pace.ended(start + MINUTE * (n + 1)).is_empty());
        }
        assert_eq!(
            pace.since_start()[0].of_all(),
            "slow-poll: seen 40 times; 20 of them, at 1 place, were not shown"
        );
    }

    #[test]
    fn follow_ups_are_bounded_and_counted() {
        let start = Instant::now();
        let mut pace = Pace::default();
        let shown = (0..50).filter(|_| pace.follow_up(Code::SlowPoll, start));
        assert_eq!(shown.count(), FOLLOW_UPS_MAX as usize);
        assert_eq!(
            pace.ended(start + MINUTE)[0].of_a_minute(),
            "slow-poll: 20 lines on how they went on not shown"
        );
        assert!(pace.follow_up(Code::SlowPoll, start + MINUTE));
    }

    #[test]
    fn one_report_of_many_occurrences_counts_them_all() {
        let now = Instant::now();
        let mut pace = Pace::default();
        let many = Occurrence {
            times: 500,
            ..occurrence(1, true, true)
        };
        assert!(pace.take(many, now));
        assert_eq!(pace.since_start()[0].left_out, 499);
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
