//! Is a call put into a box? By its source text.

/// What opens a box around the call.
const BOXES: &[&str] = &["Box::pin(", "Box::new(", "Pin::from("];
/// Methods that put what they are called on into a box.
const BOXING: &[&str] = &["boxed", "boxed_local"];

/// Whether the call at a place, line and column from 1, is the argument of `Box::pin`
/// or the receiver of `.boxed()`.
pub(super) fn is_boxed(source: &str, line: u32, column: u32) -> bool {
    let Some(start) = super::select::offset(source, line, column) else {
        return false;
    };
    opens_box(&source[..start]) || is_boxed_after(&source[start..])
}

/// `before` ends where a call begins, or the name of a method.
fn opens_box(before: &str) -> bool {
    let before = without_comments(without_receiver(before));
    BOXES.iter().any(|open| {
        before
            .strip_suffix(open)
            .is_some_and(|rest| !rest.ends_with(|c: char| c.is_alphanumeric() || c == '_'))
    })
}

/// Cuts lines that are comments from the end.
fn without_comments(before: &str) -> &str {
    let mut rest = before.trim_end();
    while let Some((above, last)) = rest.rsplit_once('\n')
        && last.trim_start().starts_with("//")
    {
        rest = above.trim_end();
    }
    rest
}

/// Cuts `self.pool.get(1)?.` of `Box::pin(self.pool.get(1)?.`.
fn without_receiver(before: &str) -> &str {
    let mut rest = before;
    if !rest.trim_end().ends_with('.') {
        return rest;
    }
    let mut closed = 0_usize;
    while let Some(last) = rest.chars().next_back() {
        let part = match last {
            ')' | ']' => {
                closed += 1;
                true
            }
            '(' | '[' if closed > 0 => {
                closed -= 1;
                true
            }
            _ if closed > 0 => true,
            '.' | '?' | ':' | '_' | '&' | '*' => true,
            c => c.is_alphanumeric() || c.is_whitespace(),
        };
        if !part {
            break;
        }
        rest = &rest[..rest.len() - last.len_utf8()];
    }
    rest
}

/// `after` begins with the name of what is called.
fn is_boxed_after(after: &str) -> bool {
    let Some(mut rest) = after
        .find('(')
        .and_then(|open| behind_brackets(&after[open..]))
    else {
        return false;
    };
    while let Some(method) = rest.trim_start().strip_prefix('.') {
        let method = method.trim_start();
        let end = method
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(method.len());
        let (name, arguments) = method.split_at(end);
        if BOXING.contains(&name) {
            return true;
        }
        match behind_brackets(arguments.trim_start()) {
            Some(behind) => rest = behind,
            None => return false,
        }
    }
    false
}

/// What follows the brackets that `text` begins with; brackets in strings and character
/// literals do not count.
fn behind_brackets(text: &str) -> Option<&str> {
    if !text.starts_with('(') {
        return None;
    }
    let mut open = 0_usize;
    let mut quoted = false;
    let mut before = ' ';
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            // A character literal, not a lifetime.
            '\'' if characters.clone().nth(1).is_some_and(|(_, c)| c == '\'') => {
                characters.nth(1);
            }
            '"' if before != '\\' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open == 0 {
            return text.get(at + 1..);
        }
        before = c;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The call is at `load`.
    fn boxed(source: &str) -> bool {
        let at = source.find("load").expect("stands there");
        let line = source[..at].lines().count().max(1);
        let column = at - source[..at].rfind('\n').map_or(0, |end| end + 1) + 1;
        is_boxed(source, line as u32, column as u32)
    }

    #[test]
    fn calls_in_a_box_are_told_from_others() {
        for inside in [
            "let a = Box::pin(load(x)).await;",
            "tokio::spawn(Box::pin(\n    load(x),\n));",
            "Box::pin(\n    // as large as that\n    // is\n    load(x),\n)",
            "let a = std::boxed::Box::pin(self.pool.get(&x[1])?.load(x));",
            "let a = Box::pin(\n    session\n        .load(x));",
            "spawn(load(x, \")\").boxed())",
            "spawn(load(f(x), ')')\n    .map(|a| (a, 1))\n    .boxed_local())",
        ] {
            assert!(boxed(inside), "{inside}");
        }
        for outside in [
            "tokio::spawn(load(x));",
            "set.spawn(self.load(x)); let b = Box::pin(other());",
            "let a = InBox::pin(load(x));",
            "spawn(load(x).map(|a| a.boxed()))",
            "spawn(load(x)).boxed()",
            "Box::pin(outer(load(x)))",
            "let f = load;",
        ] {
            assert!(!boxed(outside), "{outside}");
        }
    }
}
