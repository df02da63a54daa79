//! Wrong arguments of main and test.

#[asyncwatch::main(flavour = "multi_thread")]
async fn unknown_argument() {}

#[asyncwatch::main(flavor = "single")]
async fn unknown_flavor() {}

#[asyncwatch::main(worker_threads = 0)]
async fn no_threads() {}

#[asyncwatch::main(worker_threads)]
async fn no_value() {}

#[asyncwatch::test(worker_threads = 2)]
async fn threads_on_one_thread() {}

#[asyncwatch::main(start_paused = true)]
async fn paused_on_many_threads() {}

#[asyncwatch::test(flavor = "local", flavor = "local")]
async fn twice() {}

#[asyncwatch::test(crate = 7)]
async fn no_path() {}

#[asyncwatch::test]
#[test]
async fn second_test_attribute() {}

#[asyncwatch::test]
fn not_async() {}

#[asyncwatch::main]
fn main() {}
