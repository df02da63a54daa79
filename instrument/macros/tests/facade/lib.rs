//! A stand-in for the facade: what the expansions call, in its smallest form.
//! Reports go to a list of the thread, so that tests can run side by side.

pub use asyncwatch_macros::{main, test, watch};

/// What the expansions call.
pub mod __private {
    use std::cell::RefCell;
    use std::future::Future;
    use std::marker::PhantomData;
    use std::panic::Location;
    use std::sync::atomic::{AtomicBool, Ordering};

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
    }

    /// Held by a watched future until its first poll.
    pub struct Unawaited<F: WatchedFn> {
        made: &'static Location<'static>,
        function: PhantomData<fn() -> F>,
    }

    impl<F: WatchedFn> Unawaited<F> {
        /// Notes the place where the future is being made.
        #[track_caller]
        #[expect(clippy::new_without_default, reason = "only generated code makes one")]
        #[inline]
        pub fn new() -> Self {
            Self {
                made: Location::caller(),
                function: PhantomData,
            }
        }

        /// The future is being polled: nothing to report any more.
        #[inline]
        pub fn polled(self) {
            std::mem::forget(self);
        }
    }

    impl<F: WatchedFn> Drop for Unawaited<F> {
        fn drop(&mut self) {
            report(Report {
                name: F::NAME,
                defined: (F::FILE, F::LINE),
                made: self.made,
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
