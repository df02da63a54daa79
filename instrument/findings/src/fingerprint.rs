//! A finding's identity across runs, machines and edits elsewhere in the file.
//!
//! Made of the code, the culprit's function and file below its crate, and what the
//! culprit called. Lines, closure numbers, generic arguments and absolute paths
//! leave no trace. Other code at the same place is another finding: renaming the
//! function or moving it to another file changes the fingerprint, and so does a
//! build whose debug info names the function differently.

use crate::{Code, Frame, TaskRef, frames::frame_name, name, place};

/// Sixteen hexadecimal digits that stay the same for the same problem.
///
/// `culprit` is the frame to blame (for `never-awaited`: where the future was made,
/// with the async function's name) and `blocking` what it called. The task only
/// counts where the culprit alone does not tell sites apart.
pub fn fingerprint(
    code: Code,
    culprit: Option<&Frame>,
    blocking: Option<&Frame>,
    task: Option<&TaskRef>,
) -> String {
    let mut hash = Fnv1a::new();
    hash.part(code.as_str());
    culprit.into_iter().for_each(|frame| hash.frame(frame));
    if !culprit.is_some_and(tells_site) {
        task.into_iter().for_each(|task| hash.task(task));
    }
    blocking
        .into_iter()
        .for_each(|frame| hash.part(&frame_name(frame)));
    format!("{:016x}", hash.0)
}

fn tells_site(culprit: &Frame) -> bool {
    !name::is_anonymous(&culprit.function)
}

/// The 64-bit FNV-1a hash: few lines, the same everywhere and for ever, and good
/// enough for the thousands of sites that one program can have.
struct Fnv1a(u64);

impl Fnv1a {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;

    const fn new() -> Self {
        Fnv1a(Self::OFFSET_BASIS)
    }

    /// Parts are told apart by a byte that no UTF-8 text contains.
    fn part(&mut self, text: &str) {
        for byte in text.bytes().chain([0xff]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(Self::PRIME);
        }
    }

    fn frame(&mut self, frame: &Frame) {
        self.part(&frame_name(frame));
        self.part(frame.file.as_deref().map_or("", place::tail));
        // Where there is no symbol, the place in the object file is all there is.
        if let (true, Some(module), Some(offset)) =
            (frame.function.is_empty(), &frame.module, frame.offset)
        {
            self.part(place::tail(module));
            self.part(&offset.to_string());
        }
    }

    fn task(&mut self, task: &TaskRef) {
        self.part(&name::display_name(&task.name));
        let spawned_in = task.spawned_at.as_ref();
        self.part(spawned_in.map_or("", |location| place::tail(&location.file)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Location;

    fn frame(function: &str, file: &str, line: u32) -> Frame {
        Frame {
            function: function.to_owned(),
            file: Some(file.to_owned()),
            line: Some(line),
            ..Frame::default()
        }
    }

    fn of(culprit: &Frame, blocking: &Frame) -> String {
        fingerprint(Code::SlowPoll, Some(culprit), Some(blocking), None)
    }

    fn task(name: &str) -> TaskRef {
        let spawned_at = Location {
            file: "src/main.rs".to_owned(),
            line: 3,
            column: 9,
        };
        TaskRef {
            id: 7,
            name: name.to_owned(),
            kind: "task".to_owned(),
            spawned_at: Some(spawned_at),
        }
    }

    #[test]
    fn lines_closures_generics_and_machines_leave_no_trace() {
        let sleep = frame(
            "std::thread::functions::sleep",
            "/rustc/5980/library/std/src/thread/functions.rs",
            289,
        );
        let here = of(
            &frame(
                "app::session::load::{{closure}}",
                "/home/me/app/src/session.rs",
                42,
            ),
            &sleep,
        );
        let there = of(
            &frame(
                "app::session::load::<i32>::{closure#1}",
                "/builds/77/app/src/session.rs",
                77,
            ),
            &frame(
                "sleep",
                "/rustc/1234/library/std/src/thread/functions.rs",
                1,
            ),
        );
        assert_eq!(here, there);
        assert_eq!(here.len(), 16);
    }

    #[test]
    fn it_never_changes_between_versions() {
        let culprit = frame("app::load", "/home/me/app/src/session.rs", 1);
        assert_eq!(
            fingerprint(Code::SlowPoll, Some(&culprit), None, None),
            "4136681964e4f5ba"
        );
    }

    #[test]
    fn other_code_function_file_or_call_is_another_problem() {
        let culprit = frame("app::load", "/home/me/app/src/session.rs", 1);
        let sleep = frame("std::thread::sleep", "", 1);
        let base = of(&culprit, &sleep);
        assert_ne!(
            base,
            fingerprint(Code::NeverAwaited, Some(&culprit), Some(&sleep), None)
        );
        assert_ne!(
            base,
            of(
                &frame("app::store", "/home/me/app/src/session.rs", 1),
                &sleep
            )
        );
        assert_ne!(
            base,
            of(&frame("app::load", "/home/me/app/src/other.rs", 1), &sleep)
        );
        assert_ne!(base, of(&culprit, &frame("std::fs::read", "", 1)));
    }

    #[test]
    fn the_task_counts_only_where_the_culprit_has_no_name() {
        let named = frame("app::load", "/home/me/app/src/session.rs", 1);
        let anonymous = frame("{async_fn#0}", "/home/me/app/src/session.rs", 1);
        let with = |culprit: &Frame, name: &str| {
            fingerprint(Code::SlowPoll, Some(culprit), None, Some(&task(name)))
        };
        assert_eq!(with(&named, "app::one"), with(&named, "app::two"));
        assert_ne!(with(&anonymous, "app::one"), with(&anonymous, "app::two"));
    }

    #[test]
    fn frames_without_symbols_are_told_apart_by_offset() {
        let at = |offset| Frame {
            module: Some("/opt/app/bin/app".to_owned()),
            offset: Some(offset),
            ..Frame::default()
        };
        let of = |frame: Frame| fingerprint(Code::SlowPoll, Some(&frame), None, None);
        assert_ne!(of(at(0x10)), of(at(0x20)));
    }
}
