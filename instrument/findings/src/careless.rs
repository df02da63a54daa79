//! Which `Pending` of a `poll` written by hand is returned without its waker having been
//! used, as far as the source tells.
//!
//! A task that can never be woken shows no stack: what went wrong was over when its last
//! poll returned. But the function that waits names the types that it awaits, and of
//! their `poll`s the source can be read. A path to `Poll::Pending` on which the context
//! is not even mentioned cannot have kept the waker. Only if exactly one such path comes
//! into question it is taken for the one.

use std::path::Path;

use crate::ReadSource;

/// A `Pending` that is returned without use of the context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Careless {
    /// The function that returns it: `Trailers::poll`.
    pub function: String,
    /// From 1.
    pub line: u32,
}

/// The only careless `Pending` in what the function at `line` of `file` awaits, among
/// the `poll`s of that file and those in the function itself.
pub fn careless_pending(source: &dyn ReadSource, file: &Path, line: u32) -> Option<Careless> {
    let text = blank_comments(&source.read(file)?);
    let start = offset_of_line(&text, line)?;
    let waiting = body_from(&text, start)?;
    let awaited = &text[start..waiting.end];
    let mut found = Vec::new();
    for (at, name) in functions(&text) {
        let Some(body) = body_from(&text, at) else {
            continue;
        };
        let own = body == waiting;
        let polled = name
            .starts_with("poll")
            .then(|| type_around(&text, at))
            .flatten();
        let concerns = polled
            .as_ref()
            .is_some_and(|ty| is_awaited(&text, awaited, ty));
        if !own && !concerns {
            continue;
        }
        let signature = &text[at..body.start];
        let context = parameter_of_context(signature);
        let function = polled.map_or_else(|| name.to_owned(), |ty| format!("{ty}::{name}"));
        for pending in pendings(&text[body.clone()]) {
            if is_careless(&text[body.start..body.start + pending], context) {
                found.push(Careless {
                    function: function.clone(),
                    line: line_of(&text, body.start + pending),
                });
            }
        }
    }
    match &found[..] {
        [only] => Some(only.clone()),
        _ => None,
    }
}

/// The text with comments as spaces, so that offsets and lines stay.
fn blank_comments(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| match line.find("//") {
            Some(at) => {
                let blank = line[at..]
                    .chars()
                    .map(|c| if c == '\n' { '\n' } else { ' ' });
                line[..at].chars().chain(blank).collect()
            }
            None => line.to_owned(),
        })
        .collect()
}

fn offset_of_line(text: &str, line: u32) -> Option<usize> {
    let before = text
        .split_inclusive('\n')
        .take((line as usize).checked_sub(1)?);
    let offset = before.map(str::len).sum();
    (offset < text.len()).then_some(offset)
}

fn line_of(text: &str, offset: usize) -> u32 {
    text[..offset].matches('\n').count() as u32 + 1
}

/// The braces of the function whose signature begins at or after `from`, without them.
fn body_from(text: &str, from: usize) -> Option<std::ops::Range<usize>> {
    let signature = &text[from..];
    let open = signature.find('{')?;
    if signature.find(';').is_some_and(|end| end < open) {
        return None;
    }
    let start = from + open + 1;
    let mut depth = 1_u32;
    for (at, c) in text[start..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(start..start + at);
        }
    }
    None
}

/// Every `fn`, with its name.
fn functions(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices("fn ")
        .filter(|(at, _)| !text[..*at].ends_with(is_word))
        .map(|(at, _)| (at, first_word(&text[at + 3..])))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn first_word(text: &str) -> &str {
    let text = text.trim_start();
    text.split(|c| !is_word(c)).next().unwrap_or(text)
}

fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(is_word) && !text[at + word.len()..].starts_with(is_word)
    })
}

