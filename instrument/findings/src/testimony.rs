//! What the stack of a panic, or of a wake, says about its task.

use std::path::Path;

use crate::{
    Frame, Owner, ReadSource,
    frames::{frame_name, frame_owner, is_below, is_task_poll},
};

/// Whether what unwinds here ends a task of the runtime: between it and the runtime's
/// poll of the task nobody catches panics. Not if no such poll is on the stack.
pub fn ends_its_task(frames: &[Frame]) -> bool {
    let names: Vec<String> = frames.iter().map(frame_name).collect();
    let Some(end) = names.iter().position(|name| is_task_poll(name)) else {
        return false;
    };
    !names[..end].iter().any(|name| is_catch(name))
}

fn is_catch(name: &str) -> bool {
    name == "__rust_try" || name.ends_with("::catch_unwind") || name.ends_with("CatchUnwind::poll")
}

/// Whether a `#[should_panic]` test is on the stack, as far as the source can be read.
pub fn is_below_should_panic(frames: &[Frame], source: &dyn ReadSource) -> bool {
    frames.iter().filter(|frame| frame.user).any(|frame| {
        let (Some(file), Some(line)) = (&frame.file, frame.line) else {
            return false;
        };
        let text = source.read(Path::new(file)).unwrap_or_default();
        attributes_above(&text, line).any(|attribute| attribute.contains("should_panic"))
    })
}

/// The lines between the function that `line` is in and what stands before it.
fn attributes_above(text: &str, line: u32) -> impl Iterator<Item = &str> {
    let mut above: Vec<&str> = text.lines().take(line as usize).collect();
    let function = above
        .iter()
        .rposition(|line| line.trim_start().starts_with("fn ") || line.contains(" fn "));
    above.truncate(function.unwrap_or(0));
    above
        .into_iter()
        .rev()
        .take_while(|line| line.trim_start().starts_with(['#', '/']))
}

/// Whether a wake is a future's own: its `poll` calls the waker it was polled with, as
/// far as names tell, and not to give others a turn.
///
/// `alone` says that no clone of the waker exists, so that it can be no other's.
/// Without that, only functions named `poll…` are believed: a channel whose two ends
/// are polled by one task wakes that task too, and rightly.
pub fn is_own_wake(frames: &[Frame], alone: bool) -> bool {
    let mut callers = frames
        .iter()
        .skip_while(|frame| matches!(frame_owner(frame), Owner::Asyncwatch | Owner::Std));
    let Some(caller) = callers.next() else {
        return false;
    };
    let name = frame_name(caller);
    if caller.function.is_empty() || gives_others_a_turn(&name) {
        return false;
    }
    alone
        || is_poll(&name)
        || callers
            .next()
            .is_some_and(|next| is_poll_fn(&frame_name(next)))
}

/// Schedulers' budgets, and futures that are named for what they do.
fn gives_others_a_turn(name: &str) -> bool {
    const FAIR: &[&str] = &["futures", "futures_lite", "futures_util", "tokio"];
    let lower = name.to_lowercase();
    FAIR.iter().any(|module| is_below(name, module))
        || ["yield", "budget", "coop"]
            .iter()
            .any(|word| lower.contains(word))
}

fn is_poll(name: &str) -> bool {
    name.rsplit("::")
        .find(|part| !part.starts_with('{'))
        .is_some_and(|function| function.starts_with("poll"))
}

fn is_poll_fn(name: &str) -> bool {
    name.ends_with("PollFn::poll") || name.ends_with("poll_fn::poll")
}

/// Whether the function or statement that begins at `line` calls a future of the kind
/// that never ends, such as `std::future::pending`. No if the source cannot be read.
pub fn waits_for_ever(source: &dyn ReadSource, file: &Path, line: u32) -> bool {
    let text = source.read(file).unwrap_or_default();
    calls_pending(&item_from(&text, line))
}

/// From the beginning of a line to the end of the function or statement there.
fn item_from(text: &str, line: u32) -> String {
    let from = text
        .split_inclusive('\n')
        .skip((line as usize).saturating_sub(1));
    let mut item = String::new();
    let mut depth = 0_i32;
    for c in from.flat_map(str::chars) {
        item.push(c);
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' => depth -= 1,
            '}' => {
                depth -= 1;
                if depth <= 0 {
                    break;
                }
            }
            ';' if depth <= 0 => break,
            _ => {}
        }
    }
    item
}

