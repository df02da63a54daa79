//! What to do about a known culprit.
//!
//! The knowledge is in [`table`]; here is how a stack is matched with it. Names are
//! compared as people write them ([`display_name`](crate::display_name)), so one
//! entry serves every compiler's dialect.

use crate::{
    Class, Frame,
    frames::{Owner, blame, frame_name, frame_owner, is_below, poll_end},
};

mod table;

use table::TABLE;

/// Functions that should not run inside a poll, and what to use instead.
#[derive(Clone, Copy, Debug)]
struct Advice {
    /// Paths of functions, types, modules or crates; everything below one matches.
    /// Ending in `*`: all functions without a path whose name begins so, as those of
    /// a C library.
    calls: &'static [&'static str],
    /// Only where this is why time passed; `None`: always.
    class: Option<Class>,
    /// One sentence for people.
    text: &'static str,
}

impl Advice {
    /// The entry's call that `function` is.
    fn call(&self, function: &str) -> Option<&'static str> {
        self.calls
            .iter()
            .find(|call| match call.strip_suffix('*') {
                Some(start) => function.starts_with(start) && !function.contains("::"),
                None => is_below(function, call) || without_type(call).as_deref() == Some(function),
            })
            .copied()
    }
}

/// `std::path::exists` of `std::path::Path::exists`: an inlined method whose type
/// debug information does not tell. Only methods have such a name, not types.
fn without_type(call: &str) -> Option<String> {
    let (path, method) = call.rsplit_once("::")?;
    let (module, name) = path.rsplit_once("::")?;
    let is_type = |name: &str| name.starts_with(char::is_uppercase);
    (is_type(name) && !is_type(method)).then(|| format!("{module}::{method}"))
}

/// What helps against what was seen on the thread, or against time lost in this
/// way in general.
///
/// `stack` may still have the runtime's frames; the outermost call that the table
/// knows decides, as that is the one the user wrote.
pub fn help_for(stack: &[Frame], class: Option<Class>) -> Option<String> {
    let poll = &stack[..poll_end(stack).unwrap_or(stack.len())];
    help_at(poll, blame(poll).culprit, class, false)
}

/// The same for the culprit at that place in the stack; `loops` says that it made
/// many short calls.
pub(crate) fn help_at(
    stack: &[Frame],
    culprit: Option<usize>,
    class: Option<Class>,
    loops: bool,
) -> Option<String> {
    if class == Some(Class::Descheduled) {
        return generic(class).map(str::to_owned);
    }
    let called = &stack[..culprit.unwrap_or(stack.len())];
    // A culprit that is itself in the table: a dependency known by its name alone.
    let culprit = stack.get(called.len()).filter(|frame| !frame.user);
    let known = culprit
        .into_iter()
        .chain(called.iter().rev())
        .find_map(|frame| advice(&frame_name(frame), class))
        .map(|advice| advice.text);
    let known = known.or_else(|| {
        let computes = class == Some(Class::Cpu);
        let callers = callers_of_callback(&stack[called.len()..]);
        let known = callers
            .iter()
            .rev()
            .find_map(|frame| advice(&frame_name(frame), class));
        match known.filter(|_| computes) {
            Some(advice) => Some(advice.text),
            // What calls the function back loops itself, and cannot await.
            None => (loops && callers.is_empty()).then_some(LOOP),
        }
    });
    known.or_else(|| generic(class)).map(str::to_owned)
}

/// The functions of std and of libraries that call the first frame, a closure or a method
/// of the user's, while they do their own work; none where a future is polled.
fn callers_of_callback(stack: &[Frame]) -> &[Frame] {
    let outward = stack.get(1..).unwrap_or_default();
    let end = outward.iter().position(|frame| frame.user);
    let callers = &outward[..end.unwrap_or(0)];
    let calls_back = |frame: &Frame| {
        let name = frame_name(frame);
        let function = name.rsplit("::").next().unwrap_or_default();
        let polls = function.starts_with("poll");
        match frame_owner(frame) {
            Owner::Std => !polls,
            // What has a brace in its name may be an async function, which may await.
            Owner::Dependency => !polls && !frame.function.contains('{'),
            _ => false,
        }
    };
    match callers.iter().all(calls_back) {
        true => callers,
        false => &[],
    }
}

/// Whether one of these calls is known to take long while it computes.
pub(crate) fn is_known_slow(called: &[Frame]) -> bool {
    let known = |frame: &Frame| advice(&frame_name(frame), Some(Class::Cpu)).is_some();
    called.iter().any(known)
}

fn advice(function: &str, class: Option<Class>) -> Option<&'static Advice> {
    let fits = |advice: &&Advice| advice.class.is_none() || advice.class == class;
    TABLE
        .iter()
        .filter(fits)
        .find(|advice| advice.call(function).is_some())
}

const LOOP: &str = "this loop of many short calls goes on without yielding: in async code, call \
     `tokio::task::coop::consume_budget().await` (or `tokio::task::yield_now().await`) in it; \
     otherwise move it to `tokio::task::spawn_blocking`";

fn generic(class: Option<Class>) -> Option<&'static str> {
    Some(match class? {
        Class::Blocked => {
            "use an async equivalent of the blocking call, or move it to `tokio::task::spawn_blocking`"
        }
        Class::Cpu => {
            "move the computation to `tokio::task::spawn_blocking` or a thread pool such as rayon, \
             or split it and call `tokio::task::yield_now().await` between the parts"
        }
        Class::Mixed => {
            "the poll both computes and blocks: move the whole of it to `tokio::task::spawn_blocking`"
        }
        Class::Descheduled => {
            "nothing to fix in this code: the machine had no CPU free; look at what else runs on it, \
             or at the CPU limit of its container"
        }
    })
}

#[cfg(test)]
mod tests;
