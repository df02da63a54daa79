//! What the functions of an object file say about the threads that run them.

use asyncwatch_findings::{Mark, Scene, display_name, mark_of, scene};
use asyncwatch_stack::{
    RawStack,
    outside::{Image, Process},
};

/// The functions of one object file that say something, by address.
#[derive(Debug, Default)]
pub(super) struct Marks {
    functions: Vec<(u64, u64, Mark)>,
    /// tokio is inside.
    pub(super) has_tokio: bool,
    /// asyncwatch is inside: it may watch itself.
    pub(super) has_asyncwatch: bool,
    /// Its own symbols are gone, and with them what tokio would be recognised by.
    pub(super) stripped: bool,
}

/// What a symbol has to contain to be worth reading: most of a large program's do not.
/// Names are mangled with their lengths before them.
const WORTH_READING: [&[u8]; 4] = [
    b"5tokio7runtime",
    b"14block_in_place",
    b"asyncwatch",
    b"panicking",
];

impl Marks {
    /// Reads the symbol table of `image`: some ten milliseconds for a large program.
    pub(super) fn of(image: &Image) -> Marks {
        let worth_reading = WORTH_READING.map(memchr::memmem::Finder::new);
        let mut marks = Marks::default();
        let has_table = image.functions(|function| {
            if !worth_reading
                .iter()
                .any(|text| text.find(function.name).is_some())
            {
                return;
            }
            let Ok(name) = str::from_utf8(function.name) else {
                return;
            };
            let name = format!("{:#}", rustc_demangle::demangle(name));
            marks.has_asyncwatch |= name.contains("asyncwatch_instrument");
            if let Some(mark) = mark_of(&display_name(&name)) {
                let end = function.start.saturating_add(function.bytes);
                marks.functions.push((function.start, end, mark));
                marks.has_tokio |= matches!(mark, Mark::TaskPoll | Mark::BlockOn);
            }
        });
        marks.functions.sort_unstable_by_key(|(start, ..)| *start);
        marks.stripped = !has_table;
        marks
    }

    fn at(&self, address: u64) -> Option<Mark> {
        let after = self
            .functions
            .partition_point(|(start, ..)| *start <= address);
        let (_, end, mark) = self.functions.get(after.checked_sub(1)?)?;
        (address < *end).then_some(*mark)
    }
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
            marks(image)?.at(stated)
        })
        .collect();
    scene(&of_frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_belongs_to_the_function_around_it() {
        let marks = Marks {
            functions: vec![(10, 20, Mark::TaskPoll), (30, 40, Mark::BlockOn)],
            ..Marks::default()
        };
        let at = |address| marks.at(address);
        assert_eq!((at(9), at(20), at(29), at(40)), (None, None, None, None));
        assert_eq!(
            (at(10), at(19)),
            (Some(Mark::TaskPoll), Some(Mark::TaskPoll))
        );
        assert_eq!(at(30), Some(Mark::BlockOn));
    }
}