/// The type of the `impl` that the function at `at` stands in.
fn type_around(text: &str, at: usize) -> Option<String> {
    let header = enclosing(&text[..at])?;
    let (_, rest) = header.split_once("impl")?;
    let ty = match rest.rsplit_once(" for ") {
        Some((_, ty)) => ty,
        None => rest
            .trim_start()
            .strip_prefix('<')
            .map_or(rest, |generics| {
                generics.split_once('>').map_or(generics, |(_, ty)| ty)
            }),
    };
    let path = ty.split(['<', '{']).next()?.trim();
    let name = path.rsplit("::").next()?.trim_start_matches(['&', '(']);
    (!name.is_empty()).then(|| first_word(name).to_owned())
}

/// What stands before the innermost brace that is open at the end of `text`, as far as
/// the statement or item begins.
fn enclosing(text: &str) -> Option<&str> {
    let open = open_brace(text)?;
    let before = &text[..open];
    let from = before.rfind(['{', '}', ';']).map_or(0, |at| at + 1);
    Some(&before[from..])
}

fn open_brace(text: &str) -> Option<usize> {
    let mut closed = 0_u32;
    for (at, c) in text.char_indices().rev() {
        match c {
            '}' => closed += 1,
            '{' if closed == 0 => return Some(at),
            '{' => closed -= 1,
            _ => {}
        }
    }
    None
}

/// Whether the function whose text is `awaited` names the type, or a function of the
/// file that returns it.
fn is_awaited(text: &str, awaited: &str, ty: &str) -> bool {
    has_word(awaited, ty)
        || functions(text).any(|(at, name)| {
            let signature = &text[at..at + text[at..].find(['{', ';']).unwrap_or(0)];
            let returns = signature.split_once("->").map(|(_, output)| output);
            returns.is_some_and(|output| has_word(output, ty)) && has_word(awaited, name)
        })
}

/// The name of the parameter of type `Context`.
fn parameter_of_context(signature: &str) -> Option<&str> {
    let (before, _) = signature.split_once("Context")?;
    // In `cx: &mut std::task::Context` only the first colon stands alone.
    let paths_aside = before.replace("::", "  ");
    let (name, _) = before.split_at(paths_aside.rfind(':')?);
    let name = name.trim_end();
    let start = name.rfind(|c| !is_word(c)).map_or(0, |at| at + 1);
    Some(&name[start..]).filter(|name| !name.is_empty())
}

/// Where `Poll::Pending` is a value, in a body.
fn pendings(body: &str) -> impl Iterator<Item = usize> {
    body.match_indices("Poll::Pending")
        .map(|(at, _)| at)
        .filter(|&at| {
            let before = body[..at].trim_end();
            let after = body[at + "Poll::Pending".len()..].trim_start();
            let compared =
                before.ends_with("==") || before.ends_with("!=") || before.ends_with("let");
            let pattern = after.starts_with("=>")
                || after.starts_with('|')
                || after.starts_with("if ")
                || before.ends_with('|');
            let matched = before.rsplit_once("matches!(").is_some_and(|(_, rest)| {
                !rest.contains(')') || rest.matches('(').count() >= rest.matches(')').count()
            });
            !compared && !pattern && !matched
        })
}

/// Whether nothing on the way to the end of `path` mentions the context: in the blocks
/// around it, what stands before; of a `match`, its own arm and what it is about.
fn is_careless(path: &str, context: Option<&str>) -> bool {
    let mentions = |text: &str| {
        ["waker", "wake", "cx", "ctx"]
            .iter()
            .any(|word| text.contains(word))
            || context.is_some_and(|context| has_word(text, context))
    };
    let mut rest = path;
    let mut in_arm = rest.trim_end().ends_with("=>");
    loop {
        let open = open_brace(rest);
        let here = &rest[open.map_or(0, |at| at + 1)..];
        let seen = if in_arm { last_arm(here) } else { here };
        if mentions(&at_depth_0(seen)) {
            return false;
        }
        let Some(open) = open else { return true };
        rest = &rest[..open];
        // The block itself may be an arm, of a `match` further out.
        in_arm = rest.trim_end().ends_with("=>");
    }
}

