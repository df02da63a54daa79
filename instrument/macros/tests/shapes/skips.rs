//! Losers of a `select!` are made inside a registered range; others are not.

use std::future::ready;

use futures_util::FutureExt;

use crate::{run, take_reports};
use asyncwatch::__private::{Report, is_skippable};

#[asyncwatch::watch]
mod app {
    use super::*;

    pub(super) async fn work(n: u8) -> u8 {
        n
    }

    pub(super) async fn fails() -> Result<u8, ()> {
        Err(())
    }

    pub(super) async fn succeeds() -> Result<u8, ()> {
        Ok(1)
    }

    pub(super) async fn biased() -> u8 {
        tokio::select! {
            biased;
            n = ready(1) => n,
            n = work(2) => n,
        }
    }

    pub(super) async fn guarded(flag: bool) -> u8 {
        tokio::select! {
            n = work(1), if flag => n,
            n = ready(2) => n,
        }
    }

    pub(super) async fn tries() -> Result<(u8, u8), ()> {
        tokio::try_join!(biased; fails(), succeeds())
    }

    pub(super) async fn futures_crate() -> u8 {
        futures_util::select_biased! {
            n = ready(1).fuse() => n,
            n = work(2).boxed().fuse() => n,
        }
    }

    pub(super) async fn nested() -> usize {
        vec![tokio::select! { biased; n = ready(1) => n, n = work(2) => n }].len()
    }

    pub(super) fn in_a_block() -> impl Future<Output = u8> {
        async {
            tokio::select! {
                biased;
                n = ready(1) => n,
                n = work(2) => n,
            }
        }
    }

    pub(super) async fn outside() -> u8 {
        let _forgotten = work(3);
        tokio::select! { n = ready(1) => n }
    }

    #[rustfmt::skip]
    pub(super) async fn same_line() {
        drop(work(4)); tokio::select! { _ = ready(1) => {} } drop(work(5));
    }
}

fn reports_of<F: Future>(future: F) -> Vec<Report> {
    take_reports();
    run(future);
    take_reports()
}

#[track_caller]
fn assert_one_skippable<F: Future>(future: F) {
    let reports = reports_of(future);
    let [report] = &reports[..] else {
        panic!("one loser wanted: {reports:?}");
    };
    assert!(is_skippable(report.made), "{report:?}");
}

#[test]
fn losers_are_made_in_a_range() {
    assert_one_skippable(app::biased());
    assert_one_skippable(app::guarded(false));
    assert_one_skippable(app::tries());
    assert_one_skippable(app::futures_crate());
    assert_one_skippable(app::nested());
    assert_one_skippable(app::in_a_block());
}

#[test]
fn others_are_not() {
    let reports = reports_of(app::outside());
    assert_eq!(reports.len(), 1);
    assert!(!is_skippable(reports[0].made));
    let reports = reports_of(app::same_line());
    assert_eq!(reports.len(), 2);
    assert!(reports.iter().all(|report| !is_skippable(report.made)));
}

#[test]
fn main_and_test_register_theirs() {
    #[asyncwatch::main(flavor = "current_thread")]
    async fn selects() -> u8 {
        tokio::select! { biased; n = ready(1) => n, n = app::work(2) => n }
    }
    take_reports();
    assert_eq!(selects(), 1);
    let reports = take_reports();
    assert_eq!(reports.len(), 1);
    assert!(is_skippable(reports[0].made));
}
