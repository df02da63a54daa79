//! `asyncwatch run` and plain `asyncwatch`: the dashboard on a program.
//!
//! Starts the program, learns its server's address from its report stream, and
//! hands both its address and its output to the dashboard. When the user leaves,
//! the program is stopped with everything it started.

pub(crate) mod child;
mod output;
mod outside;

use std::{
    env,
    io::{self, IsTerminal},
    process::ExitCode,
    time::{Duration, SystemTime},
};

use anyhow::bail;
use asyncwatch_findings::Code;
use tokio::{
    sync::{mpsc, watch},
    time,
};

use self::{
    child::{Child, Ending, Interrupts},
    output::Forwarder,
    outside::Outside,
};
use crate::{
    cli::RunArgs,
    client::Target,
    config::{Allows, Config, MaxPoll},
    gather::{Gathering, Orders, Watched},
    outside::Sampler,
    report::{Report, options, print, say},
    tui::{self, OutputLine, Started},
};

/// How long a program has to end after it was asked to.
const GRACE: Duration = Duration::from_secs(3);

/// How often new processes are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Lines of output that wait for the dashboard; it draws 40 times a second and
/// takes a thousand at once.
const LINES_WAITING_MAX: usize = 4_096;

/// The dashboard on a program that already runs.
pub(crate) async fn attach(addr: Option<Target>, color: bool) -> anyhow::Result<ExitCode> {
    let (sender, target) = watch::channel(addr);
    // A sender that lives says that an address is still to come.
    let sender = target.borrow().is_some().then_some(sender);
    tui::show(target, None, tui::Options { color, title: None }).await?;
    drop(sender);
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn run(args: RunArgs, color: bool) -> anyhow::Result<ExitCode> {
    if !args.headless && !io::stdout().is_terminal() {
        bail!(
            "standard output is no terminal, so there is no dashboard; add `--headless --for 10s`"
        );
    }
    if args.watch.max_poll == Some(MaxPoll::Auto) {
        bail!("`--max-poll auto` is for `asyncwatch check`: it is known when all has been seen");
    }
    let (config, settings) = args.watch.settings(Vec::new())?;
    let settings = settings.without_auto();
    for mistake in &settings.mistakes {
        say(&format!("asyncwatch: {mistake}\n"));
    }
    let gathering = Gathering::new()?;
    let orders = Orders {
        settings: &settings,
        checked: false,
        addr: "127.0.0.1:0",
    };
    let environment = gathering.environment(&orders);
    let usual = Code::SlowPoll.default_level();
    if args.headless {
        let child = Child::headless(&args.command, environment)?;
        let sampler = Sampler::of(&child, &gathering, &args.watch, &settings, usual)?;
        let ending = headless(child, args.duration).await?;
        print_report(&args, ending, gathering, sampler, &config, color);
    } else {
        let child = Child::piped(&args.command, environment)?;
        let sampler = Sampler::of(&child, &gathering, &args.watch, &settings, usual)?;
        let (ending, gathering) =
            on_dashboard(child, gathering, sampler.as_ref(), &args, color).await?;
        print_report(&args, ending, gathering, sampler, &config, color);
    }
    Ok(ExitCode::SUCCESS)
}

/// Waits for the program's end, the end of its time, or an interrupt.
pub(crate) async fn headless(
    mut child: Child,
    duration: Option<Duration>,
) -> anyhow::Result<Ending> {
    let mut interrupts = Interrupts::new()?;
    let time_over = async {
        match duration {
            Some(duration) => time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ending = child.ended() => drop(ending?),
        _ = interrupts.next() => {}
        () = time_over => {}
    }
    child.stop(GRACE).await
}

fn print_report(
    args: &RunArgs,
    ending: Ending,
    gathering: Gathering,
    sampler: Option<Sampler>,
    config: &Config,
    color: bool,
) {
    let command = child::shown(&args.command);
    let allows = Allows::new(config.allow.clone(), config.base(), SystemTime::now());
    let mut gathered = gathering.finish();
    if let Some(sampler) = sampler {
        sampler.finish().add_to(&mut gathered);
    }
    let report = Report::new(command, ending, gathered, &[], &allows);
    let base = env::current_dir().ok();
    print(&report, &options(base.as_deref(), color, args.watch.stacks));
}

/// Shows the dashboard until the user leaves it.
async fn on_dashboard(
    mut child: Child,
    mut gathering: Gathering,
    sampler: Option<&Sampler>,
    args: &RunArgs,
    color: bool,
) -> anyhow::Result<(Ending, Gathering)> {
    let (target_sender, target) = watch::channel(None);
    let (lines, output) = mpsc::channel(LINES_WAITING_MAX);
    let (outside, seen) = Outside::new();
    let title = child::shown(&args.command).first().cloned();
    let mut interrupts = Interrupts::new()?;
    let forwarder = Forwarder::start(&mut child, lines);
    let shown = tokio::select! {
        shown = tui::show(target, Some(Started { output, outside: seen }), tui::Options { color, title }) => shown,
        never = attend(&mut child, forwarder, &mut gathering, sampler.map(|sampler| (sampler, outside)), &target_sender) => match never? {},
        _ = interrupts.next() => Ok(()),
    };
    let ending = child.stop(GRACE).await?;
    shown.map(|()| (ending, gathering))
}

/// Tells the dashboard where the program listens and when it has ended.
async fn attend(
    child: &mut Child,
    forwarder: Forwarder,
    gathering: &mut Gathering,
    mut sampler: Option<(&Sampler, Outside)>,
    target: &watch::Sender<Option<Target>>,
) -> anyhow::Result<std::convert::Infallible> {
    let mut looks = time::interval(LOOK_EVERY);
    let mut forwarder = Some(forwarder);
    loop {
        tokio::select! {
            ending = child.ended(), if forwarder.is_some() => {
                let ended = OutputLine::Exited(ending?.to_string());
                if let Some(forwarder) = forwarder.take() {
                    forwarder.finish(ended).await;
                }
            }
            _ = looks.tick() => {
                gathering.read();
                let found = address(gathering.processes());
                if let Some((sampler, outside)) = &mut sampler {
                    outside.tell(sampler, gathering);
                }
                target.send_if_modified(|known| found.is_some() && std::mem::replace(known, found.clone()) != found);
            }
        }
    }
}

/// Where the youngest process listens that has not ended.
fn address<'a>(processes: impl Iterator<Item = &'a Watched>) -> Option<Target> {
    processes
        .filter(|process| !process.ended && child::is_alive(process.info.pid))
        .filter_map(|process| {
            Some((
                process.info.started_unix_ns,
                process.info.addr.as_deref()?.parse().ok()?,
            ))
        })
        .max_by_key(|(started, _)| *started)
        .map(|(_, target)| target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, started_unix_ns: u64, addr: Option<&str>) -> Watched {
        let mut process = Watched::default();
        process.info.pid = pid;
        process.info.started_unix_ns = started_unix_ns;
        process.info.addr = addr.map(str::to_owned);
        process
    }

    #[test]
    fn the_youngest_live_process_is_shown() {
        let this = std::process::id();
        let ended = Watched {
            ended: true,
            ..process(this, 9, Some("127.0.0.1:9"))
        };
        let gone = process(u32::MAX, 8, Some("127.0.0.1:8"));
        let silent = process(this, 7, None);
        let processes = [
            process(this, 1, Some("127.0.0.1:1")),
            process(this, 2, Some("127.0.0.1:2")),
            ended,
            gone,
            silent,
        ];
        assert_eq!(
            address(processes.iter()),
            Some("127.0.0.1:2".parse().expect("valid"))
        );
        assert_eq!(address([].iter()), None);
    }
}