/// The pattern and guard of the arm that begins last.
fn last_arm(arms: &str) -> &str {
    let flat = arms.trim_end().trim_end_matches("=>");
    let mut depth = 0_i32;
    for (at, c) in flat.char_indices().rev() {
        match c {
            ')' | ']' => depth += 1,
            '(' | '[' => depth -= 1,
            ',' | '}' if depth == 0 => return &flat[at + 1..],
            _ => {}
        }
    }
    flat
}

/// The text without what stands in braces of its own.
fn at_depth_0(text: &str) -> String {
    let mut depth = 0_u32;
    let mut flat = String::new();
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            c if depth == 0 => flat.push(c),
            _ => {}
        }
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(source: &str, line: u32) -> Option<(String, u32)> {
        let found = careless_pending(&|_: &Path| Some(source.to_owned()), Path::new("x.rs"), line)?;
        Some((found.function, found.line))
    }

    const TRAILERS: &str = "\
struct Trailers(Shared);
impl Future for Trailers {
    type Output = u32;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u32> {
        let mut r = self.0.lock().unwrap();
        match r.queue.front() {
            Some(Event::Trailers(v)) => Poll::Ready(*v),
            Some(Event::Data) => Poll::Pending, // it is not stored
            None => {
                r.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

async fn read_response(s: Shared) -> u32 {
    Trailers(s).await
}

async fn other() {
    rest().await
}
";

    #[test]
    fn the_path_that_does_not_mention_the_waker_is_found() {
        assert_eq!(at(TRAILERS, 17), Some(("Trailers::poll".to_owned(), 8)));
    }

    #[test]
    fn who_awaits_something_else_is_not_blamed_for_it() {
        assert_eq!(at(TRAILERS, 21), None);
        assert_eq!(at(TRAILERS, 99), None);
    }

    #[test]
    fn paths_that_pass_the_context_on_are_careful() {
        const SOURCE: &str = "\
impl<T: Unpin> Stream for Lines<T> {
    fn poll_next(mut self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<Option<u32>> {
        if self.done {
            return Poll::Ready(None);
        }
        match Pin::new(&mut self.inner).poll_read(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(n) => self.fill(n),
        }
        if matches!(self.flush(context), Poll::Pending) {
            return Poll::Pending;
        }
        let Poll::Ready(line) = self.line(context) else {
            return Poll::Pending;
        };
        Poll::Ready(Some(line))
    }
}
async fn all(lines: Lines<Tcp>) {
    while let Some(_) = lines.next().await {}
}
";
        assert_eq!(at(SOURCE, 19), None);
    }

    #[test]
    fn a_waker_that_is_stored_in_some_cases_only_is_not_on_the_path() {
        const SOURCE: &str = "\
impl Future for Gate {
    fn poll(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<()> {
        if self.open {
            return Poll::Ready(());
        }
        if self.first {
            self.first = false;
            self.shared.register(ctx.waker());
        }
        Poll::Pending
    }
}
fn gate() -> Gate {
    Gate::default()
}
async fn enter() {
    gate().await;
}
";
        assert_eq!(at(SOURCE, 16), Some(("Gate::poll".to_owned(), 10)));
    }

    #[test]
    fn a_closure_in_the_function_itself_counts() {
        const SOURCE: &str = "\
async fn ready(flag: &AtomicBool) {
    std::future::poll_fn(|_| {
        if flag.load(Relaxed) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await
}
";
        assert_eq!(at(SOURCE, 1), Some(("ready".to_owned(), 3)));
    }

    #[test]
    fn of_several_none_is_taken() {
        let twice = TRAILERS.replace("Poll::Ready(*v)", "Poll::Pending");
        assert_eq!(at(&twice, 17), None);
    }
}
