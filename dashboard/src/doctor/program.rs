//! What a program tells of how well it is watched.

use std::{ffi::OsString, time::Duration};

use asyncwatch_findings::{Coverage, Drop, ProcessInfo};

use super::{Item, Section};
use crate::{
    config::Settings,
    gather::{Gathering, Orders, Watched},
    ps,
    run::{self, child::Child},
};

/// Runs a program and asks what it reported; the first process speaks for the settings.
pub(super) async fn run(
    command: &[OsString],
    duration: Option<Duration>,
    settings: &Settings,
) -> anyhow::Result<(Section, Option<ProcessInfo>)> {
    let gathering = Gathering::new()?;
    let orders = Orders {
        settings,
        checked: false,
        addr: "off",
    };
    let child = Child::headless(command, gathering.environment(&orders))?;
    let ending = run::headless(child, duration).await?;
    let processes = gathering.finish().processes;
    let mut section = Section::new("Program");
    if let Some(how) = ending.failure() {
        section.push(Item::note(format!("it {how}")));
    }
    let mut reported = processes
        .into_iter()
        .filter(|process| process.reported)
        .peekable();
    if reported.peek().is_none() {
        section.push(nothing_reported());
    }
    let mut first = None;
    for process in reported {
        for item in of(&process) {
            // What one process of a test run says, the others mostly say, too.
            if !section.items.iter().any(|known| known.what == item.what) {
                section.push(item);
            }
        }
        first = first.or(Some(process.info));
    }
    Ok((section, first))
}

/// Asks a program that runs.
pub(super) async fn ask(whom: &str) -> anyhow::Result<(Section, ProcessInfo)> {
    let mut targets = ps::targets(Some(whom))?;
    let target = targets.remove(0);
    let model = ps::snapshot(&target).await?;
    let process = model.process().cloned().unwrap_or_default();
    let mut section = Section::new(format!(
        "Program {} (pid {}) at {target}",
        process.name, process.pid
    ));
    section.items.extend(process.coverage.iter().map(coverage));
    let drops: Vec<Drop> = model.drops().to_vec();
    section.items.extend(drops.iter().map(dropped));
    let info = ProcessInfo {
        pid: process.pid,
        name: process.name,
        settings: process.settings,
        ..ProcessInfo::default()
    };
    Ok((section, info))
}

fn nothing_reported() -> Item {
    Item::missing("no watched process reported")
        .costs("nothing of it is watched")
        .todo("build it with asyncwatch's feature `enabled`, and put `#[asyncwatch::main]` on `main` or call `asyncwatch::install()`; ASYNCWATCH=0 in its environment switches it off")
}

fn of(process: &Watched) -> Vec<Item> {
    let info = &process.info;
    let (polls, tasks) = (process.totals.polls, process.totals.tasks);
    let what = format!(
        "{} (pid {}) reported: {polls} polls of {tasks} tasks, asyncwatch {}",
        info.name, info.pid, info.asyncwatch_version
    );
    let mut items = vec![match polls {
        0 => Item::gap(what)
            .costs("nothing that was polled in it is watched")
            .todo("put `#[asyncwatch::main]` or `#[asyncwatch::test]` where its runtime starts, or `.watched()` on the runtime's builder"),
        _ => Item::good(what),
    }];
    items.extend(info.coverage.iter().map(coverage));
    items.extend(process.drops.iter().map(dropped));
    items
}

/// The sentence says what a gap costs and what would change it.
fn coverage(aspect: &Coverage) -> Item {
    let what = format!("{}: {}", aspect.aspect, aspect.detail);
    if aspect.covered {
        Item::good(what)
    } else {
        Item::gap(what)
    }
}

fn dropped(drop: &Drop) -> Item {
    Item::note(format!(
        "left out: {} {}: {}",
        drop.count, drop.what, drop.detail
    ))
}
