//! The text of the `/proc` files about a thread, parsed without allocating.

use crate::{Faults, Syscall};
use std::ops::Range;
use std::time::Duration;

/// What `/proc/self/task/TID/syscall` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On a CPU or waiting for one.
    Running,
    /// Asleep in a system call.
    Syscall(Syscall),
    /// Off the CPU, but not by a call of its own.
    Fault {
        /// The stack pointer in user code.
        sp: u64,
        /// The program counter in user code.
        pc: u64,
    },
    /// There is no such thread any more.
    Gone,
    /// The kernel does not say.
    Unknown,
}

/// Parses the `syscall` file: `running`, or the number and six arguments, or
/// `-1`; then SP and PC.
pub(super) fn place(text: &[u8]) -> Place {
    let mut words = words(text);
    let Some(first) = words.next() else {
        return Place::Unknown;
    };
    match first {
        b"running" => Place::Running,
        b"-1" => fault(words).unwrap_or(Place::Unknown),
        number => syscall(number, words).unwrap_or(Place::Unknown),
    }
}

/// The first field of the `schedstat` file: nanoseconds on a CPU, up to the kernel's
/// last tick.
pub(super) fn on_cpu(text: &[u8]) -> Option<Duration> {
    words(text)
        .next()
        .and_then(decimal)
        .map(Duration::from_nanos)
}

/// The second field of the `schedstat` file: nanoseconds spent waiting for a
/// CPU.
pub(super) fn run_delay(text: &[u8]) -> Option<Duration> {
    words(text)
        .nth(1)
        .and_then(decimal)
        .map(Duration::from_nanos)
}

/// The three fields of the `schedstat` file.
#[cfg(feature = "outside")]
pub(super) fn account(text: &[u8]) -> Option<super::outside::Account> {
    let mut numbers = words(text).map(decimal);
    let mut next = || numbers.next().flatten();
    Some(super::outside::Account {
        cpu: Duration::from_nanos(next()?),
        run_delay: Duration::from_nanos(next()?),
        turns: next()?,
    })
}

/// The state letter of the `stat` file. The name before it is in parentheses
/// and may hold parentheses itself.
pub(super) fn state(text: &[u8]) -> Option<u8> {
    let after_name = text.iter().rposition(|&byte| byte == b')')?;
    text.get(after_name + 2).copied()
}

/// The tenth and twelfth field of the `stat` file.
pub(super) fn faults(text: &[u8]) -> Option<Faults> {
    let after_name = text.iter().rposition(|&byte| byte == b')')?;
    // The state, which follows, is the third field.
    let field = |number: usize| {
        words(&text[after_name + 1..])
            .nth(number - 3)
            .and_then(decimal)
    };
    Some(Faults {
        minor: field(10)?,
        major: field(12)?,
    })
}

/// Whether the `status` file lists `signal` among those that wait for this
/// very thread.
pub(super) fn is_pending(status: &str, signal: i32) -> bool {
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigPnd:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// The mapping that holds `address`, of those that `/proc/self/maps` lists.
pub(super) fn mapping_around(address: u64) -> Option<Range<u64>> {
    mapping_in(&std::fs::read_to_string("/proc/self/maps").ok()?, address)
}

fn mapping_in(maps: &str, address: u64) -> Option<Range<u64>> {
    maps.lines()
        .filter_map(|line| {
            let (range, rest) = line.split_once(' ')?;
            let (start, end) = range.split_once('-')?;
            let number = |text| u64::from_str_radix(text, 16).ok();
            rest.starts_with("rw")
                .then_some(number(start)?..number(end)?)
        })
        .find(|mapping| mapping.contains(&address))
}

/// A thread that is just ending has no registers left.
fn fault<'a>(mut words: impl Iterator<Item = &'a [u8]>) -> Option<Place> {
    let sp = hexadecimal(words.next()?)?;
    let pc = hexadecimal(words.next()?)?;
    Some(match (sp, pc) {
        (0, 0) => Place::Gone,
        _ => Place::Fault { sp, pc },
    })
}

