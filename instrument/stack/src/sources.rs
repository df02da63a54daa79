//! Where the program's sources lie.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// A crate of this program, one of its workspace rather than a downloaded one, and where
/// it was compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CrateSource {
    /// Its name; `None` where debug information does not tell.
    pub(crate) name: Option<String>,
    /// The directory of its root source file, as the compiler knew that.
    pub(crate) within: PathBuf,
    /// The directory that the compiler ran in: relative paths start there.
    pub(crate) compiled_in: PathBuf,
}

/// Where a source file of this program lies, by its path as the compiler knew it;
/// `krate` is the crate it belongs to, or empty if that is not known. `None` where debug
/// information does not tell, or the file is not there any more.
///
/// The first call reads debug information, up to a second; it is for a thread that
/// nobody waits for.
#[must_use]
pub fn source_file(file: &str, krate: &str) -> Option<PathBuf> {
    static CRATES: OnceLock<Vec<CrateSource>> = OnceLock::new();
    let path = Path::new(file);
    if path.is_absolute() {
        return path.is_file().then(|| path.to_owned());
    }
    find(
        CRATES.get_or_init(crate::platform::crate_sources),
        path,
        krate,
    )
    .find(|path| path.is_file())
}

/// Where it may lie, the likelier places first: below the crate itself, below those that
/// may be it, and only then below others that are not ours.
fn find<'c>(
    crates: &'c [CrateSource],
    file: &'c Path,
    krate: &'c str,
) -> impl Iterator<Item = PathBuf> + 'c {
    let rank = move |source: &CrateSource| match source.name.as_deref() {
        Some(name) if name == krate => 0,
        None => 1,
        Some(name) if is_ours(name) => 3,
        Some(_) => 2,
    };
    (0..=3)
        .flat_map(move |wanted| crates.iter().filter(move |source| rank(source) == wanted))
        .filter(move |source| file.starts_with(&source.within))
        .map(move |source| source.compiled_in.join(file))
}

fn is_ours(krate: &str) -> bool {
    krate == "asyncwatch" || krate.starts_with("asyncwatch_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: Option<&str>, within: &str, compiled_in: &str) -> CrateSource {
        CrateSource {
            name: name.map(str::to_owned),
            within: within.into(),
            compiled_in: compiled_in.into(),
        }
    }

    #[test]
    fn the_crate_itself_comes_first_and_ours_last() {
        let crates = [
            of(Some("asyncwatch_instrument"), "src", "/tool"),
            of(Some("util"), "util/src", "/app"),
            of(Some("app"), "src", "/app"),
            of(None, "src", "/unknown"),
        ];
        let places = |file: &str, krate: &str| -> Vec<PathBuf> {
            find(&crates, Path::new(file), krate).collect()
        };
        assert_eq!(
            places("src/main.rs", "app"),
            [
                "/app/src/main.rs",
                "/unknown/src/main.rs",
                "/tool/src/main.rs"
            ]
            .map(PathBuf::from)
        );
        assert_eq!(
            places("util/src/lib.rs", ""),
            [PathBuf::from("/app/util/src/lib.rs")]
        );
    }

    #[test]
    fn this_file_is_found_where_debug_information_is_read() {
        if cfg!(target_os = "linux") && crate::has_debuginfo() == crate::DebugInfo::LineTables {
            let found = source_file(file!(), "asyncwatch_stack").expect("this very file");
            assert!(
                found.ends_with("instrument/stack/src/sources.rs"),
                "{found:?}"
            );
        }
        assert_eq!(source_file("no/such/file.rs", ""), None);
    }
}
