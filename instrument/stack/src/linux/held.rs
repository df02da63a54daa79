//! What the future of an async function holds while it waits, by the debug
//! information of the running program.
//!
//! rustc describes each such future as a structure with one variant per `await`, whose
//! members are what is kept across it. Where a member is itself the future of another
//! function, that one holds it; the place of a variable stands with the code that
//! polls the future.

use super::elf::Elf;
use crate::Held;
use gimli::{
    AttributeValue, DW_AT_byte_size, DW_AT_count, DW_AT_decl_file, DW_AT_decl_line, DW_AT_name,
    DW_AT_type, DW_AT_upper_bound, DW_TAG_array_type, DW_TAG_namespace, DW_TAG_structure_type,
    DW_TAG_subprogram, DW_TAG_subrange_type, DW_TAG_variable, DwAt, Dwarf, EndianSlice,
    LittleEndian, Unit, UnitOffset,
};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Larger sections are not read: with the other sections, half a gigabyte at most for
/// the second or less that this takes.
const SECTION_BYTES_MAX: usize = 128 << 20;
/// The search ends here, without an answer.
const TIME_MAX: Duration = Duration::from_secs(2);
/// What a wrapper may add to a future: three words.
const WRAPPER_BYTES_MAX: u64 = 24;
/// Futures inside futures that are followed.
const DEPTH_MAX: usize = 32;

type Bytes<'d> = EndianSlice<'d, LittleEndian>;

/// See [`crate::largest_held`].
pub(crate) fn largest_held(function: &str, file: Option<&str>, bytes: u64) -> Option<Held> {
    let sections = sections()?;
    let dwarf = sections.borrow(|bytes| EndianSlice::new(bytes, LittleEndian));
    let names: Vec<&str> = function
        .split("::")
        .filter(|name| !is_anonymous(name))
        .collect();
    let [krate, .., name] = names[..] else {
        return None;
    };
    let wanted = Wanted {
        krate,
        name,
        file,
        bytes,
    };
    search(&dwarf, wanted)
}

fn sections() -> Option<gimli::DwarfSections<Vec<u8>>> {
    let elf = Elf::open(Path::new("/proc/self/exe"))?;
    gimli::DwarfSections::load(|id| -> Result<_, gimli::Error> {
        Ok(elf.named(id.name(), SECTION_BYTES_MAX).unwrap_or_default())
    })
    .ok()
}

#[derive(Clone, Copy)]
struct Wanted<'a> {
    krate: &'a str,
    name: &'a str,
    /// The source file of the function.
    file: Option<&'a str>,
    bytes: u64,
}

/// What the first unit says that has the code of the future, as long as all agree on
/// which function is meant.
fn search(dwarf: &Dwarf<Bytes<'_>>, wanted: Wanted<'_>) -> Option<Held> {
    let deadline = Instant::now() + TIME_MAX;
    let mut answer: Option<Held> = None;
    let mut units = dwarf.units();
    while let Ok(Some(header)) = units.next() {
        let unit = dwarf.unit(header).ok()?;
        let name = unit.name.map(|name| name.to_string_lossy());
        if !name.is_some_and(|name| {
            may_be_of_crate(&name, wanted.krate) && may_hold(&name, wanted.file)
        }) {
            continue;
        }
        let reader = Reader::new(dwarf, &unit, deadline)?;
        for held in reader.answers(wanted) {
            if answer
                .as_ref()
                .is_some_and(|known| known.function != held.function)
            {
                return None;
            }
            if answer.as_ref().is_none_or(|known| known.line.is_none()) {
                answer = Some(held);
            }
        }
        if answer.as_ref().is_some_and(|known| known.line.is_some()) {
            break;
        }
    }
    answer
}

/// Whether a unit can be of the crate, by its name: `src/main.rs/@/app.5d1c2e09-cgu.0`,
/// or `src/main.rs/@/f4ye0ztzmhju2uqy` in an incremental build.
fn may_be_of_crate(unit: &str, krate: &str) -> bool {
    let Some((root, part)) = unit.split_once("/@/") else {
        return false;
    };
    match part.split_once('.') {
        Some((name, _)) => name == krate,
        // Neither std nor downloaded: these take the longest to read.
        None => !root.starts_with("/rustc/") && !root.contains("/registry/src/"),
    }
}

