//! The third source of polls: tokio's own `tracing` spans and events.
//!
//! tokio emits them with its feature `tracing` and `--cfg tokio_unstable`. They show
//! what neither hooks nor wrappers see: tasks of a `LocalSet`, roots of `block_on`,
//! tasks of runtimes that were not built watched ([`tasks`]); who queues for a lock
//! while its holder awaits ([`locks`], [`contention`]); and intervals that make up for
//! missed ticks ([`rhythm`]). It is dearer than the other two: entering a span takes
//! locks and looks things up, in `tracing` itself and here. Still nothing here waits
//! for our own threads, and what concerns them goes through a bounded queue
//! ([`signals`]).

mod contention;
mod fields;
mod filter;
mod holding;
mod locks;
mod report;
mod rhythm;
mod signals;
mod tasks;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, Ordering::Relaxed},
};

pub(crate) use report::Judge;
pub(crate) use tasks::{ignore_this_thread, root_is_watched};
use tracing::{
    Event, Subscriber,
    span::{Attributes, Id},
};
use tracing_subscriber::{
    Layer,
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

use self::{
    fields::{LockState, PollOp, Resource, Spawn, WakerOp},
    filter::{ASYNC_OP, OnlyTokio, POLL_OP, RESOURCE, SPAWN, STATE, WAKER},
    holding::Holding,
    locks::{Attempt, Lock, Who},
    rhythm::Rhythm,
    signals::Signal,
    tasks::TaskSpan,
};
use crate::{clock, coverage, settings, source::SourceLine};

static NEXT: AtomicU32 = AtomicU32::new(1);

/// A layer for the program's own `tracing` subscriber, through which asyncwatch sees
/// what tokio tells of itself.
///
/// It needs tokio's feature `tracing` and `RUSTFLAGS="--cfg tokio_unstable"`; without
/// them nothing arrives, and asyncwatch says so. With them it brings
///
/// - tasks of a `LocalSet`, roots of `block_on` and tasks of runtimes that were not
///   built [`watched`](crate::RuntimeBuilderExt::watched): their polls, slow ones with
///   the stack of the culprit, and their numbers. A task that asyncwatch sees already
///   is not counted twice;
/// - `async-contention`: tasks that queue for a `Mutex` or an `RwLock` of tokio while
///   its holder awaits something;
/// - `timer-burst`: an `Interval` that makes up for missed ticks all at once.
///
/// It sees tokio's own spans and events only, at whatever level they are, and changes
/// nothing for other layers. Those that have no filter are shown everything tokio
/// emits at level `TRACE`, with this layer or without it: give each a filter of its
/// own. A filter for the whole subscriber (`EnvFilter` as a layer, or `fmt().init()`
/// with its maximum level) would keep tokio's events from this layer too.
///
/// ```
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let subscriber = tracing_subscriber::registry()
///     .with(asyncwatch_instrument::layer());
///     // .with(tracing_subscriber::fmt::layer().with_filter(LevelFilter::INFO))
/// # let _ = subscriber;
/// ```
///
/// Starts asyncwatch, if nothing did so before, with the configuration of the
/// environment. While that switches it off, the layer lets nothing through.
pub fn layer<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    crate::install();
    let on = settings::on();
    if on {
        signals::prepare();
        coverage::note_layer();
    }
    let layer = TokioLayer {
        number: NEXT.fetch_add(1, Relaxed),
    };
    layer.with_filter(OnlyTokio { on })
}

struct TokioLayer {
    /// Tells spans that it has marked from those that another one has.
    number: u32,
}

/// What hangs on the span of a resource or of an operation on one.
struct Marked<T> {
    layer: u32,
    what: T,
}

type Interval = (SourceLine, Mutex<Rhythm>);

enum Watched {
    Lock(Arc<Lock>),
    Interval(Arc<Interval>),
}

enum Operation {
    Lock(Attempt),
    Tick(Arc<Interval>),
}

