//! Source paths: which crate a file belongs to, as its path alone tells.
//!
//! Nothing here opens a file; it may not exist on this machine.

/// Whose file it is, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// std, core, alloc and what they bundle.
    Std,
    /// A crate from a registry, a git checkout or a vendor directory, by the name
    /// of its directory without the version.
    Package(&'a str),
    /// The instrumentation itself, built from its own workspace.
    Asyncwatch,
    /// Not Rust: libc, a bundled C library.
    Foreign,
    /// Anything else: the user's own tree.
    Local,
}

/// Sources of a crate that Cargo downloaded lie below one of these.
const PACKAGE_ROOTS: &[&str] = &["/registry/src/", "/git/checkouts/", "/vendor/"];

/// The workspace that this crate was built in, if it is asyncwatch's own.
const OWN_WORKSPACE: Option<&str> =
    strip_suffix(env!("CARGO_MANIFEST_DIR"), "/instrument/findings");

pub(crate) fn place(file: &str) -> Place<'_> {
    if is_std(file) {
        Place::Std
    } else if let Some(package) = package(file) {
        Place::Package(package)
    } else if !file.ends_with(".rs") {
        Place::Foreign
    } else if is_own(file) {
        Place::Asyncwatch
    } else {
        Place::Local
    }
}

/// The module that a file of std or of a downloaded crate stands for:
/// `…/tokio-1.54.1/src/runtime/task/core.rs` is `tokio::runtime::task::core`.
pub(crate) fn module(file: &str) -> Option<String> {
    let (krate, inside) = match place(file) {
        Place::Std => std_crate(file)?,
        Place::Package(package) => (package, file.rsplit_once("/src/")?.1),
        Place::Asyncwatch | Place::Foreign | Place::Local => return None,
    };
    let inside = inside.strip_suffix(".rs")?;
    let modules = inside
        .split('/')
        .filter(|part| !matches!(*part, "mod" | "lib"));
    let path: Vec<String> = std::iter::once(krate)
        .chain(modules)
        .map(|part| part.replace('-', "_"))
        .collect();
    Some(path.join("::"))
}

/// The part of a path that is the same on every machine: from the crate's `src`,
/// `tests`, `examples` or `benches` directory on, else the file's name.
pub(crate) fn tail(file: &str) -> &str {
    const DIRECTORIES: &[&str] = &["src/", "tests/", "examples/", "benches/"];
    let start = DIRECTORIES
        .iter()
        .flat_map(|directory| file.match_indices(directory))
        .map(|(at, _)| at)
        .filter(|&at| at == 0 || file.as_bytes()[at - 1] == b'/')
        .max();
    let name = file.rfind('/').map_or(0, |slash| slash + 1);
    &file[start.unwrap_or(name)..]
}

/// A downloaded crate's file, from the crate's own directory on:
/// `axum-0.8.9/src/serve/mod.rs`.
pub fn below_registry(file: &str) -> Option<&str> {
    file.split_once(PACKAGE_ROOTS[0])?
        .1
        .split_once('/')
        .map(|(_, file)| file)
}

fn is_std(file: &str) -> bool {
    file.starts_with("/rustc/")
        || file.starts_with("/rust/deps/")
        || file.starts_with("library/std/")
        || file.contains("/lib/rustlib/src/rust/")
}

/// Crate and path below its `src`, of `…/library/std/src/fs.rs`.
fn std_crate(file: &str) -> Option<(&str, &str)> {
    file.split_once("library/")?.1.split_once("/src/")
}

fn package(file: &str) -> Option<&str> {
    let root = PACKAGE_ROOTS
        .iter()
        .find_map(|root| Some((root, file.split_once(root)?.1)));
    let (root, below) = root?;
    // A registry has one directory per index, git two per checkout.
    let depth = match *root {
        "/registry/src/" => 1,
        "/git/checkouts/" => 2,
        _ => 0,
    };
    let parts: Vec<&str> = below.split('/').collect();
    let first = parts.get(depth).copied().unwrap_or(parts[0]);
    match *root {
        "/git/checkouts/" => Some(git_package(&parts)),
        _ => Some(without_version(first)),
    }
}

/// In a git checkout the crate is the directory that holds the innermost `src`, or
/// the repository itself: `tokio-0123abcd/9f8e7d6/tokio/src/lib.rs`.
fn git_package<'a>(parts: &[&'a str]) -> &'a str {
    let src = parts.iter().rposition(|part| *part == "src");
    match src {
        Some(src) if src > 2 => parts[src - 1],
        _ => parts[0].rsplit_once('-').map_or(parts[0], |(name, _)| name),
    }
}