/// Whether a unit's crate can have the source `file`: it lies below the crate's root.
fn may_hold(unit: &str, file: Option<&str>) -> bool {
    let root = unit.split_once("/@/").map_or(unit, |(root, _)| root);
    let directory = root.rsplit_once('/').map_or("", |(directory, _)| directory);
    file.is_none_or(|file| file.starts_with(directory))
}

/// One compilation unit.
struct Reader<'u, 'd> {
    dwarf: &'u Dwarf<Bytes<'d>>,
    unit: &'u Unit<Bytes<'d>>,
    /// The futures it describes, with the path they stand in.
    futures: HashMap<UnitOffset, Vec<String>>,
    /// The variables of their code.
    variables: Vec<Variable>,
}

struct Variable {
    /// Namespaces, and the function at the end.
    path: Vec<String>,
    name: String,
    offset: UnitOffset,
}

/// A member of a structure.
#[derive(Clone)]
struct Member {
    name: String,
    ty: UnitOffset,
    bytes: u64,
}

impl<'u, 'd> Reader<'u, 'd> {
    /// Lists the unit's futures and the variables of their code; `None` when the time is
    /// up.
    fn new(
        dwarf: &'u Dwarf<Bytes<'d>>,
        unit: &'u Unit<Bytes<'d>>,
        deadline: Instant,
    ) -> Option<Reader<'u, 'd>> {
        let mut reader = Reader {
            dwarf,
            unit,
            futures: HashMap::new(),
            variables: Vec::new(),
        };
        let mut futures = HashMap::new();
        let mut variables = Vec::new();
        reader.walk(deadline, |path, tag, offset, name| {
            let in_future = || path.last().is_some_and(|function| is_code(function));
            if tag == DW_TAG_structure_type && is_future(&name) {
                futures.insert(offset, [path, &[name]].concat());
            } else if tag == DW_TAG_variable && in_future() {
                let path = path.to_vec();
                variables.push(Variable { path, name, offset });
            }
        })?;
        (reader.futures, reader.variables) = (futures, variables);
        Some(reader)
    }

    fn answers(&self, wanted: Wanted<'_>) -> Vec<Held> {
        let is_wanted = |path: &[String]| {
            let mut names = path.iter().filter(|name| !is_anonymous(name));
            names.next().is_some_and(|first| first == wanted.krate)
                && names.next_back().is_some_and(|last| last == wanted.name)
        };
        self.futures
            .iter()
            .filter(|(future, path)| {
                is_wanted(path) && is_size(self.number(**future, DW_AT_byte_size), wanted.bytes)
            })
            .filter_map(|(&future, _)| self.held(future, wanted.bytes))
            .collect()
    }

    /// What `future` mostly holds, or one of the futures in it.
    fn held(&self, mut future: UnitOffset, whole: u64) -> Option<Held> {
        for _ in 0..DEPTH_MAX {
            let largest = self.largest_kept(future)?;
            if largest.bytes * 2 < whole {
                return None;
            }
            match self.future_in(largest.ty, DEPTH_MAX) {
                Some(inner) => future = inner,
                None if largest.name.starts_with("__") => return None,
                None => return Some(self.describe(future, &largest)),
            }
        }
        None
    }

    /// The largest of what is kept across an `await`.
    fn largest_kept(&self, future: UnitOffset) -> Option<Member> {
        let mut largest: Option<Member> = None;
        for (tag, child) in self.children(future) {
            let name = self.name(child).unwrap_or_default();
            if tag != DW_TAG_structure_type || !name.starts_with("Suspend") {
                continue;
            }
            for member in self.members(child) {
                if largest
                    .as_ref()
                    .is_none_or(|most| most.bytes < member.bytes)
                {
                    largest = Some(member);
                }
            }
        }
        largest
    }

