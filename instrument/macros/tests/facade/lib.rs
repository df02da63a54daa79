//! A stand-in for the facade: what the expansions call, in its smallest form.
//! Reports go to a list of the thread, so that tests can run side by side.

pub use asyncwatch_macros::{main, test, watch};

/// What the expansions call.
pub mod __private {
    use std::cell::RefCell;
    use std::future::Future;
    use std::marker::PhantomData;
    use std::panic::Location;
    use std::pin::Pin;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Context, Poll};

    pub use tokio;

    thread_local! {
        static REPORTS: RefCell<Vec<Report>> = const { RefCell::new(Vec::new()) };
        static RANGES: RefCell<Vec<&'static SkipRange>> = const { RefCell::new(Vec::new()) };
        static CALLS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    /// The name of a watched function, and where it is defined.
    pub trait WatchedFn {
        /// Module path, type and function.
        const NAME: &'static str;
        /// As in [`Location::file`].
        const FILE: &'static str;
        /// The line of the function's name.
        const LINE: u32;
        /// The function itself puts its futures into boxes.
        const BOXED: bool = false;
    }

    pin_project_lite::pin_project! {
        /// The future of a watched function.
        pub struct OfFn<M: WatchedFn, F> {
            #[pin]
            future: F,
            state: State<M>,
        }
    }

    enum State<M: WatchedFn> {
        Made(Unawaited<M>),
        #[expect(dead_code, reason = "as large as the real one")]
        Outermost(Box<u8>),
        Within,
    }

    struct Unawaited<M: WatchedFn> {
        made: &'static Location<'static>,
        function: PhantomData<fn() -> M>,
    }

    impl<M: WatchedFn, F: Future> OfFn<M, F> {
        /// Notes the place where the future is being made.
        #[track_caller]
        #[inline]
        pub fn new(future: F) -> Self {
            let made = Location::caller();
            let function = PhantomData;
            Self {
                future,
                state: State::Made(Unawaited { made, function }),
            }
        }
    }

    impl<M: WatchedFn, F: Future> Future for OfFn<M, F> {
        type Output = F::Output;

        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
            let this = self.project();
            if let State::Made(unawaited) = std::mem::replace(this.state, State::Within) {
                std::mem::forget(unawaited);
            }
            this.future.poll(context)
        }
    }

    impl<M: WatchedFn> Drop for Unawaited<M> {
        fn drop(&mut self) {
            report(Report {
                name: M::NAME,
                defined: (M::FILE, M::LINE),
                made: self.made,
                boxed: M::BOXED,
            });
        }
    }

    /// A future was dropped before its first poll.
    #[derive(Clone, Copy, Debug)]
    pub struct Report {
        /// [`WatchedFn::NAME`].
        pub name: &'static str,
        /// [`WatchedFn::FILE`] and [`WatchedFn::LINE`].
        pub defined: (&'static str, u32),
        /// The call that made the future.
        pub made: &'static Location<'static>,
        /// [`WatchedFn::BOXED`].
        pub boxed: bool,
    }

    /// From the first character of a macro call to the one after its last.
    pub struct SkipRange {
        file: &'static str,
        start: (u32, u32),
        end: (u32, u32),
        registered: AtomicBool,
    }

    impl SkipRange {
        /// The range from `start` up to `end`, lines and columns from 1.
        pub const fn new(file: &'static str, start: (u32, u32), end: (u32, u32)) -> Self {
            Self {
                file,
                start,
                end,
                registered: AtomicBool::new(false),
            }
        }

        /// Whether a call at `place` stands inside.
        pub fn contains(&self, place: &Location<'_>) -> bool {
            let at = (place.line(), place.column());
            self.file == place.file() && self.start <= at && at < self.end
        }
    }

    /// Futures made inside `range` may be dropped unpolled.
    pub fn may_skip(range: &'static SkipRange) {
        if !range.registered.swap(true, Ordering::Relaxed) {
            RANGES.with_borrow_mut(|ranges| ranges.push(range));
        }
    }

    /// The return type of a function type: a way to write `!`.
    pub trait Returns {
        /// The type it returns.
        type Output;
    }

    impl<R> Returns for fn() -> R {
        type Output = R;
    }

    /// Called by `main` on the builder of its runtime.
    pub fn watch_main_builder(_: &mut tokio::runtime::Builder) {
        call("watch_main_builder".to_owned());
    }

    /// Called by `test` on the builder of its runtime.
    pub fn watch_test_builder(_: &mut tokio::runtime::Builder) {
        call("watch_test_builder".to_owned());
    }

    /// Called by both on the body.
    #[track_caller]
    pub fn root<F: Future>(future: F, name: &'static str) -> impl Future<Output = F::Output> {
        let place = Location::caller();
        call(format!("root {name} {}:{}", place.line(), place.column()));
        future
    }

    /// Called by both on the runtime.
    pub fn running<R>(runtime: R) -> R {
        runtime
    }

    /// Kinds of findings.
    #[derive(Clone, Copy, Debug)]
    pub enum Code {
        /// One of them.
        SlowPoll,
        /// Another.
        TaskLeaked,
        /// A third.
        Unjoined,
    }

    /// What a test asks for.
    #[derive(Clone, Copy, Debug)]
    pub struct Rules {
        /// Its path.
        pub name: &'static str,
        /// `max_poll = ".."`.
        pub max_poll: Option<std::time::Duration>,
        /// `deny(..)`.
        pub deny: &'static [Code],
        /// `allow(..)`.
        pub allow: &'static [Code],
        /// `timeout = ".."`.
        pub timeout: Option<std::time::Duration>,
    }

    /// Called by `test` with rules, in place of the runtime's `block_on`.
    #[track_caller]
    pub fn run_test<F: Future>(
        rules: Rules,
        runtime: tokio::runtime::Runtime,
        body: impl FnOnce() -> F,
    ) -> F::Output {
        call(format!("{rules:?}"));
        runtime.block_on(body())
    }

    /// Ends the watching when it is dropped.
    pub struct Finish;

    impl Drop for Finish {
        fn drop(&mut self) {
            call("finish".to_owned());
        }
    }

    fn report(report: Report) {
        REPORTS.with_borrow_mut(|reports| reports.push(report));
    }

    fn call(call: String) {
        CALLS.with_borrow_mut(|calls| calls.push(call));
    }

    /// The reports of this thread since the last call.
    pub fn take_reports() -> Vec<Report> {
        REPORTS.take()
    }

    /// What the expansions of `main` and `test` called on this thread so far.
    pub fn take_calls() -> Vec<String> {
        CALLS.take()
    }

    /// Whether a range that was registered on this thread covers the place.
    pub fn is_skippable(place: &Location<'_>) -> bool {
        RANGES.with_borrow(|ranges| ranges.iter().any(|range| range.contains(place)))
    }
}
