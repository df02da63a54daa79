//! Tells a bare `asyncwatch` on this machine that we are here.
//!
//! A file `<pid>.json` in a directory that only this user can write:
//! `$XDG_RUNTIME_DIR/asyncwatch`, or `/tmp/asyncwatch-<uid>`. A file whose process is
//! gone is stale; readers delete it.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use asyncwatch_findings::ProcessInfo;

/// The file, and the process that wrote it: a forked child must leave it alone.
static ANNOUNCED: OnceLock<(u32, PathBuf)> = OnceLock::new();

/// Removes the file, when the process ends.
pub(crate) fn withdraw() {
    if let Some((pid, path)) = ANNOUNCED.get()
        && *pid == std::process::id()
    {
        // A stale file is harmless: readers check that its process lives.
        let _ = fs::remove_file(path);
    }
}

/// Writes the file.
pub(super) fn announce(addr: &str, process: &ProcessInfo) -> io::Result<()> {
    let directory = directory()?;
    let path = directory.join(format!("{}.json", process.pid));
    let unfinished = directory.join(format!("{}.json.new", process.pid));
    let text = serde_json::json!({
        "pid": process.pid,
        "name": process.name,
        "addr": addr,
        "started_unix_ns": process.started_unix_ns,
    });
    fs::write(&unfinished, text.to_string())?;
    fs::rename(&unfinished, &path)?;
    // The one server of a process announces once.
    let _ = ANNOUNCED.set((process.pid, path));
    Ok(())
}

#[cfg(unix)]
fn directory() -> io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;

    let directory = match env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty()) {
        Some(runtime) => PathBuf::from(runtime).join("asyncwatch"),
        None => PathBuf::from(format!("/tmp/asyncwatch-{}", user())),
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)?;
    check_private(&directory)?;
    Ok(directory)
}

#[cfg(not(unix))]
fn directory() -> io::Result<PathBuf> {
    Err(io::Error::other(
        "this system has no per-user runtime directory",
    ))
}

/// A directory that others can write to could lead the user to a stranger's server.
#[cfg(unix)]
fn check_private(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;

    let meta = fs::symlink_metadata(directory)?;
    if meta.is_dir() && meta.uid() == user() && meta.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{} is not a directory of this user with mode 0700",
        directory.display()
    )))
}

#[cfg(unix)]
fn user() -> u32 {
    #![expect(unsafe_code, reason = "geteuid is a C function")]
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}