    /// The future of an async function that makes up most of a type.
    fn future_in(&self, ty: UnitOffset, depth: usize) -> Option<UnitOffset> {
        if self.futures.contains_key(&ty) {
            return Some(ty);
        }
        let bytes = self.bytes(ty)?;
        let largest = self
            .members(ty)
            .into_iter()
            .filter(|member| member.bytes * 2 >= bytes)
            .max_by_key(|member| member.bytes)?;
        self.future_in(largest.ty, depth.checked_sub(1)?)
    }

    fn describe(&self, future: UnitOffset, member: &Member) -> Held {
        let path = self.futures.get(&future).map_or(&[][..], Vec::as_slice);
        let (file, line) = self.place(path, member).unzip();
        Held {
            name: member.name.clone(),
            type_name: self.type_name(member.ty),
            bytes: member.bytes,
            function: path
                .iter()
                .filter(|name| !is_anonymous(name))
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join("::"),
            file,
            line,
        }
    }

    /// Where the variable that became `member` is declared: in the code of the future,
    /// whose name goes with that of its type.
    fn place(&self, future: &[String], member: &Member) -> Option<(PathBuf, u32)> {
        let (env, around) = future.split_last()?;
        let code = env.replacen("_env#", "#", 1);
        self.variables
            .iter()
            .filter(|variable| {
                variable.name == member.name
                    && variable
                        .path
                        .split_last()
                        .is_some_and(|(function, outside)| {
                            outside == around && same_code(function, &code)
                        })
                    && self.reference(variable.offset, DW_AT_type) == Some(member.ty)
            })
            .find_map(|variable| self.declared(variable.offset))
    }

    fn declared(&self, offset: UnitOffset) -> Option<(PathBuf, u32)> {
        let line = u32::try_from(self.number(offset, DW_AT_decl_line)?).ok()?;
        let program = self.unit.line_program.as_ref()?.header();
        let index = match self.attribute(offset, DW_AT_decl_file)? {
            AttributeValue::FileIndex(index) => index,
            value => value.udata_value()?,
        };
        let file = program.file(index)?;
        let text = |value| self.dwarf.attr_string(self.unit, value).ok();
        let mut path = PathBuf::new();
        if let Some(directory) = self.unit.comp_dir {
            path.push(&*directory.to_string_lossy());
        }
        if let Some(directory) = file.directory(program).and_then(text) {
            path.push(&*directory.to_string_lossy());
        }
        path.push(&*text(file.path_name())?.to_string_lossy());
        Some((path, line))
    }

    /// Members of a structure, and of its variants.
    fn members(&self, ty: UnitOffset) -> Vec<Member> {
        let mut members = Vec::new();
        for (tag, child) in self.children(ty) {
            match tag {
                gimli::DW_TAG_member => members.extend(self.member(child)),
                gimli::DW_TAG_variant_part | gimli::DW_TAG_variant => {
                    members.extend(self.members(child))
                }
                _ => {}
            }
        }
        members
    }

    fn member(&self, offset: UnitOffset) -> Option<Member> {
        let ty = self.reference(offset, DW_AT_type)?;
        Some(Member {
            name: self.name(offset).unwrap_or_default(),
            ty,
            bytes: self.bytes(ty)?,
        })
    }

    fn bytes(&self, ty: UnitOffset) -> Option<u64> {
        if let Some(bytes) = self.number(ty, DW_AT_byte_size) {
            return Some(bytes);
        }
        let element = self.bytes(self.reference(ty, DW_AT_type)?)?;
        element.checked_mul(self.length(ty)?)
    }

    /// Of an array.
    fn length(&self, array: UnitOffset) -> Option<u64> {
        let (_, range) = self
            .children(array)
            .into_iter()
            .find(|(tag, _)| *tag == DW_TAG_subrange_type)?;
        self.number(range, DW_AT_count)
            .or_else(|| self.number(range, DW_AT_upper_bound).map(|last| last + 1))
    }

