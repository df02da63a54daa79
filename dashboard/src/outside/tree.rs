//! Which processes the command has started, and which of them are looked at.
//!
//! There is no list of descendants; the kernel lists all processes with their parents.
//! One whose parent has ended before it was met is not recognised as the command's.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

/// A process of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kin {
    /// When it began, in the kernel's ticks: an id can come again.
    pub(super) started: u64,
    /// What it runs; changes when it executes another program.
    pub(super) exe: PathBuf,
    /// It runs what its parent does, as every process does between its fork and the
    /// program that it is made for.
    pub(super) inherited: bool,
}

impl Kin {
    fn new(started: u64) -> Kin {
        Kin {
            started,
            exe: PathBuf::new(),
            inherited: false,
        }
    }
}

/// The command's processes as far as they are known.
#[derive(Debug)]
pub(super) struct Tree {
    kin: HashMap<u32, Kin>,
    /// Others, so that they are read only once: when they began.
    strangers: HashMap<u32, u64>,
}

/// What has changed since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// New, or with a new program.
    pub(super) came: Vec<(u32, Kin)>,
    pub(super) went: Vec<u32>,
}

impl Tree {
    /// That of the process `root`.
    pub(super) fn of(root: u32) -> Tree {
        let mut tree = Tree {
            kin: HashMap::new(),
            strangers: HashMap::new(),
        };
        if let Some((_, started)) = parent_and_start(root) {
            // Its program is met at the first look, as one that has changed.
            tree.kin.insert(root, Kin::new(started));
        }
        tree
    }

    /// Looks who is there.
    pub(super) fn look(&mut self) -> Change {
        let Ok(entries) = fs::read_dir("/proc") else {
            return Change::default();
        };
        let pids: Vec<u32> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        self.update(&pids, parent_and_start, |pid| {
            fs::read_link(format!("/proc/{pid}/exe")).ok()
        })
    }

    fn update(
        &mut self,
        pids: &[u32],
        stat: impl Fn(u32) -> Option<(u32, u64)>,
        exe: impl Fn(u32) -> Option<PathBuf>,
    ) -> Change {
        let mut change = Change::default();
        let gone = |pid: &u32, started: u64| {
            !pids.contains(pid) || stat(*pid).is_none_or(|(_, now)| now != started)
        };
        change.went = self
            .kin
            .iter()
            .filter(|(pid, kin)| gone(pid, kin.started))
            .map(|(pid, _)| *pid)
            .collect();
        for pid in &change.went {
            self.kin.remove(pid);
        }
        self.strangers.retain(|pid, _| pids.contains(pid));
        let mut parents = HashMap::new();
        // A parent is mostly older than its children, and has the smaller number; where
        // numbers have begun anew, the next look finds the rest.
        for &pid in pids {
            if self.kin.contains_key(&pid) {
                continue;
            }
            if self.strangers.contains_key(&pid) {
                continue;
            }
            let Some((parent, started)) = stat(pid) else {
                continue;
            };
            if self.kin.contains_key(&parent) {
                self.kin.insert(pid, Kin::new(started));
                parents.insert(pid, parent);
            } else {
                self.strangers.insert(pid, started);
            }
        }
        for (pid, kin) in &mut self.kin {
            match exe(*pid) {
                Some(now) if now != kin.exe => {
                    let of_parent = parents.get(pid).and_then(|parent| exe(*parent));
                    kin.inherited = of_parent.is_some_and(|of_parent| of_parent == now);
                    kin.exe = now;
                    change.came.push((*pid, kin.clone()));
                }
                _ => {}
            }
        }
        change
    }
}

/// Its parent, and when it began.
fn parent_and_start(pid: u32) -> Option<(u32, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, parentheses too. After it comes the third field.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let started = fields.nth(22 - 5)?.parse().ok()?;
    Some((parent, started))
}

/// Programs that build and run others, and have tokio inside for themselves at most.
const TOOLS: &[&str] = &[
    "build-script-build",
    "cc",
    "clang",
    "clippy-driver",
    "collect2",
    "gcc",
    "git",
    "just",
    "ld",
    "ld.lld",
    "make",
    "mold",
    "ninja",
    "rust-lld",
    "rustc",
    "rustdoc",
    "rustup",
    "sccache",
];

