//! The facade while its feature is off: what it pulls in.

use std::{collections::BTreeSet, env, path::Path, process::Command};

#[test]
fn the_facade_brings_tokio_and_its_macros_and_nothing_else() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(root)
        .args(["tree", "--offline", "--package", "asyncwatch"])
        .args(["--edges", "normal", "--no-default-features"])
        .args(["--prefix", "none", "--format", "{lib}"])
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let crates: BTreeSet<&str> = text
        .split_whitespace()
        .filter(|word| *word != "(*)")
        .collect();
    let expected = BTreeSet::from([
        "asyncwatch",
        "asyncwatch_macros",
        // Of the macros, at compile time only.
        "proc_macro2",
        "quote",
        "syn",
        "unicode_ident",
        // tokio's own.
        "pin_project_lite",
        "tokio",
    ]);
    assert_eq!(crates, expected);
}
