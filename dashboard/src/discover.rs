//! Finds instrumented programs on this machine.
//!
//! Each one leaves `<pid>.json` in a directory that belongs to its user:
//! `$XDG_RUNTIME_DIR/asyncwatch`, else `/tmp/asyncwatch-<uid>`. A directory that
//! someone else could write to is not believed. Whether a program answers at its
//! address is the client's affair.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::client::{Target, clean};

/// Most entries looked at, and the largest entry read: files have one line.
const ENTRIES_MAX: usize = 1_024;
const ENTRY_BYTES_MAX: u64 = 16 * 1024;

/// An instrumented program that runs on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Process id.
    pub pid: u32,
    /// File name of its executable.
    pub name: String,
    /// Where its server listens.
    pub target: Target,
    /// When asyncwatch started in it, nanoseconds since the Unix epoch.
    pub started_unix_ns: u64,
}

/// What a look around found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The programs, the one that started last first.
    pub apps: Vec<App>,
    /// Why something was not believed.
    pub warning: Option<String>,
}

/// The instrumented programs of this user, the one that started last first.
pub fn apps() -> Vec<App> {
    look_around().apps
}

/// The same, with the reason why a directory was not believed.
pub fn look_around() -> Found {
    directory().map_or_else(Found::default, |directory| look_into(&directory))
}

/// Where programs announce themselves.
pub fn directory() -> Option<PathBuf> {
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty()) {
        Some(runtime) => Some(Path::new(&runtime).join("asyncwatch")),
        None => fallback_directory(),
    }
}

fn look_into(directory: &Path) -> Found {
    match private(directory) {
        Ok(true) => {}
        Ok(false) => return Found::default(),
        Err(warning) => {
            return Found {
                apps: Vec::new(),
                warning: Some(warning),
            };
        }
    }
    let mut apps: Vec<App> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .take(ENTRIES_MAX)
        .filter_map(|entry| living(&entry.path()))
        .collect();
    apps.sort_by_key(|app| (std::cmp::Reverse(app.started_unix_ns), app.pid));
    Found {
        apps,
        warning: None,
    }
}

/// Reads an entry; removes it if its program is gone.
fn living(path: &Path) -> Option<App> {
    let pid: u32 = path
        .file_name()?
        .to_str()?
        .strip_suffix(".json")?
        .parse()
        .ok()?;
    if !is_alive(pid) {
        let _ = fs::remove_file(path);
        return None;
    }
    let app = read(path).ok()?;
    (app.pid == pid).then_some(app)
}

#[derive(Deserialize)]
struct Entry {
    pid: u32,
    name: String,
    addr: String,
    started_unix_ns: u64,
}

fn read(path: &Path) -> io::Result<App> {
    let about = fs::symlink_metadata(path)?;
    if !about.is_file() || about.len() > ENTRY_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let entry: Entry = serde_json::from_slice(&fs::read(path)?)?;
    Ok(App {
        pid: entry.pid,
        name: clean(&entry.name, 200),
        target: entry.addr.parse().map_err(io::Error::other)?,
        started_unix_ns: entry.started_unix_ns,
    })
}

#[cfg(unix)]
fn fallback_directory() -> Option<PathBuf> {
    let uid = rustix::process::getuid().as_raw();
    Some(PathBuf::from(format!("/tmp/asyncwatch-{uid}")))
}

/// Whether the directory is there; an error if others could have written to it.
#[cfg(unix)]
fn private(directory: &Path) -> Result<bool, String> {
    use std::os::unix::fs::MetadataExt;

    let Ok(about) = fs::symlink_metadata(directory) else {
        return Ok(false);
    };
    let ours = about.uid() == rustix::process::getuid().as_raw();
    if about.is_dir() && ours && about.mode() & 0o777 == 0o700 {
        return Ok(true);
    }
    Err(format!(
        "{} is not a directory of yours with mode 0700, so it is not believed; remove it",
        directory.display()
    ))
}

#[cfg(unix)]
fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| {
        !matches!(
            rustix::process::test_kill_process(pid),
            Err(rustix::io::Errno::SRCH)
        )
    })
}

#[cfg(not(unix))]
fn fallback_directory() -> Option<PathBuf> {
    None
}

#[cfg(not(unix))]
fn private(directory: &Path) -> Result<bool, String> {
    Ok(directory.is_dir())
}

#[cfg(not(unix))]
fn is_alive(_pid: u32) -> bool {
    true
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

    use super::*;

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let unique = format!("asyncwatch-discover-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(unique);
            fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
            Self(path)
        }

        fn announce(&self, pid: u32, name: &str, started_unix_ns: u64) -> PathBuf {
            let path = self.0.join(format!("{pid}.json"));
            let entry = serde_json::json!({
                "pid": pid, "name": name, "addr": "127.0.0.1:6671",
                "started_unix_ns": started_unix_ns,
            });
            fs::write(&path, entry.to_string()).unwrap();
            path
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn finds_living_programs_and_removes_dead_ones() {
        let place = Place::new("living");
        place.announce(std::process::id(), "app\x1b[31m", 5);
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        let dead = place.announce(ended.id(), "dead", 9);
        ended.wait().unwrap();

        let found = look_into(&place.0);

        assert_eq!(found.apps.len(), 1);
        assert_eq!(found.apps[0].name, "app\u{fffd}[31m");
        assert_eq!(found.apps[0].target.to_string(), "127.0.0.1:6671");
        assert!(!dead.exists());
    }

    #[test]
    fn the_one_that_started_last_comes_first() {
        let place = Place::new("order");
        let parent = std::os::unix::process::parent_id();
        place.announce(std::process::id(), "older", 1);
        place.announce(parent, "newer", 2);
        let names: Vec<_> = look_into(&place.0)
            .apps
            .into_iter()
            .map(|app| app.name)
            .collect();
        assert_eq!(names, ["newer", "older"]);
    }

    #[test]
    fn does_not_believe_a_directory_others_can_write_to() {
        let place = Place::new("open");
        place.announce(std::process::id(), "app", 1);
        fs::set_permissions(&place.0, fs::Permissions::from_mode(0o777)).unwrap();
        let found = look_into(&place.0);
        assert_eq!(found.apps, []);
        assert!(found.warning.unwrap().contains("mode 0700"));
    }

    #[test]
    fn damaged_entries_and_missing_directories_are_nothing() {
        let place = Place::new("damaged");
        fs::write(place.0.join(format!("{}.json", std::process::id())), "{").unwrap();
        fs::write(place.0.join("notes.txt"), "x").unwrap();
        assert_eq!(look_into(&place.0), Found::default());
        assert_eq!(look_into(&place.0.join("missing")), Found::default());
    }
}