/// `tokio-util-0.7.1` is `tokio-util`.
fn without_version(directory: &str) -> &str {
    let digit = |at: usize| {
        directory
            .as_bytes()
            .get(at + 1)
            .is_some_and(u8::is_ascii_digit)
    };
    directory
        .match_indices('-')
        .find(|&(at, _)| digit(at))
        .map_or(directory, |(at, _)| &directory[..at])
}

fn is_own(file: &str) -> bool {
    let Some(below) = OWN_WORKSPACE.and_then(|root| file.strip_prefix(root)) else {
        return false;
    };
    below.starts_with("/src/") || (below.starts_with("/instrument/") && below.contains("/src/"))
}

const fn strip_suffix<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let (text_bytes, suffix) = (text.as_bytes(), suffix.as_bytes());
    if text_bytes.len() < suffix.len() {
        return None;
    }
    let (head, tail) = text_bytes.split_at(text_bytes.len() - suffix.len());
    let mut at = 0;
    while at < suffix.len() {
        if tail[at] != suffix[at] {
            return None;
        }
        at += 1;
    }
    match std::str::from_utf8(head) {
        Ok(head) => Some(head),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTRY: &str = "/home/me/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f";

    #[test]
    fn places_follow_from_paths() {
        let tokio = format!("{REGISTRY}/tokio-1.54.1/src/runtime/task/core.rs");
        let sqlite = format!("{REGISTRY}/libsqlite3-sys-0.35.0/sqlite3/sqlite3.c");
        for (file, expected) in [
            ("/rustc/5980/library/std/src/fs.rs", Place::Std),
            ("/rust/deps/hashbrown-0.15.2/src/raw/mod.rs", Place::Std),
            (
                "/home/me/.rustup/toolchains/stable/lib/rustlib/src/rust/library/core/src/ptr/mod.rs",
                Place::Std,
            ),
            (&tokio, Place::Package("tokio")),
            (&sqlite, Place::Package("libsqlite3-sys")),
            (
                "/home/me/.cargo/git/checkouts/tokio-377c595163f99a10/9f8e7d6/tokio-util/src/lib.rs",
                Place::Package("tokio-util"),
            ),
            (
                "/home/me/.cargo/git/checkouts/flume-377c595163f99a10/9f8e7d6/src/lib.rs",
                Place::Package("flume"),
            ),
            (
                "/home/me/app/vendor/axum/src/routing/mod.rs",
                Place::Package("axum"),
            ),
            ("./nptl/pthread_create.c", Place::Foreign),
            (
                "./misc/../sysdeps/unix/sysv/linux/x86_64/clone3.S",
                Place::Foreign,
            ),
            ("/home/me/app/src/main.rs", Place::Local),
            ("src/main.rs", Place::Local),
        ] {
            assert_eq!(place(file), expected, "{file}");
        }
    }

    #[test]
    fn own_sources_are_known_in_their_own_workspace() {
        let root = OWN_WORKSPACE.expect("these tests run in the workspace");
        assert_eq!(place(&format!("{root}/src/lib.rs")), Place::Asyncwatch);
        assert_eq!(
            place(&format!("{root}/instrument/src/probe.rs")),
            Place::Asyncwatch
        );
        assert_eq!(
            place(&format!("{root}/instrument/tests/slow.rs")),
            Place::Local
        );
        assert_eq!(
            place(&format!("{root}/examples/demo/main.rs")),
            Place::Local
        );
    }

    #[test]
    fn modules_follow_from_files() {
        let axum = format!("{REGISTRY}/axum-core-0.5.2/src/lib.rs");
        assert_eq!(module(&axum).as_deref(), Some("axum_core"));
        assert_eq!(
            module("/rustc/5980/library/alloc/src/vec/mod.rs").as_deref(),
            Some("alloc::vec")
        );
        assert_eq!(module("/home/me/app/src/main.rs"), None);
        assert_eq!(module("./nptl/pthread_create.c"), None);
    }

    #[test]
    fn downloaded_files_are_told_by_their_crate() {
        let file = format!("{REGISTRY}/axum-0.8.9/src/serve/mod.rs");
        assert_eq!(below_registry(&file), Some("axum-0.8.9/src/serve/mod.rs"));
        assert_eq!(below_registry("/home/me/app/src/main.rs"), None);
    }

    #[test]
    fn tails_are_the_same_on_every_machine() {
        assert_eq!(tail("/home/me/app/src/session.rs"), "src/session.rs");
        assert_eq!(tail("crates/app/src/session.rs"), "src/session.rs");
        assert_eq!(tail("/builds/77/app/tests/it/main.rs"), "tests/it/main.rs");
        assert_eq!(tail("/builds/notsrc/x.rs"), "x.rs");
        assert_eq!(tail("src/main.rs"), "src/main.rs");
    }
}
