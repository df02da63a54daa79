//! What the functions of an object file say about the threads that run them.

use std::collections::HashMap;

use asyncwatch_findings::{Mark, Scene, display_name, mark_of_symbol, scene};
use asyncwatch_stack::{
    Address, RawStack,
    outside::{Function as Symbol, Image, Process},
};

/// The functions of one object file that say something, by address.
#[derive(Debug, Default)]
pub(super) struct Marks {
    functions: Vec<Function>,
    /// Where functions begin that the runtime calls between polls of a root future.
    between: Between,
    /// tokio is inside.
    pub(super) has_tokio: bool,
    /// asyncwatch is inside: it may watch itself.
    pub(super) has_asyncwatch: bool,
    /// Its own symbols are gone, and with them what tokio would be recognised by.
    pub(super) stripped: bool,
}

/// What a symbol says.
#[derive(Debug, Default)]
struct Meaning {
    name: String,
    mark: Option<Mark>,
    is_asyncwatch: bool,
}

impl Meaning {
    fn of(symbol: &[u8]) -> Meaning {
        let Ok(symbol) = str::from_utf8(symbol) else {
            return Meaning::default();
        };
        let name = format!("{:#}", rustc_demangle::demangle(symbol));
        let is_asyncwatch = name.contains("asyncwatch_instrument");
        let name = display_name(&name);
        Meaning {
            mark: mark_of_symbol(&name),
            name,
            is_asyncwatch,
        }
    }
}

/// The symbol up to the hash that Rust's older mangling ends with: `17h`, 16 digits, `E`.
fn without_hash(symbol: &[u8]) -> &[u8] {
    const HASH_BYTES: usize = 20;
    let end = symbol.len().saturating_sub(HASH_BYTES);
    match &symbol[end..] {
        [b'1', b'7', b'h', .., b'E'] if end > 0 => &symbol[..end],
        _ => symbol,
    }
}

#[derive(Clone, Copy, Debug)]
struct Function {
    start: u64,
    end: u64,
    mark: Mark,
    /// It is part of the scheduler that runs on one thread.
    one_thread: bool,
}

/// Every poll of the future of a `block_on` is followed by a call of one of these, unless
/// it was the last.
///
/// What is there several times, one for each type of future, would be more than there are
/// breakpoints, and cannot be used.
#[derive(Debug, Default)]
struct Between {
    /// On a runtime of one thread: it waits, or looks at what has come, or runs a task.
    parks: Vec<u64>,
    yields: Vec<u64>,
    runs_task: Vec<u64>,
    /// It looks for a task: the same in versions whose `run_task` is there several times.
    looks_for_task: Vec<u64>,
    /// Elsewhere.
    park: Vec<u64>,
}

impl Between {
    /// There are four breakpoints, and one is for the return of `block_on`.
    const STARTS_MAX: usize = 3;

    fn meet(&mut self, name: &str, start: u64) {
        let one_thread = "tokio::runtime::scheduler::current_thread::";
        let starts = match name.strip_prefix(one_thread).unwrap_or(name) {
            "Context::park" => &mut self.parks,
            "Context::park_yield" => &mut self.yields,
            "Context::run_task" => &mut self.runs_task,
            "Core::next_task" => &mut self.looks_for_task,
            "tokio::runtime::park::CachedParkThread::park" => &mut self.park,
            _ => return,
        };
        starts.push(start);
    }

    /// All of them; none if not all are known.
    fn starts(&self, one_thread: bool) -> Vec<u64> {
        let task = match self.runs_task.len() {
            1 => &self.runs_task,
            _ => &self.looks_for_task,
        };
        let starts = match one_thread {
            true => &[&self.parks, &self.yields, task][..],
            false => &[&self.park],
        };
        let all: Vec<u64> = starts.iter().copied().flatten().copied().collect();
        let known = starts.iter().all(|starts| !starts.is_empty());
        match known && all.len() <= Self::STARTS_MAX {
            true => all,
            false => Vec::new(),
        }
    }
}

/// What a symbol has to contain to be worth reading: most of a large program's do not.
/// Names are mangled with their lengths before them.
const WORTH_READING: &[&[u8]] = &[
    b"5tokio7runtime",
    b"14block_in_place",
    b"asyncwatch",
    b"begin_panic",
    b"panic_with_hook",
    b"default_hook",
];

impl Marks {
    /// Reads the symbol table of `image`: a few milliseconds for a large program.
    pub(super) fn of(image: &Image) -> Marks {
        let mut marks = Marks::default();
        // Generic functions are there many times, and differ in their hash.
        let mut known = HashMap::<Vec<u8>, Meaning>::new();
        let has_table = image.functions(WORTH_READING, |function| {
            let name = without_hash(function.name);
            if !known.contains_key(name) {
                known.insert(name.to_owned(), Meaning::of(function.name));
            }
            if let Some(meaning) = known.get(name) {
                marks.add(&function, meaning);
            }
        });
        marks
            .functions
            .sort_unstable_by_key(|function| function.start);
        marks.stripped = !has_table;
        marks
    }

