//! How numbers, times and names are written: short, aligned, and cut to fit.

use std::time::Duration;

use asyncwatch_findings::{Frame, Location};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A duration with three significant digits, at most seven columns wide:
/// `12.3 µs`, `512 ms`, `1.34 s`, `2m 03s`, `1h 02m`, `3d 04h`.
pub(super) fn duration(duration: Duration) -> String {
    let ns = duration.as_nanos();
    let seconds = duration.as_secs();
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..999_500 => three_digits(ns as f64 / 1e3, "µs"),
        999_500..999_500_000 => three_digits(ns as f64 / 1e6, "ms"),
        _ if duration.as_millis() < 59_950 => three_digits(ns as f64 / 1e9, "s"),
        _ => long(seconds.max(60)),
    }
}

/// A duration that is still growing: tenths of a second are as fine as it gets.
pub(super) fn ticking(elapsed: Duration) -> String {
    match elapsed.as_millis() {
        0..1_000 => duration(Duration::from_millis(elapsed.as_millis() as u64)),
        1_000..60_000 => format!("{:.1} s", (elapsed.as_millis() / 100) as f64 / 10.0),
        _ => long(elapsed.as_secs()),
    }
}

/// Time passed since something, in whole seconds: `now`, `7 s`, `2m 03s`.
pub(super) fn ago(elapsed: Duration) -> String {
    match elapsed.as_secs() {
        0 => "now".to_owned(),
        seconds @ 1..60 => format!("{seconds} s"),
        seconds => long(seconds),
    }
}

fn three_digits(value: f64, unit: &str) -> String {
    let decimals = match value {
        _ if value < 9.995 => 2,
        _ if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

fn long(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..3_600 => format!("{minutes}m {:02}s", seconds % 60),
        3_600..86_400 => format!("{hours}h {:02}m", minutes % 60),
        86_400..8_640_000 => format!("{days}d {:02}h", hours % 24),
        _ => format!("{days} d"),
    }
}

/// A duration, or a dot where it is not known.
pub(super) fn optional(value: Option<Duration>) -> String {
    value.map_or_else(|| "·".to_owned(), duration)
}

/// A number at most seven columns wide: `12,345`, `123 k`, `1.23 M`.
pub(super) fn count(n: u64) -> String {
    match n {
        0..1_000 => n.to_string(),
        1_000..100_000 => format!("{},{:03}", n / 1_000, n % 1_000),
        100_000..999_500 => three_digits(n as f64 / 1e3, "k"),
        999_500..999_500_000 => three_digits(n as f64 / 1e6, "M"),
        999_500_000..999_500_000_000 => three_digits(n as f64 / 1e9, "G"),
        _ => three_digits(n as f64 / 1e12, "T"),
    }
}

/// A share of 1 as a percentage at most four columns wide.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        _ if percent >= 9.95 => format!("{percent:.0}%"),
        _ if percent >= 0.05 => format!("{percent:.1}%"),
        _ => "0%".to_owned(),
    }
}

/// `7 tasks`, `1 task`.
pub(super) fn plural(n: u64, noun: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {noun}{s}", count(n))
}

/// Columns a text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// The beginning of `text`, in at most `columns`.
pub(super) fn keep_start(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut kept = take_columns(text.chars(), columns.saturating_sub(1));
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// The end of `text`, in at most `columns`: of a path, the end tells most.
pub(super) fn keep_end(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let kept = take_columns(text.chars().rev(), columns.saturating_sub(1));
    let ellipsis = if columns > 0 { "…" } else { "" };
    ellipsis.chars().chain(kept.chars().rev()).collect()
}

fn take_columns(chars: impl Iterator<Item = char>, columns: usize) -> String {
    let mut left = columns;
    chars
        .take_while(|c| {
            let width = c.width().unwrap_or(0);
            let fits = width <= left;
            left = left.saturating_sub(width);
            fits
        })
        .collect()
}

/// `text` cut or padded to exactly `columns`, at the left.
pub(super) fn left(text: &str, columns: usize) -> String {
    let kept = keep_start(text, columns);
    let padding = columns.saturating_sub(kept.width());
    kept + &" ".repeat(padding)
}

/// `text` cut or padded to exactly `columns`, at the right.
pub(super) fn right(text: &str, columns: usize) -> String {
    let kept = keep_start(text, columns);
    " ".repeat(columns.saturating_sub(kept.width())) + &kept
}

/// A path cut from the left or padded to exactly `columns`.
pub(super) fn path(text: &str, columns: usize) -> String {
    left(&keep_end(text, columns), columns)
}

/// A path as people know it: relative to `root`, a dependency's from its package
/// on, the standard library's from `library` on.
pub(super) fn tidy_path<'a>(path: &'a str, root: Option<&str>) -> &'a str {
    let below_root = root
        .and_then(|root| path.strip_prefix(root))
        .and_then(|rest| rest.strip_prefix('/'));
    let in_registry = || path.split_once("/registry/src/")?.1.split_once('/');
    let in_std = || path.strip_prefix("/rustc/")?.split_once('/');
    let in_sysroot = || path.split_once("/lib/rustlib/src/rust/");
    below_root
        .or_else(|| in_registry().map(|(_, rest)| rest))
        .or_else(|| in_std().map(|(_, rest)| rest))
        .or_else(|| in_sysroot().map(|(_, rest)| rest))
        .unwrap_or(path)
}