fn calls_pending(item: &str) -> bool {
    let code = item
        .lines()
        .map(|line| line.split("//").next().unwrap_or(line));
    code.flat_map(|line| {
        line.match_indices("pending")
            .map(move |(at, word)| (line, at, word))
    })
    .any(|(line, at, word)| {
        let before = line[..at].chars().next_back();
        let after = &line[at + word.len()..];
        before.is_none_or(|c| !(c.is_alphanumeric() || c == '_' || c == '.'))
            && (after.starts_with('(') || after.starts_with("::<"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str, file: &str) -> Frame {
        Frame {
            function: function.to_owned(),
            file: Some(file.to_owned()),
            line: Some(1),
            user: file.starts_with("/home"),
            ..Frame::default()
        }
    }

    const STD: &str = "/rustc/0/library/core/src/task/wake.rs";
    const TOKIO: &str = "/root/.cargo/registry/src/i/tokio-1.54.1/src/x.rs";
    const USER: &str = "/home/me/app/src/main.rs";

    fn woken_by(callers: &[(&str, &str)]) -> Vec<Frame> {
        let mut frames = vec![frame("core::task::wake::Waker::wake_by_ref", STD)];
        frames.extend(callers.iter().map(|(name, file)| frame(name, file)));
        frames
    }

    #[test]
    fn a_poll_that_wakes_its_own_waker_is_told() {
        let frames = woken_by(&[("<app::Writer as core::future::future::Future>::poll", USER)]);
        assert!(is_own_wake(&frames, false));
        let in_a_closure = woken_by(&[
            ("app::pump::{async_fn#0}::{closure#0}", USER),
            (
                "<core::future::poll_fn::PollFn<F> as core::future::future::Future>::poll",
                STD,
            ),
        ]);
        assert!(is_own_wake(&in_a_closure, false));
    }

    #[test]
    fn the_other_end_of_a_channel_is_no_poll() {
        let frames = woken_by(&[("app::queue::Sender<T>::push", USER)]);
        assert!(!is_own_wake(&frames, false));
        assert!(is_own_wake(&frames, true), "whose else could it be");
    }

    #[test]
    fn giving_others_a_turn_is_no_storm() {
        for (name, file) in [
            (
                "<app::YieldNow as core::future::future::Future>::poll",
                USER,
            ),
            ("tokio::runtime::context::defer", TOKIO),
            (
                "<futures_util::stream::futures_unordered::FuturesUnordered<Fut> as futures_core::stream::Stream>::poll_next",
                "/root/.cargo/registry/src/i/futures-util-0.3.31/src/stream/x.rs",
            ),
        ] {
            assert!(!is_own_wake(&woken_by(&[(name, file)]), true), "{name}");
        }
    }

    #[test]
    fn a_panic_ends_its_task_unless_it_is_caught() {
        let free = [
            frame("app::ingest::{async_fn#0}", USER),
            frame("tokio::runtime::task::core::Core<T,S>::poll", TOKIO),
            frame("std::panic::catch_unwind", STD),
        ];
        assert!(ends_its_task(&free));
        let caught = [
            frame("app::handle::{async_fn#0}", USER),
            frame("std::panicking::catch_unwind", STD),
            frame("tokio::runtime::task::core::Core<T,S>::poll", TOKIO),
        ];
        assert!(!ends_its_task(&caught));
        assert!(!ends_its_task(&free[..1]), "no task is known to end");
    }

    #[test]
    fn a_test_that_should_panic_says_so() {
        const TEST: &str = "\
#[test]
#[should_panic(expected = \"no reactor\")]
fn outside() {
    spawn();
}

fn other() {
    spawn();
}
";
        let at = |line| {
            let frame = Frame {
                line: Some(line),
                ..frame("app::tests::f", USER)
            };
            is_below_should_panic(&[frame], &|_: &Path| Some(TEST.to_owned()))
        };
        assert!(at(4));
        assert!(!at(8));
    }

    #[test]
    fn waiting_for_ever_on_purpose_is_read_in_the_source() {
        const SOURCE: &str = "\
async fn keep_alive(guard: Guard) {
    let _guard = guard;
    std::future::pending::<()>().await
}

async fn read(s: Shared) -> u32 {
    // not pending()
    Trailers(s).pending().await
}

spawn(async { pending().await });
";
        let at =
            |line| waits_for_ever(&|_: &Path| Some(SOURCE.to_owned()), Path::new("x.rs"), line);
        assert!(at(1));
        assert!(!at(6));
        assert!(at(11));
        assert!(!waits_for_ever(&crate::NoSource, Path::new("x.rs"), 1));
    }
}