fn syscall<'a>(number: &[u8], mut words: impl Iterator<Item = &'a [u8]>) -> Option<Place> {
    let number = i64::try_from(decimal(number)?).ok()?;
    let mut args = [0; 6];
    for arg in &mut args {
        *arg = hexadecimal(words.next()?)?;
    }
    let sp = hexadecimal(words.next()?)?;
    let pc = hexadecimal(words.next()?)?;
    Some(Place::Syscall(Syscall {
        number,
        args,
        sp,
        pc,
    }))
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
}

fn decimal(word: &[u8]) -> Option<u64> {
    str::from_utf8(word).ok()?.parse().ok()
}

fn hexadecimal(word: &[u8]) -> Option<u64> {
    let digits = str::from_utf8(word).ok()?.strip_prefix("0x")?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::{Place, faults, is_pending, mapping_around, mapping_in, place, run_delay, state};
    use crate::Syscall;
    use std::time::Duration;

    #[test]
    fn a_thread_on_a_cpu_is_running() {
        assert_eq!(place(b"running\n"), Place::Running);
    }

    #[test]
    fn a_thread_in_a_call_shows_it_whole() {
        let text = b"0 0x3 0x7fd8 0x20000 0x4 0x5 0x6 0x7ffffc915f68 0x7fd8db2f12ad\n";
        let expected = Syscall {
            number: 0,
            args: [0x3, 0x7fd8, 0x20000, 0x4, 0x5, 0x6],
            sp: 0x7fff_fc91_5f68,
            pc: 0x7fd8_db2f_12ad,
        };
        assert_eq!(place(text), Place::Syscall(expected));
    }

    #[test]
    fn a_thread_in_a_page_fault_has_registers_but_no_call() {
        let fault = Place::Fault { sp: 0x10, pc: 0x20 };
        assert_eq!(place(b"-1 0x10 0x20\n"), fault);
        assert_eq!(place(b"-1 0x0 0x0\n"), Place::Gone);
    }

    #[test]
    fn what_cannot_be_read_is_unknown() {
        for text in ["", "\n", "walking", "0 0x3", "-1 0x1", "7 a b c d e f g h"] {
            assert_eq!(place(text.as_bytes()), Place::Unknown, "{text:?}");
        }
    }

    #[test]
    fn the_delay_is_the_second_number() {
        assert_eq!(
            run_delay(b"186359 152751 2\n"),
            Some(Duration::from_nanos(152_751))
        );
        assert_eq!(run_delay(b"186359\n"), None);
        assert_eq!(run_delay(b""), None);
    }

    #[test]
    fn the_state_follows_the_last_parenthesis() {
        assert_eq!(state(b"8540 (a) S (b)) D 1 2 3"), Some(b'D'));
        assert_eq!(state(b"8540 (cat"), None);
    }

    #[test]
    fn faults_are_the_tenth_and_twelfth_field() {
        let stat = b"8540 (a) S (b)) D 1 2 3 4 5 6 700 8 90 10 11";
        let found = faults(stat).expect("they are there");
        assert_eq!((found.minor, found.major), (700, 90));
        assert_eq!(faults(b"8540 (a) D 1 2"), None);
    }

    #[test]
    fn the_mapping_of_a_stack_is_found() {
        let maps = "7f00-7f10 r--p 0 0:0 0 /lib\n7f10-7f40 rw-p 0 0:0 0\n";
        assert_eq!(mapping_in(maps, 0x7f20), Some(0x7f10..0x7f40));
        assert_eq!(mapping_in(maps, 0x7f08), None);
        assert_eq!(mapping_in("", 1), None);
        let here = 0_u8;
        assert!(mapping_around(&raw const here as u64).is_some());
    }

    #[test]
    fn a_pending_signal_is_found_by_its_bit() {
        let status = "Name:\tx\nSigPnd:\t0000000200000000\nShdPnd:\tffffffffffffffff\n";
        assert!(is_pending(status, 34));
        assert!(!is_pending(status, 35));
        assert!(!is_pending("", 34));
    }
}
