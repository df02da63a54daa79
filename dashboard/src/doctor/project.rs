//! What the Cargo project in the current directory asks for.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;
use toml::{Table, Value};

use super::{Item, Section, State};

/// The oldest tokio that has what is needed: ids of tasks and of runtimes.
const TOKIO_MIN: (u64, u64) = (1, 28);

const ENABLE: &str = "asyncwatch = { version = \"0.1\", features = [\"enabled\"] }";

/// What `cargo metadata --no-deps` tells, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
    features: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    features: Vec<String>,
}

pub(super) fn look(directory: &Path) -> Section {
    let mut section = Section::new("Project");
    let mut ancestors = directory.ancestors();
    if !ancestors.any(|directory| directory.join("Cargo.toml").is_file()) {
        section.push(Item::note("there is no Cargo.toml here or above"));
        return section;
    }
    let metadata = match metadata(directory) {
        Ok(metadata) => metadata,
        Err(why) => {
            section.push(
                Item::gap(format!("the project cannot be read: {why}"))
                    .costs("nothing is known about it here")
                    .todo("see what `cargo metadata --no-deps` says"),
            );
            return section;
        }
    };
    section.title = format!("Project {}", metadata.workspace_root.display());
    section.items.extend(dependency(&metadata, directory));
    let root = &metadata.workspace_root;
    section.push(match fs::read_to_string(root.join("Cargo.lock")) {
        Ok(lock) => tokio(&lock),
        Err(_) => Item::note("there is no Cargo.lock yet, so the version of tokio is not known"),
    });
    let configs = configs(directory);
    section.push(unstable(
        |name| env::var(name).ok().filter(|flags| !flags.is_empty()),
        &configs,
    ));
    if let Some(manifest) = table(&root.join("Cargo.toml")) {
        section.items.extend(profiles(&manifest));
    }
    section
}

fn metadata(directory: &Path) -> anyhow::Result<Metadata> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(directory)
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        anyhow::bail!("{}", said.lines().next().unwrap_or("cargo failed"));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// How the packages that are built here depend on asyncwatch.
fn dependency(metadata: &Metadata, directory: &Path) -> Vec<Item> {
    let here = |package: &&Package| {
        let home = package.manifest_path.parent();
        home.is_some_and(|home| home != metadata.workspace_root && directory.starts_with(home))
    };
    let mut packages: Vec<&Package> = metadata.packages.iter().filter(here).collect();
    if packages.is_empty() {
        packages = metadata.packages.iter().collect();
    }
    let items: Vec<Item> = packages
        .iter()
        .filter_map(|package| {
            let mut dependencies = package.dependencies.iter();
            let dependency = dependencies.find(|dependency| dependency.name == "asyncwatch")?;
            Some(enabled(package, dependency))
        })
        .collect();
    if items.is_empty() {
        return vec![
            Item::missing("no package here depends on asyncwatch")
                .costs("nothing is watched")
                .todo(format!("add to [dependencies]: {ENABLE}")),
        ];
    }
    items
}

fn enabled(package: &Package, dependency: &Dependency) -> Item {
    let name = &package.name;
    let enables = |feature: &str| matches!(feature, "enabled" | "watch" | "server");
    if dependency.features.iter().any(|feature| enables(feature)) {
        return Item::good(format!("`{name}` depends on asyncwatch, always enabled"));
    }
    let by_feature = |name: &&String| {
        let mut listed = package.features[*name].iter();
        listed.any(|feature| {
            let feature = feature.strip_prefix("asyncwatch");
            let feature = feature.map(|rest| rest.trim_start_matches('?'));
            feature
                .and_then(|rest| rest.strip_prefix('/'))
                .is_some_and(enables)
        })
    };
    let switches: Vec<&String> = package.features.keys().filter(by_feature).collect();
    let by_default = package.features.get("default").into_iter().flatten();
    let on = |switch: &&&String| by_default.clone().any(|feature| feature == **switch);
    match (switches.iter().find(on), switches.first()) {
        (Some(_), _) => Item::good(format!(
            "`{name}` depends on asyncwatch, enabled by default"
        )),
        (None, Some(switch)) if *switch == "default" => Item::good(format!(
            "`{name}` depends on asyncwatch, enabled by default"
        )),
        (None, Some(switch)) => Item::good(format!(
            "`{name}` depends on asyncwatch, enabled by `--features {switch}`"
        )),
        (None, None) => Item::missing(format!(
            "`{name}` depends on asyncwatch, but nothing enables it"
        ))
        .costs("nothing is watched: every name of the crate is a pass-through")
        .todo(format!(
            "{ENABLE}, or a feature of your own: asyncwatch = [\"asyncwatch/enabled\"]"
        )),
    }
}