impl<S> Layer<S> for TokioLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if tasks::is_ignored() {
            return;
        }
        let Some(span) = context.span(id) else { return };
        match attributes.metadata().name() {
            SPAWN => self.spawned(attributes, &span),
            RESOURCE => self.made(attributes, &span),
            ASYNC_OP => self.operation(&span),
            _ => {}
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if span.metadata().name() == SPAWN
            && let Some(task) = span.extensions().get::<TaskSpan>()
            && task.layer == self.number
        {
            tasks::enter(id.into_u64(), task);
        }
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        if tasks::exit(id.into_u64())
            && let Some(span) = context.span(id)
            && let Some(task) = span.extensions().get::<TaskSpan>()
        {
            task.retire();
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        let extensions = span.extensions();
        if let Some(task) = extensions.get::<TaskSpan>()
            && task.layer == self.number
        {
            task.retire();
        }
        if let Some(Operation::Lock(attempt)) = self.mark(&extensions) {
            attempt.ends();
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        match event.metadata().target() {
            POLL_OP => self.polled(event, &context),
            STATE => self.changed(event, &context),
            WAKER => waker(event, &context),
            _ => {}
        }
    }
}

impl TokioLayer {
    fn spawned<'a, S: LookupSpan<'a>>(&self, attributes: &Attributes<'_>, span: &SpanRef<'a, S>) {
        coverage::note_layer_is_told();
        let mut fields = Spawn::default();
        attributes.record(&mut fields);
        let mut extensions = span.extensions_mut();
        if extensions.get_mut::<TaskSpan>().is_none()
            && let Some(task) = TaskSpan::new(self.number, &fields)
        {
            extensions.insert(task);
        }
    }

    fn made<'a, S: LookupSpan<'a>>(&self, attributes: &Attributes<'_>, span: &SpanRef<'a, S>) {
        let mut fields = Resource::default();
        attributes.record(&mut fields);
        let place = &fields.place;
        let Some(made) = SourceLine::kept(&place.file, place.line, place.column) else {
            return;
        };
        let watched = match &*fields.concrete_type {
            "Interval" => {
                let rhythm = Mutex::new(Rhythm::new(clock::now()));
                Some(Watched::Interval(Arc::new((made, rhythm))))
            }
            kind => Lock::new(kind, made).map(|lock| Watched::Lock(Arc::new(lock))),
        };
        if let Some(watched) = watched {
            self.put(span, watched);
        }
    }

    fn operation<'a, S: LookupSpan<'a>>(&self, span: &SpanRef<'a, S>) {
        let Some(resource) = span.parent() else {
            return;
        };
        let operation = match self.mark(&resource.extensions()) {
            Some(Watched::Lock(lock)) => Operation::Lock(Attempt::new(lock.clone())),
            Some(Watched::Interval(interval)) => Operation::Tick(interval.clone()),
            None => return,
        };
        self.put(span, operation);
    }

    /// A poll of an operation has come to something.
    fn polled<S>(&self, event: &Event<'_>, context: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let mut fields = PollOp::default();
        event.record(&mut fields);
        let Some(span) = context.event_span(event) else {
            return;
        };
        let extensions = span.extensions();
        match (self.mark(&extensions), fields.is_ready) {
            (Some(Operation::Lock(attempt)), Some(true)) => attempt.ends(),
            (Some(Operation::Lock(attempt)), Some(false)) => {
                attempt.waits(Who::here(tasks::current_span()));
            }
            (Some(Operation::Tick(interval)), Some(ready)) => ticked(interval, ready),
            _ => {}
        }
    }

    /// A lock was taken or released.
    fn changed<S>(&self, event: &Event<'_>, context: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let mut fields = LockState::default();
        event.record(&mut fields);
        let Some(span) = context.event_span(event) else {
            return;
        };
        let lock = match self.mark(&span.extensions()) {
            Some(Watched::Lock(lock)) => lock.clone(),
            _ => return,
        };
        let current = tasks::current_span();
        match fields.taken() {
            Some(true) => lock.taken(
                Who::here(current),
                fields.is_exclusive(),
                current.and_then(|span| holding(span, context)),
            ),
            Some(false) => lock.released(Who::here(current), fields.is_exclusive()),
            None => {}
        }
    }

    fn mark<'e, T: 'static>(
        &self,
        extensions: &'e tracing_subscriber::registry::Extensions<'_>,
    ) -> Option<&'e T> {
        extensions
            .get::<Marked<T>>()
            .filter(|marked| marked.layer == self.number)
            .map(|marked| &marked.what)
    }

    fn put<'a, S: LookupSpan<'a>, T>(&self, span: &SpanRef<'a, S>, what: T)
    where
        T: Send + Sync + 'static,
    {
        let mut extensions = span.extensions_mut();
        if extensions.get_mut::<Marked<T>>().is_none() {
            extensions.insert(Marked {
                layer: self.number,
                what,
            });
        }
    }
}

/// The locks that the task of `span` holds.
fn holding<S>(span: u64, context: &Context<'_, S>) -> Option<Arc<Holding>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let span = context.span(&Id::from_u64(span))?;
    let extensions = span.extensions();
    Some(extensions.get::<TaskSpan>()?.holding().clone())
}

/// A waker was copied or used. If a task copies its own, it is about to suspend.
fn waker<S>(event: &Event<'_>, context: &Context<'_, S>)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    if !holding::any_lock_is_held() {
        return;
    }
    let Some(current) = tasks::current_span() else {
        return;
    };
    let mut fields = WakerOp::default();
    event.record(&mut fields);
    if !fields.is_clone || fields.span != current {
        return;
    }
    let Some(span) = context.span(&Id::from_u64(current)) else {
        return;
    };
    let extensions = span.extensions();
    if let Some(holding) = extensions
        .get::<TaskSpan>()
        .and_then(TaskSpan::known_holding)
        && holding.holds_any()
    {
        holding.suspends(tasks::is_fresh());
    }
}

fn ticked(interval: &Interval, ready: bool) {
    let (made, rhythm) = interval;
    let mut rhythm = rhythm.lock().unwrap_or_else(PoisonError::into_inner);
    if ready {
        return rhythm.tick(clock::now());
    }
    let burst = rhythm.wait(settings::limit_of(asyncwatch_findings::Code::TimerBurst));
    drop(rhythm);
    if let Some(burst) = burst {
        signals::push(Signal::Burst {
            made: *made,
            who: Who::here(tasks::current_span()),
            burst,
        });
    }
}
