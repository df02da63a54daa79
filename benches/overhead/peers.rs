//! The program of the peers: found, built, and asked what it can do.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{options::Options, variant::Variant};

/// The peers' program, if there is one.
pub struct Peers(Option<PathBuf>);

impl Peers {
    /// Builds it, unless a quick look is enough or nothing of it is asked for.
    pub fn build(options: &Options) -> Self {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
        if options.quick || !package.exists() {
            println!("peers that need a tokio of their own are left out\n");
            return Self(None);
        }
        // Its own lock file and target directory: nothing of it is to be unified with
        // what this program is built from.
        let target = package.join("../../target/peers");
        let built = Command::new(env!("CARGO"))
            .args(["build", "--release", "--quiet", "--manifest-path"])
            .arg(package.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&target)
            .status();
        if built.is_ok_and(|status| status.success()) {
            return Self(Some(target.join("release/peers")));
        }
        println!("tests/peers could not be built: its variants are left out\n");
        Self(None)
    }

    pub fn program(&self) -> Option<&Path> {
        self.0.as_deref()
    }

    pub fn can_run(&self, variant: Variant) -> bool {
        // console-subscriber is told about tasks only by an unstable tokio.
        let wants_unstable = variant != Variant::TracedTokio;
        self.0.is_some() && (cfg!(tokio_unstable) || !wants_unstable)
    }
}