fn tokio(lock: &str) -> Item {
    let lock = lock.parse::<Table>().unwrap_or_default();
    let packages = lock.get("package").and_then(Value::as_array);
    let versions: Vec<&str> = packages
        .into_iter()
        .flatten()
        .filter(|package| package.get("name").and_then(Value::as_str) == Some("tokio"))
        .filter_map(|package| package.get("version")?.as_str())
        .collect();
    let newest = versions
        .iter()
        .filter_map(|version| Some((number(version)?, *version)));
    match newest.max() {
        None => Item::missing("tokio is not among the dependencies in Cargo.lock")
            .costs("there is nothing to watch"),
        Some((number, version)) if number < TOKIO_MIN => {
            Item::missing(format!("tokio is {version}"))
                .costs("asyncwatch does not build with it")
                .todo(format!(
                    "update tokio to {}.{} or newer",
                    TOKIO_MIN.0, TOKIO_MIN.1
                ))
        }
        Some((_, version)) => Item::good(format!("tokio is {version}")),
    }
}

fn number(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Cargo's configuration files, the nearest first.
fn configs(directory: &Path) -> Vec<(PathBuf, Table)> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| {
        let home = env::var_os("HOME")?;
        Some(Path::new(&home).join(".cargo"))
    });
    let nearby = directory.ancestors().map(|above| above.join(".cargo"));
    let mut files: Vec<PathBuf> = nearby
        .chain(home)
        .flat_map(|directory| [directory.join("config.toml"), directory.join("config")])
        .collect();
    files.dedup();
    let files = files.into_iter();
    files
        .filter_map(|file| Some((file.clone(), table(&file)?)))
        .collect()
}

fn table(file: &Path) -> Option<Table> {
    fs::read_to_string(file).ok()?.parse().ok()
}

/// Whether tokio is built with its hooks. Cargo takes flags from one source only: the
/// environment, else the target's, else the build's.
fn unstable(environment: impl Fn(&str) -> Option<String>, configs: &[(PathBuf, Table)]) -> Item {
    const FLAG: &str = "tokio_unstable";
    let good = |source: &str| {
        Item::good(format!(
            "tokio's hooks are on (`--cfg {FLAG}` in {source}): every task is seen"
        ))
    };
    let gap = |what: String| {
        Item::gap(what)
            .costs("tasks of `tokio::spawn` are seen only where they are wrapped or run functions under `#[asyncwatch::watch]`")
    };
    let todo = "in .cargo/config.toml: [build] rustflags = [\"--cfg\", \"tokio_unstable\"]";
    let in_files = configs
        .iter()
        .find(|(_, config)| config_flags(config).any(|flags| flags.contains(FLAG)));
    let said = [
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTFLAGS",
        "CARGO_BUILD_RUSTFLAGS",
    ]
    .into_iter()
    .find_map(|name| Some((name, environment(name)?)));
    match (said, in_files) {
        (Some((name, flags)), _) if flags.contains(FLAG) => good(name),
        (Some((name, _)), Some((file, _))) => gap(format!(
            "{name} is set without `--cfg {FLAG}`, and replaces the flags in {}",
            file.display()
        ))
        .todo(format!("add `--cfg {FLAG}` to {name}")),
        (Some((name, _)), None) => gap(format!(
            "tokio's hooks are off: {name} is set without `--cfg {FLAG}`"
        ))
        .todo(format!("add `--cfg {FLAG}` to {name}")),
        (None, Some((file, _))) => good(&file.display().to_string()),
        (None, None) => gap(format!("tokio's hooks are off: no `--cfg {FLAG}`")).todo(todo),
    }
}

/// All flags for rustc in a configuration file, each list as one text.
fn config_flags(config: &Table) -> impl Iterator<Item = String> {
    let of = |table: Option<&Value>| flags(table?.get("rustflags")?);
    let build = of(config.get("build"));
    let targets = config.get("target").and_then(Value::as_table);
    let targets = targets.into_iter().flat_map(Table::values);
    build
        .into_iter()
        .chain(targets.filter_map(move |target| of(Some(target))))
}

fn flags(value: &Value) -> Option<String> {
    match value {
        Value::String(flags) => Some(flags.clone()),
        Value::Array(flags) => {
            let flags: Vec<&str> = flags.iter().filter_map(Value::as_str).collect();
            Some(flags.join(" "))
        }
        _ => None,
    }
}

/// What the builds keep of their debug information.
fn profiles(manifest: &Table) -> Vec<Item> {
    let set = manifest.get("profile").and_then(Value::as_table);
    let get = |profile: &str, key: &str| match set?.get(profile)?.get(key)? {
        Value::String(word) => Some(word.clone()),
        Value::Boolean(yes) => Some(yes.to_string()),
        Value::Integer(number) => Some(number.to_string()),
        _ => None,
    };
    ["dev", "release"]
        .into_iter()
        .map(|profile| {
            let debug = get(profile, "debug").unwrap_or((profile == "dev").to_string());
            let strip = get(profile, "strip").unwrap_or("false".to_owned());
            profile_item(profile, &debug, &strip)
        })
        .collect()
}