/// Whether the program is a tool that builds and starts what is to be watched.
pub(super) fn is_tool(exe: &Path) -> bool {
    let Some(name) = exe.file_name().and_then(|name| name.to_str()) else {
        return true;
    };
    let name = name.strip_suffix(" (deleted)").unwrap_or(name);
    TOOLS.contains(&name)
        || name == "cargo"
        || name.starts_with("cargo-")
        || name.starts_with("build-script-")
        || name.starts_with("build_script_")
        || name.starts_with("rust-analyzer")
        // A child of ours that has not executed its program yet.
        || std::env::current_exe().is_ok_and(|own| own == exe)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parents and executables of a made-up system, all begun at once.
    fn look(tree: &mut Tree, processes: &[(u32, u32, &str)]) -> Change {
        let pids: Vec<u32> = processes.iter().map(|(pid, ..)| *pid).collect();
        let find = |pid: u32| processes.iter().find(move |(known, ..)| *known == pid);
        let mut change = tree.update(
            &pids,
            |pid| find(pid).map(|(_, parent, _)| (*parent, 7)),
            |pid| find(pid).map(|(.., exe)| PathBuf::from(exe)),
        );
        change.came.sort_by_key(|(pid, _)| *pid);
        change
    }

    fn tree(root: u32) -> Tree {
        Tree {
            kin: [(root, Kin::new(7))].into(),
            strangers: HashMap::new(),
        }
    }

    fn came(change: &Change) -> Vec<(u32, &str)> {
        let exe = |kin: &Kin| kin.exe.to_str().map(str::to_owned);
        assert!(change.came.iter().all(|(_, kin)| exe(kin).is_some()));
        change
            .came
            .iter()
            .map(|(pid, kin)| (*pid, kin.exe.to_str().unwrap_or_default()))
            .collect()
    }

    #[test]
    fn descendants_are_found_and_others_are_not() {
        let mut tree = tree(10);
        let change = look(
            &mut tree,
            &[
                (1, 0, "init"),
                (5, 1, "sh"),
                (10, 5, "cargo"),
                (11, 10, "cargo"),
                (12, 11, "t"),
            ],
        );
        assert_eq!(came(&change), [(10, "cargo"), (11, "cargo"), (12, "t")]);
        let change = look(
            &mut tree,
            &[(10, 5, "cargo"), (11, 10, "test"), (12, 11, "t")],
        );
        assert_eq!(came(&change), [(11, "test")]);
        assert!(change.went.is_empty());
    }

    #[test]
    fn a_fork_is_told_from_the_program_it_is_made_for() {
        let mut tree = tree(10);
        look(&mut tree, &[(10, 5, "app")]);
        let change = look(&mut tree, &[(10, 5, "app"), (11, 10, "app")]);
        assert!(change.came[0].1.inherited);
        let change = look(&mut tree, &[(10, 5, "app"), (11, 10, "sh")]);
        assert!(!change.came[0].1.inherited);
    }

    #[test]
    fn an_orphan_that_was_known_stays_known() {
        let mut tree = tree(10);
        look(&mut tree, &[(10, 5, "sh"), (11, 10, "daemon")]);
        let change = look(&mut tree, &[(11, 1, "daemon"), (12, 11, "child")]);
        assert_eq!(change.went, [10]);
        assert_eq!(came(&change), [(12, "child")]);
    }

    #[test]
    fn this_process_has_a_parent_and_a_beginning() {
        let (parent, started) = parent_and_start(std::process::id()).expect("it runs");
        assert_eq!(parent, std::os::unix::process::parent_id());
        assert!(started > 0);
        assert_eq!(parent_and_start(u32::MAX), None);
    }

    #[test]
    fn tools_are_left_alone() {
        for tool in [
            "/home/me/.cargo/bin/cargo",
            "/x/cargo-nextest",
            "/x/bin/rustc",
            "/x/target/debug/build/serde-12/build-script-build",
        ] {
            assert!(is_tool(Path::new(tool)), "{tool}");
        }
        assert!(!is_tool(Path::new(
            "/x/target/debug/deps/app-0123456789abcdef"
        )));
        assert!(!is_tool(Path::new("/x/target/debug/gccount")));
    }
}
