//! Wrong uses of watch.

#[asyncwatch::watch(deep = true)]
async fn unknown_argument() {}

#[asyncwatch::watch]
fn not_async() {}

#[asyncwatch::watch]
struct NotAFunction;

fn main() {}