/// A function's name without what every async function's has.
pub(super) fn tidy_function(name: &str) -> &str {
    let mut name = name;
    for suffix in [
        "::{{closure}}",
        "::{closure#0}",
        "::{async_fn#0}",
        "::{async_block#0}",
    ] {
        while let Some(rest) = name.strip_suffix(suffix) {
            name = rest;
        }
    }
    name
}

/// A type's name without the modules that it and its parameters live in.
pub(super) fn short_type(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    let mut path_start = 0;
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("::").filter(|_| short.len() > path_start) {
            short.truncate(path_start);
            rest = after;
            continue;
        }
        short.push(c);
        if !(c.is_alphanumeric() || c == '_') {
            path_start = short.len();
        }
        rest = &rest[c.len_utf8()..];
    }
    short
}

/// A function's or task's name as short as it stays clear.
pub(super) fn clear_name(name: &str) -> String {
    let name = tidy_function(name);
    if name.contains('<') {
        short_type(name)
    } else {
        name.to_owned()
    }
}

/// A task's name in exactly `columns`. Of a function's path the end tells most,
/// of a type with parameters the beginning.
pub(super) fn task_name(name: &str, columns: usize) -> String {
    let name = clear_name(name);
    if name.contains('<') {
        left(&name, columns)
    } else {
        path(&name, columns)
    }
}

/// The last part of a function's name and what it belongs to: `thread::sleep`.
/// Names with generics are left alone.
pub(super) fn short_function(name: &str) -> &str {
    let name = tidy_function(name);
    if name.contains('<') {
        return name;
    }
    match name.rmatch_indices("::").nth(1) {
        Some((at, _)) => &name[at + 2..],
        None => name,
    }
}

/// `file:line` of a source location.
pub(super) fn place(location: &Location, root: Option<&str>) -> String {
    format!("{}:{}", tidy_path(&location.file, root), location.line)
}

/// `file:line` of a frame, else its module and offset.
pub(super) fn frame_place(frame: &Frame, root: Option<&str>) -> String {
    match (&frame.file, frame.line, &frame.module) {
        (Some(file), Some(line), _) => format!("{}:{line}", tidy_path(file, root)),
        (Some(file), None, _) => tidy_path(file, root).to_owned(),
        (None, _, Some(module)) => {
            format!(
                "{}+{:#x}",
                tidy_path(module, root),
                frame.offset.unwrap_or(0)
            )
        }
        (None, _, None) => String::new(),
    }
}

/// A bar of `columns`, filled from the left to `share`, in eighths of a column.
pub(super) fn bar(share: f64, columns: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * columns as f64 * 8.0).round() as usize;
    let filled = "█".repeat(eighths / 8) + EIGHTHS[eighths % 8];
    left(&filled, columns)
}