    fn add(&mut self, function: &Symbol<'_>, meaning: &Meaning) {
        self.has_asyncwatch |= meaning.is_asyncwatch;
        self.between.meet(&meaning.name, function.start);
        if let Some(mark) = meaning.mark {
            self.functions.push(Function {
                start: function.start,
                end: function.start.saturating_add(function.bytes),
                mark,
                one_thread: meaning.name.contains("::current_thread::"),
            });
            self.has_tokio |= matches!(mark, Mark::TaskPoll | Mark::BlockOn);
        }
    }

    fn at(&self, address: u64) -> Option<&Function> {
        let after = self
            .functions
            .partition_point(|function| function.start <= address);
        let function = self.functions.get(after.checked_sub(1)?)?;
        (address < function.end).then_some(function)
    }
}

/// Where the runtime goes on after the poll of the root future that `stack` is in, or
/// seems to be, and where `block_on` returns to; none if not all of it is known. `at` is
/// the innermost frame of the runtime's, which may be something that the poll calls.
pub(super) fn after_root<'a>(
    stack: &RawStack,
    at: usize,
    process: &Process,
    marks: impl Fn(&Image) -> Option<&'a Marks>,
) -> Vec<u64> {
    let located = |address: Address| {
        let (image, stated) = process.locate(address)?;
        Some((marks(image)?, stated))
    };
    let Some(&runtime) = stack.addresses.get(at) else {
        return Vec::new();
    };
    let Some((of_runtime, stated)) = located(runtime) else {
        return Vec::new();
    };
    let (mut outermost, mut one_thread) = (at, false);
    for (index, &address) in stack.addresses.iter().enumerate().skip(at) {
        let function = located(address).and_then(|(marks, stated)| marks.at(stated));
        match function.map(|function| function.mark) {
            None => {}
            Some(Mark::AroundRoot | Mark::BlockOn) => outermost = index,
            Some(_) => break,
        }
        one_thread |= function.is_some_and(|function| function.one_thread);
    }
    let starts = of_runtime.between.starts(one_thread);
    let returns = stack.addresses.get(outermost + 1);
    let (Some(returns), false) = (returns, starts.is_empty()) else {
        return Vec::new();
    };
    let added = runtime.lookup().wrapping_sub(stated);
    let starts = starts.into_iter().map(|start| start.wrapping_add(added));
    starts.chain([returns.raw()]).collect()
}

/// What `stack` says by its functions' symbols; `marks` finds those of an image, if
/// they have been read.
pub(super) fn scene_of<'a>(
    stack: &RawStack,
    process: &Process,
    marks: impl Fn(&Image) -> Option<&'a Marks>,
) -> Scene {
    let of_frames: Vec<Option<Mark>> = stack
        .addresses
        .iter()
        .map(|&address| {
            let (image, stated) = process.locate(address)?;
            Some(marks(image)?.at(stated)?.mark)
        })
        .collect();
    scene(&of_frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_belongs_to_the_function_around_it() {
        let function = |start, end, mark| Function {
            start,
            end,
            mark,
            one_thread: false,
        };
        let marks = Marks {
            functions: vec![
                function(10, 20, Mark::TaskPoll),
                function(30, 40, Mark::BlockOn),
            ],
            ..Marks::default()
        };
        let at = |address| marks.at(address).map(|function| function.mark);
        assert_eq!((at(9), at(20), at(29), at(40)), (None, None, None, None));
        assert_eq!(
            (at(10), at(19)),
            (Some(Mark::TaskPoll), Some(Mark::TaskPoll))
        );
        assert_eq!(at(30), Some(Mark::BlockOn));
    }

    #[test]
    fn functions_that_differ_in_their_hash_are_one() {
        let symbol = |hash| format!("_ZN5tokio7runtime4task3raw4poll17h{hash}E");
        let one = symbol("0123456789abcdef");
        let other = symbol("fedcba9876543210");
        assert_eq!(without_hash(one.as_bytes()), without_hash(other.as_bytes()));
        assert_eq!(Meaning::of(one.as_bytes()).mark, Some(Mark::TaskPoll));
        for whole in ["_RNvNtCs_5tokio", "17h0123456789abcdefE", ""] {
            assert_eq!(without_hash(whole.as_bytes()), whole.as_bytes());
        }
    }

    #[test]
    fn where_a_root_goes_on_is_known_as_a_whole_or_not_at_all() {
        let mut between = Between::default();
        let mut meet = |name: &str, start| {
            between.meet(
                &format!("tokio::runtime::scheduler::current_thread::{name}"),
                start,
            );
            (between.starts(true), between.starts(false))
        };
        meet("Context::park", 1);
        meet("Context::enter", 9);
        let none = (Vec::new(), Vec::new());
        assert_eq!(meet("Context::park_yield", 2), none);
        assert_eq!(meet("Context::run_task", 3), (vec![1, 2, 3], Vec::new()));
        // One for each type of future: which one will be called?
        assert_eq!(meet("Context::run_task", 4), none);
        assert_eq!(meet("Core::next_task", 5), (vec![1, 2, 5], Vec::new()));
    }
}