    fn type_name(&self, ty: UnitOffset) -> String {
        let is_array = self
            .unit
            .entry(ty)
            .is_ok_and(|entry| entry.tag() == DW_TAG_array_type);
        match (self.reference(ty, DW_AT_type), self.length(ty)) {
            (Some(element), Some(length)) if is_array => {
                format!("[{}; {length}]", self.type_name(element))
            }
            _ => self.name(ty).unwrap_or_default(),
        }
    }

    fn children(&self, offset: UnitOffset) -> Vec<(gimli::DwTag, UnitOffset)> {
        let mut list = Vec::new();
        let Ok(mut tree) = self.unit.entries_tree(Some(offset)) else {
            return list;
        };
        let Ok(root) = tree.root() else { return list };
        let mut children = root.children();
        while let Ok(Some(child)) = children.next() {
            list.push((child.entry().tag(), child.entry().offset()));
        }
        list
    }

    fn attribute(&self, offset: UnitOffset, name: DwAt) -> Option<AttributeValue<Bytes<'d>>> {
        self.unit.entry(offset).ok()?.attr_value(name)
    }

    fn number(&self, offset: UnitOffset, name: DwAt) -> Option<u64> {
        self.attribute(offset, name)?.udata_value()
    }

    fn reference(&self, offset: UnitOffset, name: DwAt) -> Option<UnitOffset> {
        match self.attribute(offset, name)? {
            AttributeValue::UnitRef(offset) => Some(offset),
            _ => None,
        }
    }

    fn name(&self, offset: UnitOffset) -> Option<String> {
        self.text(self.attribute(offset, DW_AT_name)?)
    }

    fn text(&self, value: AttributeValue<Bytes<'d>>) -> Option<String> {
        let text = self.dwarf.attr_string(self.unit, value).ok()?;
        Some(text.to_string_lossy().into_owned())
    }

    /// Every structure and variable with a name, with the namespaces and functions around
    /// it; `None` when the time is up.
    fn walk(
        &self,
        deadline: Instant,
        mut each: impl FnMut(&[String], gimli::DwTag, UnitOffset, String),
    ) -> Option<()> {
        let mut path: Vec<String> = Vec::new();
        let mut depths: Vec<isize> = Vec::new();
        let mut entries = self.unit.entries_raw(None).ok()?;
        let mut seen = 0_u32;
        while !entries.is_empty() {
            seen += 1;
            if seen.is_multiple_of(1 << 12) && Instant::now() >= deadline {
                return None;
            }
            let (offset, depth) = (entries.next_offset(), entries.next_depth());
            let Some(abbreviation) = entries.read_abbreviation().ok()? else {
                continue;
            };
            while depths.last().is_some_and(|&outer| outer >= depth) {
                depths.pop();
                path.pop();
            }
            let tag = abbreviation.tag();
            let around = tag == DW_TAG_namespace || tag == DW_TAG_subprogram;
            let in_code = path.last().is_some_and(|function| is_code(function));
            let wanted =
                around || tag == DW_TAG_structure_type || (tag == DW_TAG_variable && in_code);
            if !wanted {
                entries.skip_attributes(abbreviation.attributes()).ok()?;
                continue;
            }
            let mut name = None;
            for &attribute in abbreviation.attributes() {
                let attribute = entries.read_attribute(attribute).ok()?;
                if attribute.name() == DW_AT_name {
                    name = self.text(attribute.value());
                }
            }
            let Some(name) = name else { continue };
            if around {
                depths.push(depth);
                path.push(name);
            } else {
                each(&path, tag, offset, name);
            }
        }
        Some(())
    }
}

/// Whether a future of `own` bytes has `bytes` with a wrapper around it.
fn is_size(own: Option<u64>, bytes: u64) -> bool {
    own.and_then(|own| bytes.checked_sub(own))
        .is_some_and(|wrapper| wrapper <= WRAPPER_BYTES_MAX)
}

/// `{async_fn_env#0}`, `{async_block_env#0}<T>`.
fn is_future(name: &str) -> bool {
    name.starts_with("{async_") && name.contains("_env#")
}