fn profile_item(profile: &str, debug: &str, strip: &str) -> Item {
    let todo =
        format!("in Cargo.toml: [profile.{profile}] debug = \"line-tables-only\", strip = false");
    let strips_all = matches!(strip, "true" | "symbols");
    let no_lines = matches!(debug, "false" | "0" | "none") || strip == "debuginfo";
    if strips_all {
        return Item::gap(format!(
            "profile `{profile}` strips its programs (strip = {strip})"
        ))
        .costs(
            "stacks are addresses without names and lines, and `block_in_place` is not recognised",
        )
        .todo(todo);
    }
    if no_lines {
        return Item::gap(format!("profile `{profile}` has no line tables (debug = {debug}, strip = {strip})"))
            .costs("findings have no lines, and functions that were inlined have no names: in a release build that is most async code")
            .todo(todo);
    }
    Item::new(
        State::Good,
        format!("profile `{profile}` keeps line tables (debug = {debug})"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(dependency: &[&str], features: &[(&str, &[&str])]) -> Item {
        let owned = |list: &[&str]| list.iter().map(|&item| item.to_owned()).collect();
        let dependency = Dependency {
            name: "asyncwatch".to_owned(),
            features: owned(dependency),
        };
        let features = features
            .iter()
            .map(|(name, list)| ((*name).to_owned(), owned(list)));
        let package = Package {
            name: "app".to_owned(),
            manifest_path: PathBuf::from("/app/Cargo.toml"),
            dependencies: Vec::new(),
            features: features.collect(),
        };
        enabled(&package, &dependency)
    }

    #[test]
    fn the_dependency_has_to_be_enabled() {
        let always = package(&["enabled"], &[]);
        assert!(always.what.ends_with("always enabled"), "{always:?}");
        let switch = package(&[], &[("watching", &["asyncwatch/enabled"])]);
        assert!(switch.what.ends_with("`--features watching`"), "{switch:?}");
        let optional = package(&[], &[("w", &["dep:asyncwatch", "asyncwatch?/watch"])]);
        assert!(optional.what.ends_with("`--features w`"), "{optional:?}");
        let features: [(&str, &[&str]); 2] = [("default", &["w"]), ("w", &["asyncwatch/enabled"])];
        let default = package(&[], &features);
        assert!(default.what.ends_with("enabled by default"), "{default:?}");
        assert_eq!(package(&["schedule-latency"], &[]).state, State::Missing);
    }

    #[test]
    fn old_tokios_are_told() {
        let lock = |version: &str| {
            tokio(&format!(
                "[[package]]\nname = \"tokio\"\nversion = \"{version}\"\n"
            ))
        };
        assert_eq!(lock("1.54.1").state, State::Good);
        assert_eq!(lock("1.28.0").state, State::Good);
        assert_eq!(lock("1.27.9").state, State::Missing);
        assert_eq!(lock("0.2.25").state, State::Missing);
        assert_eq!(tokio("").state, State::Missing);
    }

    #[test]
    fn the_environment_replaces_the_flags_of_files() {
        let file = |text: &str| vec![(PathBuf::from("config.toml"), text.parse().expect("valid"))];
        let with = "[build]\nrustflags = [\"--cfg\", \"tokio_unstable\"]";
        let target = "[target.x86_64-unknown-linux-gnu]\nrustflags = \"--cfg tokio_unstable\"";
        let none = |_: &str| None;
        let warnings = |name: &str| (name == "RUSTFLAGS").then(|| "-D warnings".to_owned());
        assert_eq!(unstable(none, &file(with)).state, State::Good);
        assert_eq!(unstable(none, &file(target)).state, State::Good);
        assert_eq!(unstable(none, &file("")).state, State::Gap);
        let replaced = unstable(warnings, &file(with));
        assert_eq!(replaced.state, State::Gap);
        assert!(replaced.what.contains("replaces"), "{replaced:?}");
        let set = |_: &str| Some("--cfg tokio_unstable".to_owned());
        assert_eq!(unstable(set, &[]).state, State::Good);
    }

    #[test]
    fn profiles_without_lines_are_gaps() {
        let states = |manifest: &str| {
            let manifest: Table = manifest.parse().expect("valid");
            let items = profiles(&manifest);
            items.iter().map(|item| item.state).collect::<Vec<_>>()
        };
        assert_eq!(states(""), [State::Good, State::Gap]);
        let kept = "[profile.release]\ndebug = \"line-tables-only\"";
        assert_eq!(states(kept), [State::Good, State::Good]);
        let stripped = "[profile.release]\ndebug = true\nstrip = true\n[profile.dev]\ndebug = 0";
        assert_eq!(states(stripped), [State::Gap, State::Gap]);
    }
}
