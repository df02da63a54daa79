//! Whether watching works here, tried out when it starts.
//!
//! A thread of ours runs a task that first blocks and then computes, on a runtime
//! that is watched as the program's are. The watchdog has to find it through the
//! same hooks, slots, accounts and captures that real slow polls go through, with
//! the blocking function on its stack. It is let go as soon as it was seen, so this
//! takes some milliseconds of one thread. What was not seen is said as loudly as
//! any gap in [`coverage`](crate::coverage): a detector that silently sees nothing
//! is worse than none.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU8, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use asyncwatch_stack::{Activity, CaptureError, Capturer, RawStack, Still, Thread};

use crate::{
    probe::hooks,
    publish::Reading,
    registry::{slot::Slot, task::Task},
    source::SourceLine,
    watchdog::Nudge,
};

/// On a machine with a CPU to spare it takes some milliseconds.
const PATIENCE: Duration = Duration::from_secs(3);
/// Tries to take a stack, of which one has to succeed.
const TRIES: u8 = 20;
/// Longer than the code of either function below.
const CODE_BYTES: u64 = 4_096;

const THREAD: &str = "asyncwatch-test";

/// Where the known slow poll is.
static PHASE: AtomicU8 = AtomicU8::new(IDLE);
const IDLE: u8 = 0;
const BLOCKS: u8 = 1;
const COMPUTES: u8 = 2;

static TRIAL: Mutex<Trial> = Mutex::new(Trial {
    let_go: None,
    tried: 0,
    blocked: None,
    computed: None,
    over: false,
});

/// What was seen so far.
struct Trial {
    let_go: Option<SyncSender<()>>,
    /// Tries in this phase.
    tried: u8,
    blocked: Option<Outcome>,
    computed: Option<Outcome>,
    over: bool,
}

type Outcome = Result<(), String>;

/// What came of it, for people.
pub(crate) enum Verdict {
    /// It has not ended yet.
    Pending,
    /// Everything was seen.
    Works,
    /// One sentence each.
    Fails(Vec<String>),
}

/// Whether a task spawned there is the known slow poll: none of the program's.
pub(crate) fn is_own(spawned_at: SourceLine) -> bool {
    spawned_at.file() == file!()
}

/// Starts the thread; gives up silently if there is none, as the watchdog has then
/// complained already.
pub(crate) fn start(watchdog: Nudge) {
    let (let_go, gate) = sync_channel(1);
    trial().let_go = Some(let_go);
    // The program goes on whether this works or not.
    let _ = thread::Builder::new()
        .name(THREAD.to_owned())
        .spawn(move || {
            run(watchdog, gate);
            trial().over = true;
            if let Verdict::Fails(why) = verdict() {
                why.into_iter().for_each(crate::warn);
            }
        });
}

/// Whether the calling thread is the one of the known slow poll.
pub(crate) fn is_here() -> bool {
    thread::current().name() == Some(THREAD)
}

/// What is known by now.
pub(crate) fn verdict() -> Verdict {
    let trial = trial();
    if !trial.over {
        return Verdict::Pending;
    }
    let failed = |what: &str, outcome: &Option<Outcome>| match outcome {
        Some(Ok(())) => None,
        Some(Err(why)) => Some(format!("{what} was not caught: {why}")),
        None => Some(format!(
            "{what} was not seen within {} s; polls may go unseen here, or the machine is very busy",
            PATIENCE.as_secs()
        )),
    };
    let failures: Vec<String> = [
        failed("a known poll that blocks", &trial.blocked),
        failed("a known poll that computes", &trial.computed),
    ]
    .into_iter()
    .flatten()
    .collect();
    if failures.is_empty() {
        Verdict::Works
    } else {
        Verdict::Fails(failures)
    }
}

fn run(watchdog: Nudge, gate: Receiver<()>) {
    #[cfg(feature = "layer")]
    crate::layer::ignore_this_thread();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    hooks::watch_own(&mut builder);
    let Ok(runtime) = builder.build() else {
        return;
    };
    let known = async move {
        PHASE.store(BLOCKS, Relaxed);
        watchdog.poke();
        blocks(&gate);
        trial().tried = 0;
        PHASE.store(COMPUTES, Relaxed);
        watchdog.poke();
        computes(&gate, Instant::now());
        PHASE.store(IDLE, Relaxed);
    };
    let _inside = runtime.enter();
    // By the source that the program's own tasks are seen by.
    #[cfg(tokio_unstable)]
    let known = tokio::spawn(known);
    #[cfg(not(tokio_unstable))]
    let known = crate::spawn(known);
    // It cannot fail: nothing in it panics.
    let _ = runtime.block_on(known);
}

/// Blocks until it was seen.
#[inline(never)]
fn blocks(gate: &Receiver<()>) {
    // Not the last thing it does: such a call would take the place of its frame.
    std::hint::black_box(gate.recv_timeout(PATIENCE).is_ok());
}

/// Computes until it was seen.
#[inline(never)]
fn computes(gate: &Receiver<()>, started: Instant) {
    while gate.try_recv().is_err() && started.elapsed() < PATIENCE {
        std::hint::spin_loop();
    }
}

/// The watchdog has come upon the known slow poll.
pub(crate) fn look(
    slot: &'static Slot,
    reading: Reading<Task>,
    thread: &Thread,
    capturer: Option<&mut Capturer>,
) {
    let phase = PHASE.load(Relaxed);
    let activity = thread.activity();
    let asleep = matches!(activity, Activity::Syscall(_));
    // Not there yet: it is met again at the next look.
    if phase == IDLE || (phase == BLOCKS && !asleep && activity != Activity::Unknown) {
        return;
    }
    let Some(capturer) = capturer else {
        // Why is told by another aspect.
        return settle(phase, Err("stacks cannot be taken here".to_owned()));
    };
    let still = Still {
        seq: slot.sequence(),
        expected: reading.sequence,
    };
    match capturer.capture(thread, still) {
        Ok(stack) if shows(&stack, phase) => settle(phase, Ok(())),
        Ok(_) => retry(
            phase,
            "its stack does not lead to the function that runs (no unwind tables?)",
        ),
        Err(CaptureError::Stale | CaptureError::Gone) => {}
        Err(why) => retry(phase, &why.to_string()),
    }
}

fn shows(stack: &RawStack, phase: u8) -> bool {
    let function = if phase == BLOCKS {
        blocks as fn(&Receiver<()>) as usize
    } else {
        computes as fn(&Receiver<()>, Instant) as usize
    };
    stack
        .addresses
        .iter()
        .any(|address| address.lookup().wrapping_sub(function as u64) < CODE_BYTES)
}

fn retry(phase: u8, why: &str) {
    let tried = {
        let mut trial = trial();
        trial.tried += 1;
        trial.tried
    };
    if tried >= TRIES {
        settle(phase, Err(why.to_owned()));
    }
}

fn settle(phase: u8, outcome: Outcome) {
    let mut trial = trial();
    let place = if phase == BLOCKS {
        &mut trial.blocked
    } else {
        &mut trial.computed
    };
    if place.is_some() {
        return;
    }
    *place = Some(outcome);
    if let Some(let_go) = &trial.let_go {
        // Full only if it was let go already.
        let _ = let_go.try_send(());
    }
}

fn trial() -> std::sync::MutexGuard<'static, Trial> {
    TRIAL.lock().unwrap_or_else(PoisonError::into_inner)
}
