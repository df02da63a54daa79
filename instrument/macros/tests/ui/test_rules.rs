//! Wrong rules of tests.

#[asyncwatch::test(max_poll = 20)]
async fn no_duration() {}

#[asyncwatch::test(max_poll = "20")]
async fn no_unit() {}

#[asyncwatch::test(max_poll = "10us")]
async fn too_short() {}

#[asyncwatch::test(timeout = "soon")]
async fn no_time() {}

#[asyncwatch::test(deny = "slow-poll")]
async fn no_list() {}

#[asyncwatch::test(deny())]
async fn empty_list() {}

#[asyncwatch::test(deny(slow_poll, 3))]
async fn no_code() {}

#[asyncwatch::test(deny(slow_pole))]
async fn unknown_code() {}

#[asyncwatch::test(deny(slow_poll, "slow-poll"))]
async fn twice() {}

#[asyncwatch::test(deny(unjoined), allow(unjoined))]
async fn denied_and_allowed() {}

#[asyncwatch::test(max_poll = "20ms", allow(slow_poll))]
async fn limited_and_allowed() {}

#[asyncwatch::test(deny(slow_poll))]
#[should_panic]
async fn panics_on_purpose() {}

#[asyncwatch::main(max_poll = "20ms")]
async fn of_a_test() {}

fn main() {}
