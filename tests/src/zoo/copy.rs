//! The copy of the specimens that is built: mostly instrumented, as a user would do it,
//! on the same lines.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// Makes `to` a copy of the specimens in `from`, instrumented with asyncwatch from
/// `library`; without one, as they are. Files that stay the same are left alone, so that
/// they are not built again.
pub(crate) fn copy(from: &Path, to: &Path, library: Option<&Path>) -> anyhow::Result<()> {
    let manifest = fs::read_to_string(from.join("Cargo.toml"))
        .with_context(|| format!("{} is no package", from.display()))?;
    let manifest = match library {
        Some(library) => with_asyncwatch(&manifest, library),
        None => as_a_workspace(manifest),
    };
    write(&to.join("Cargo.toml"), &manifest)?;
    if let Ok(lock) = fs::read_to_string(from.join("Cargo.lock"))
        && !to.join("Cargo.lock").exists()
    {
        write(&to.join("Cargo.lock"), &lock)?;
    }
    let mut wanted = Vec::new();
    for directory in ["src", "src/bin"] {
        for entry in fs::read_dir(from.join(directory))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                let target = to
                    .join(directory)
                    .join(path.file_name().unwrap_or_default());
                let source = fs::read_to_string(&path)?;
                match library {
                    Some(_) => write(&target, &instrument(&source))?,
                    None => write(&target, &source)?,
                }
                wanted.push(target);
            }
        }
    }
    remove_others(&to.join("src/bin"), &wanted)?;
    Ok(())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|present| present == text) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    fs::write(path, text)
}

fn remove_others(directory: &Path, wanted: &[PathBuf]) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if !wanted.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// The manifest with the dependency on asyncwatch.
fn with_asyncwatch(manifest: &str, library: &Path) -> String {
    let dependency =
        format!("[dependencies]\nasyncwatch = {{ path = {library:?}, features = [\"watch\"] }}\n");
    as_a_workspace(manifest.replacen("[dependencies]\n", &dependency, 1))
}

fn as_a_workspace(mut manifest: String) -> String {
    if !manifest.lines().any(|line| line == "[workspace]") {
        manifest.push_str("\n[workspace]\n");
    }
    manifest
}

/// The source as its author would instrument it; no line moves.
fn instrument(source: &str) -> String {
    let source = source
        .replace("#[tokio::main", "#[asyncwatch::main")
        .replace("#[tokio::test", "#[asyncwatch::test");
    let (source, by_hand) = with_watched_builders(&source);
    let mut out = String::with_capacity(source.len() + 1024);
    let mut wants_trait = by_hand;
    let mut entry = false;
    for line in source.split_inclusive('\n') {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        out.push_str(indent);
        let is_code = !code.trim().is_empty() && !code.starts_with("//") && !code.starts_with("#!");
        if wants_trait && is_code {
            out.push_str("use asyncwatch::RuntimeBuilderExt as _; ");
            wants_trait = false;
        }
        if is_async_fn(code) && !entry {
            out.push_str("#[asyncwatch::watch] ");
        }
        if is_code {
            entry =
                code.starts_with("#[asyncwatch::main") || code.starts_with("#[asyncwatch::test");
        }
        out.push_str(code);
    }
    out
}

/// Does an `async fn` begin on this line?
fn is_async_fn(code: &str) -> bool {
    let mut code = code;
    if let Some(rest) = code.strip_prefix("pub") {
        let rest = match rest.strip_prefix('(') {
            Some(scope) => scope.split_once(')').map_or("", |(_, rest)| rest),
            None => rest,
        };
        code = rest.trim_start();
    }
    code.starts_with("async fn ") || code.starts_with("async unsafe fn ")
}

/// Runtimes that are built by hand are watched; whether there is one.
fn with_watched_builders(source: &str) -> (String, bool) {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    let mut found = false;
    while let Some(builder) = rest.find("Builder::new_") {
        let Some(end) = rest[builder..].find(".build") else {
            break;
        };
        let (before, after) = rest.split_at(builder + end);
        out.push_str(before);
        out.push_str(".watched().build");
        rest = &after[".build".len()..];
        found = true;
    }
    out.push_str(rest);
    (out, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_watched_on_their_lines() {
        let source = "//! head\nuse x;\n\nimpl A {\n    pub(crate) async fn a() {}\n}\n// async fn no\n#[tokio::main(flavor = \"current_thread\")]\nasync fn main() {\n    f(async move {});\n}\n";
        assert_eq!(
            instrument(source),
            "//! head\nuse x;\n\nimpl A {\n    #[asyncwatch::watch] pub(crate) async fn a() {}\n}\n// async fn no\n#[asyncwatch::main(flavor = \"current_thread\")]\nasync fn main() {\n    f(async move {});\n}\n"
        );
    }

    #[test]
    fn builders_are_watched_and_the_trait_is_at_hand() {
        let source = "//! head\n#![allow(x)]\nuse x;\nfn main() {\n    let rt = Builder::new_current_thread().enable_all().build().unwrap();\n}\n";
        assert_eq!(
            instrument(source),
            "//! head\n#![allow(x)]\nuse asyncwatch::RuntimeBuilderExt as _; use x;\nfn main() {\n    let rt = Builder::new_current_thread().enable_all().watched().build().unwrap();\n}\n"
        );
    }

    #[test]
    fn the_manifest_gets_the_dependency_and_is_a_workspace() {
        let manifest = with_asyncwatch(
            "[package]\n[dependencies]\ntokio = \"1\"\n",
            Path::new("/a"),
        );
        assert_eq!(
            manifest,
            "[package]\n[dependencies]\nasyncwatch = { path = \"/a\", features = [\"watch\"] }\ntokio = \"1\"\n\n[workspace]\n"
        );
    }
}
