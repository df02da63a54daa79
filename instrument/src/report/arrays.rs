//! Large arrays among the variables of a function, by its source text.
//!
//! Only what can be read off for certain counts: a literal length, in the type or in
//! the value, and an element whose size is written there or is at most a word.

/// Lines of a function that are read.
const LINES_MAX: usize = 2_000;

/// The line, from 1, of the only `let` in the function at line `defined` whose array
/// explains at least half of `size` bytes, and not more than all of them.
pub(super) fn only_large(source: &str, defined: u32, size: u64) -> Option<u32> {
    let mut large = body(source, defined)
        .filter(|(_, line)| lengths(line).any(|array| array.explains(size)))
        .map(|(number, _)| number);
    let first = large.next()?;
    large.next().is_none().then_some(first)
}

/// A function that is called, and its array.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Called {
    pub(super) name: String,
    /// How often it is called.
    pub(super) times: u64,
    /// Of the array, from 1.
    pub(super) line: u32,
}

/// The only array that explains `size` together with its likes, among the functions of
/// the file that the one at line `defined` calls.
pub(super) fn only_large_called(source: &str, defined: u32, size: u64) -> Option<Called> {
    let calls = |name: &str| -> u64 {
        let lines = body(source, defined).skip(1);
        lines.map(|(_, line)| calls_in(line, name)).sum()
    };
    let mut found = source.lines().zip(1_u32..).filter_map(|(line, number)| {
        let name = async_fn(line).filter(|_| number != defined)?;
        let times = calls(name);
        let line = only_large(source, number, size.checked_div(times)?)?;
        Some(Called {
            name: name.to_owned(),
            times,
            line,
        })
    });
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// The name of the async function whose signature begins in this line.
fn async_fn(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("async fn ")?;
    let name = rest.split(|c| !is_word(c)).next()?;
    (!before.contains("//") && !name.is_empty()).then_some(name)
}

fn calls_in(line: &str, name: &str) -> u64 {
    let calls = line.match_indices(name).filter(|(at, _)| {
        !line[..*at].ends_with(is_word) && line[at + name.len()..].starts_with('(')
    });
    calls.count() as u64
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The numbered lines of the function, without comments, up to the brace that ends it.
fn body(source: &str, defined: u32) -> impl Iterator<Item = (u32, &str)> {
    let mut depth = 0_usize;
    let mut ended = false;
    source
        .lines()
        .zip(1..)
        .skip(defined.saturating_sub(1) as usize)
        .take(LINES_MAX)
        .map(|(line, number)| (number, line.split("//").next().unwrap_or(line)))
        .take_while(move |(_, line)| {
            if ended {
                return false;
            }
            for c in line.chars() {
                match c {
                    '{' => depth += 1,
                    '}' => {
                        depth = depth.saturating_sub(1);
                        ended = depth == 0;
                    }
                    _ => {}
                }
            }
            true
        })
}

struct Array {
    length: u64,
    /// In bytes, where it is written.
    element: Option<u64>,
}

impl Array {
    fn explains(&self, size: u64) -> bool {
        let elements: &[u64] = match &self.element {
            Some(element) => std::slice::from_ref(element),
            None => &[1, 2, 4, 8],
        };
        elements.iter().any(|element| {
            let bytes = self.length.saturating_mul(*element);
            bytes <= size && bytes >= size / 2
        })
    }
}

/// The arrays in a line that binds a variable: `[0_u8; 64 * 1024]`, `[u8; 65536]`.
fn lengths(line: &str) -> impl Iterator<Item = Array> {
    let binding = line.trim_start().starts_with("let ");
    let inner = line
        .match_indices(';')
        .filter(move |_| binding)
        .filter_map(|(at, _)| {
            let open = line[..at].rfind('[')?;
            let close = at + line[at..].find(']')?;
            Some((line[open + 1..at].trim(), &line[at + 1..close]))
        });
    // On the heap already.
    let heap = line.contains("vec!") || line.contains("Box::new(");
    inner
        .filter(move |_| !heap)
        .filter_map(|(element, length)| {
            Some(Array {
                length: product(length)?,
                element: size_of_element(element),
            })
        })
}

/// `64 * 1024`, `1 << 16`, `65_536usize`.
fn product(text: &str) -> Option<u64> {
    if let Some((left, right)) = text.split_once("<<") {
        return product(left)?.checked_shl(u32::try_from(product(right)?).ok()?);
    }
    text.split('*').try_fold(1_u64, |product, factor| {
        let digits: String = factor
            .trim()
            .trim_end_matches("usize")
            .chars()
            .filter(|c| *c != '_')
            .collect();
        product.checked_mul(digits.parse().ok()?)
    })
}

/// Of `u8` and `0_u8`.
fn size_of_element(text: &str) -> Option<u64> {
    const SIZES: &[(&str, u64)] = &[
        ("u8", 1),
        ("i8", 1),
        ("bool", 1),
        ("u16", 2),
        ("i16", 2),
        ("u32", 4),
        ("i32", 4),
        ("f32", 4),
        ("u64", 8),
        ("i64", 8),
        ("f64", 8),
        ("usize", 8),
        ("isize", 8),
        ("u128", 16),
        ("i128", 16),
    ];
    let (_, size) = SIZES.iter().find(|(name, _)| {
        text.strip_suffix(name)
            .is_some_and(|rest| !rest.ends_with(|c: char| c.is_alphabetic()))
    })?;
    Some(*size)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUSH: &str = "\
// before
async fn push(seed: u8) -> u32 {
    let small = [0u8; 16];
    // let not = [0_u8; 262_144];
    let mut scratch = [seed; 256 * 1024];
    let heap = vec![seed; 256 * 1024];
    sleep().await;
    scratch[0] = 1;
}

async fn other() {
    let twice = [0_u64; 1 << 15];
}
";

    #[test]
    fn the_one_that_explains_the_size_is_found() {
        assert_eq!(only_large(PUSH, 2, 262_160), Some(5));
        assert_eq!(only_large(PUSH, 11, 262_160), Some(12));
    }

    #[test]
    fn what_does_not_explain_it_or_is_not_alone_is_not() {
        assert_eq!(only_large(PUSH, 2, 200_000_000), None, "far larger");
        assert_eq!(only_large(PUSH, 2, 100_000), None, "smaller than the array");
        let two = PUSH.replace("let small = [0u8; 16]", "let small = [0u8; 262_144]");
        assert_eq!(only_large(&two, 2, 500_000), None, "which of the two?");
        let unknown = PUSH.replace("256 * 1024", "LENGTH");
        assert_eq!(only_large(&unknown, 2, 262_160), None);
        assert_eq!(only_large(PUSH, 99, 262_160), None);
    }

    #[test]
    fn an_array_of_what_is_called_counts_as_often_as_that_is_called() {
        let source = format!(
            "{PUSH}async fn all() {{
    join!(push(1), push(2), self.push(3));
    // push(4)
    other();
}}
"
        );
        let called = |size| only_large_called(&source, 14, size);
        let three = Called {
            name: "push".to_owned(),
            times: 3,
            line: 5,
        };
        assert_eq!(called(3 * 262_150), Some(three));
        assert_eq!(
            called(262_150),
            Some(Called {
                name: "other".to_owned(),
                times: 1,
                line: 12
            })
        );
        assert_eq!(called(9), None);
    }

    #[test]
    fn lengths_are_read_as_people_write_them() {
        assert_eq!(product(" 64 * 1_024"), Some(65_536));
        assert_eq!(product("1 << 16"), Some(65_536));
        assert_eq!(product("65536usize"), Some(65_536));
        assert_eq!(product("N"), None);
        assert_eq!(size_of_element("0_u16"), Some(2));
        assert_eq!(size_of_element("u8"), Some(1));
        assert_eq!(size_of_element("seed"), None);
    }
}