/// Shares as small columns, the newest at the right, `columns` wide.
pub(super) fn sparkline(shares: impl DoubleEndedIterator<Item = f32>, columns: usize) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let level = |share: f32| LEVELS[((share.clamp(0.0, 1.0) * 7.0).round()) as usize];
    let newest_first: String = shares.rev().take(columns).map(level).collect();
    right(&newest_first.chars().rev().collect::<String>(), columns)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_have_three_digits() {
        let shown: Vec<_> = [
            0,
            999,
            1_000,
            12_345,
            999_499,
            999_500,
            1_340_000,
            512_000_000,
            999_499_999,
            999_500_000,
            1_340_000_000,
            59_949_000_000,
            59_950_000_000,
            123_000_000_000,
            3_720_000_000_000,
            273_600_000_000_000,
        ]
        .map(|ns| duration(Duration::from_nanos(ns)))
        .into();
        assert_eq!(
            shown,
            [
                "0 ns", "999 ns", "1.00 µs", "12.3 µs", "999 µs", "1.00 ms", "1.34 ms", "512 ms",
                "999 ms", "1.00 s", "1.34 s", "59.9 s", "1m 00s", "2m 03s", "1h 02m", "3d 04h",
            ]
        );
    }

    #[test]
    fn ticking_never_runs_ahead() {
        assert_eq!(ticking(Duration::from_millis(1_399)), "1.3 s");
        assert_eq!(ticking(Duration::from_millis(120)), "120 ms");
        assert_eq!(ticking(Duration::from_millis(59_999)), "59.9 s");
        assert_eq!(ticking(Duration::from_secs(61)), "1m 01s");
    }

    #[test]
    fn counts_are_short() {
        let shown: Vec<_> = [7, 1_234, 99_999, 123_456, 999_500, 5_000_000_000, u64::MAX]
            .map(count)
            .into();
        assert_eq!(
            shown,
            [
                "7",
                "1,234",
                "99,999",
                "123 k",
                "1.00 M",
                "5.00 G",
                "18446744 T"
            ]
        );
    }

    #[test]
    fn paths_lose_their_beginning() {
        assert_eq!(keep_end("/srv/shop/src/main.rs:30", 12), "…/main.rs:30");
        assert_eq!(keep_start("a long name", 6), "a lon…");
        assert_eq!(keep_end("short", 0), "");
    }

    #[test]
    fn paths_are_told_as_people_know_them() {
        let root = Some("/home/me/shop");
        assert_eq!(tidy_path("/home/me/shop/src/main.rs", root), "src/main.rs");
        assert_eq!(
            tidy_path(
                "/home/me/.cargo/registry/src/index.crates.io-1a/tokio-1.54.1/src/lib.rs",
                root
            ),
            "tokio-1.54.1/src/lib.rs"
        );
        assert_eq!(
            tidy_path("/rustc/0a1b/library/std/src/thread/mod.rs", root),
            "library/std/src/thread/mod.rs"
        );
        assert_eq!(
            tidy_path("/home/me/shopping/x.rs", root),
            "/home/me/shopping/x.rs"
        );
    }

    #[test]
    fn functions_lose_their_closures() {
        assert_eq!(
            tidy_function("shop::load::{{closure}}::{{closure}}"),
            "shop::load"
        );
        assert_eq!(
            short_function("std::thread::functions::sleep"),
            "functions::sleep"
        );
        assert_eq!(short_function("main"), "main");
    }

    #[test]
    fn types_lose_their_modules() {
        assert_eq!(
            short_type(
                "hyper::server::Connection<hyper_util::rt::TokioIo<tokio::net::TcpStream>, axum::Router>"
            ),
            "Connection<TokioIo<TcpStream>, Router>"
        );
        assert_eq!(
            short_type("<shop::Cart as core::future::Future>::poll"),
            "<Cart as Future>::poll"
        );
        assert_eq!(
            short_type("(u8, &'static str)::é::"),
            "(u8, &'static str)::"
        );
        assert_eq!(task_name("a::b::long_name::{{closure}}", 10), "…long_name");
    }

    #[test]
    fn bars_fill_in_eighths() {
        assert_eq!(bar(0.5, 4), "██  ");
        assert_eq!(bar(0.53, 4), "██▏ ");
        assert_eq!(bar(9.0, 2), "██");
        assert_eq!(sparkline([0.0, 0.5, 1.0].into_iter(), 4), " ▁▅█");
    }

    proptest! {
        #[test]
        fn cells_have_exactly_their_width(text in "\\PC*", columns in 0_usize..40) {
            // A wide character that does not fit is replaced by padding.
            prop_assert_eq!(left(&text, columns).width(), columns);
            prop_assert_eq!(right(&text, columns).width(), columns);
        }

        #[test]
        fn durations_fit_seven_columns(ns in 0..86_400_000_000_000_000_u64) {
            prop_assert!(duration(Duration::from_nanos(ns)).width() <= 7);
        }
    }
}