/// `{async_fn#0}`, `{async_block#0}<T>`.
fn is_code(name: &str) -> bool {
    name.starts_with("{async_")
}

/// Whether a function is the code of the future `code`; either may name its parameters.
fn same_code(function: &str, code: &str) -> bool {
    let bare = |name: &str| name.split('}').next().unwrap_or_default().to_owned();
    bare(function) == bare(code)
}

fn is_anonymous(segment: &str) -> bool {
    segment.starts_with('{')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::task::{Context, Poll, Waker};

    async fn receives(first: u8) -> u8 {
        let buffer = [first; 100_000];
        pause().await;
        buffer[usize::from(first)]
    }

    async fn pause() {}

    async fn calls(first: u8) -> u8 {
        let small = [first; 100];
        pause().await;
        receives(small[2]).await + small[1]
    }

    fn finish<T>(future: impl Future<Output = T>) -> T {
        match Box::pin(future)
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(output) => output,
            Poll::Pending => unreachable!("nothing in it waits"),
        }
    }

    /// These tests may be built without debug information of variables.
    fn is_described() -> bool {
        let sections = sections().expect("the test itself");
        let dwarf = sections.borrow(|bytes| EndianSlice::new(bytes, LittleEndian));
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut units = dwarf.units();
        while let Ok(Some(header)) = units.next() {
            let unit = dwarf.unit(header).expect("a unit");
            let name = unit.name.map(|name| name.to_string_lossy());
            if !name.is_some_and(|name| may_hold(&name, Some(file!()))) {
                continue;
            }
            let reader = Reader::new(&dwarf, &unit, deadline);
            if reader.is_some_and(|reader| !reader.futures.is_empty()) {
                return true;
            }
        }
        false
    }

    #[test]
    fn the_variable_that_is_held_is_found_through_calls() {
        let future = calls(1);
        let bytes = size_of_val(&future) as u64;
        assert_eq!(finish(future), 2);
        let held = largest_held(concat!(module_path!(), "::calls"), Some(file!()), bytes);
        if !is_described() {
            assert_eq!(held, None);
            return;
        }
        let held = held.expect("debug information describes it");
        assert_eq!((&*held.name, &*held.type_name), ("buffer", "[u8; 100000]"));
        assert!(held.function.ends_with("receives"), "{held:?}");
        assert!(held.file.expect("a file").ends_with("src/linux/held.rs"));
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        assert_eq!(
            largest_held(concat!(module_path!(), "::calls"), None, 1),
            None
        );
        assert_eq!(largest_held("calls", None, 1), None);
        assert_eq!(largest_held("", None, 1), None);
    }

    #[test]
    fn units_are_told_by_their_names() {
        assert!(may_be_of_crate("src/main.rs/@/app.5d1c2e09-cgu.0", "app"));
        assert!(!may_be_of_crate("src/lib.rs/@/apple.5d1c2e09-cgu.0", "app"));
        assert!(may_be_of_crate("src/main.rs/@/f4ye0ztzmhju2uqy", "app"));
        assert!(may_hold("src/main.rs/@/f4ye0", Some("src/routes/mod.rs")));
        assert!(!may_hold(
            "other/src/main.rs/@/f4ye0",
            Some("src/routes/mod.rs")
        ));
        let std = "/rustc/5980/library/std/src/lib.rs/@/std.a9b8-cgu.0";
        assert!(!may_be_of_crate(std, "app"));
        let downloaded = "/home/me/.cargo/registry/src/index/x-1.0.0/src/lib.rs/@/f4ye0";
        assert!(!may_be_of_crate(downloaded, "app"));
    }

    #[test]
    fn code_and_type_of_a_future_have_names_that_go_together() {
        assert!(is_future("{async_block_env#0}<T>") && !is_future("{closure_env#0}"));
        assert!(same_code("{async_block#0}<T>", "{async_block#0}"));
        assert!(!same_code("{async_block#1}", "{async_block#0}"));
    }
}
