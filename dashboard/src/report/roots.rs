//! Where the command ran: what the paths in reports are relative to.

use std::{
    env,
    path::{Component, Path, PathBuf},
};

use asyncwatch_findings::below_registry;

/// The directory the command ran in, and the repository around it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roots {
    pub(crate) directory: PathBuf,
    /// The directory itself where there is no repository.
    pub(crate) repository: PathBuf,
}

impl Roots {
    /// Those of the current directory.
    pub(crate) fn here() -> Roots {
        env::current_dir().map_or_else(|_| Roots::default(), |directory| Roots::of(&directory))
    }

    pub(crate) fn of(directory: &Path) -> Roots {
        let repository = directory
            .ancestors()
            .find(|above| above.join(".git").exists());
        Roots {
            directory: directory.to_owned(),
            repository: repository.unwrap_or(directory).to_owned(),
        }
    }

    /// The path relative to the repository, with `/` between its parts; `None` if the
    /// file lies elsewhere.
    ///
    /// Programs name files by absolute paths, or relative to where they were built: that
    /// is looked for from the command's directory upward.
    pub(crate) fn relative(&self, file: &str) -> Option<String> {
        let path = Path::new(file);
        if path.is_absolute() {
            return match path.strip_prefix(&self.repository) {
                Ok(inside) => slashed(inside),
                Err(_) => slashed(
                    path.canonicalize()
                        .ok()?
                        .strip_prefix(self.repository.canonicalize().ok()?)
                        .ok()?,
                ),
            };
        }
        let above = self.directory.ancestors();
        let mut above = above.take_while(|above| above.starts_with(&self.repository));
        match above.find(|above| above.join(path).is_file()) {
            Some(above) => slashed(above.join(path).strip_prefix(&self.repository).ok()?),
            None => slashed(path),
        }
    }

    /// Where the file can be read, as far as can be told.
    pub(crate) fn readable(&self, file: &str) -> PathBuf {
        match self.relative(file) {
            Some(relative) => self.repository.join(relative),
            None => PathBuf::from(file),
        }
    }

    /// How people are shown the path: within the repository, or from the directory of a
    /// downloaded crate on.
    pub(crate) fn shown(&self, file: &str) -> String {
        self.relative(file).unwrap_or_else(|| {
            let downloaded = below_registry(file);
            downloaded.unwrap_or(file).to_owned()
        })
    }
}

/// `None` for a path that leads out of where it starts, or nowhere.
fn slashed(path: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::CurDir => {}
            _ => return None,
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn paths_are_relative_to_the_repository() {
        let place = tempfile::tempdir().expect("a directory");
        let repository = place.path().join("repo");
        let member = repository.join("crates/app");
        fs::create_dir_all(member.join("src")).expect("created");
        fs::create_dir(repository.join(".git")).expect("created");
        fs::write(member.join("src/main.rs"), "").expect("written");
        let roots = Roots::of(&member);
        assert_eq!(roots.repository, repository);
        let absolute = member.join("src/main.rs");
        for (file, expected) in [
            (
                absolute.to_str().expect("UTF-8"),
                Some("crates/app/src/main.rs"),
            ),
            ("src/main.rs", Some("crates/app/src/main.rs")),
            ("crates/app/src/main.rs", Some("crates/app/src/main.rs")),
            ("./gone.rs", Some("gone.rs")),
            ("../other/src/lib.rs", None),
            ("/rustc/5980/library/std/src/fs.rs", None),
            ("", None),
        ] {
            assert_eq!(roots.relative(file).as_deref(), expected, "{file}");
        }
    }

    #[test]
    fn without_a_repository_the_directory_is_the_root() {
        let place = tempfile::tempdir().expect("a directory");
        let roots = Roots::of(place.path());
        assert_eq!(roots.repository, place.path());
    }
}
