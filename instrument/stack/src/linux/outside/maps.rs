//! What a process has mapped where.

use std::ops::Range;

/// One line of `/proc/PID/maps`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) range: Range<u64>,
    pub(super) writable: bool,
    pub(super) code: bool,
    /// Where in the file it begins.
    pub(super) offset: u64,
    /// Empty if it has no file.
    pub(super) path: String,
}

impl Mapping {
    /// Whether it shows what is at `offset` of its file.
    pub(super) fn holds(&self, offset: u64) -> bool {
        let bytes = self.range.end - self.range.start;
        (self.offset..self.offset.saturating_add(bytes)).contains(&offset)
    }

    /// The file it shows, if that can be opened by its path.
    pub(super) fn file(&self) -> Option<&str> {
        self.path.starts_with('/').then_some(self.path.as_str())
    }
}

/// The lines of `/proc/PID/maps`; those that cannot be read are left out.
pub(super) fn parse(maps: &str) -> impl Iterator<Item = Mapping> {
    maps.lines().filter_map(|line| {
        // Between the inode and the path are as many spaces as it takes to align it.
        let mut words = line.splitn(6, ' ');
        let (start, end) = words.next()?.split_once('-')?;
        let flags = words.next()?;
        let offset = words.next()?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        Some(Mapping {
            range: number(start)?..number(end)?,
            writable: flags.as_bytes().get(1) == Some(&b'w'),
            code: flags.as_bytes().get(2) == Some(&b'x'),
            offset: number(offset)?,
            path: words.nth(2).unwrap_or_default().trim_start().to_owned(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_what_is_needed_of_them() {
        let maps = "\
5581a0-5581b0 r-xp 00001000 fe:00 123                        /tmp/with space/app
7ffc00-7ffc20 rw-p 00000000 00:00 0                          [stack]
7ffd00-7ffd10 rw-p 00000000 00:00 0
rubbish
";
        let [code, stack, nameless] = &parse(maps).collect::<Vec<_>>()[..] else {
            panic!("three mappings");
        };
        assert_eq!(code.range, 0x55_81a0..0x55_81b0);
        assert_eq!(
            (code.offset, code.code, code.writable),
            (0x1000, true, false)
        );
        assert_eq!(code.file(), Some("/tmp/with space/app"));
        assert!(stack.writable && !stack.code);
        assert_eq!((stack.path.as_str(), stack.file()), ("[stack]", None));
        assert_eq!(nameless.path, "");
        assert!(code.holds(0x100f) && !code.holds(0x1010) && !code.holds(0xfff));
    }
}
