//! Errors in the body point to the body.

#[asyncwatch::main]
async fn wrong_tail() -> Result<u8, String> {
    "text"
}

#[asyncwatch::main]
async fn wrong_return() -> u8 {
    if true {
        return "text";
    }
    1
}

#[asyncwatch::watch]
async fn missing_tail(n: u8) -> u8 {
    n + 1;
}

struct Mine;
struct Other;

#[asyncwatch::watch]
async fn wrong_error(result: Result<u8, Other>) -> Result<u8, Mine> {
    let n: u8 = result?;
    Ok(n)
}

#[asyncwatch::watch]
async fn unit(text: &str) {
    text.len()
}

#[asyncwatch::watch]
async fn not_send() {
    let held = std::rc::Rc::new(1);
    tokio::task::yield_now().await;
    drop(held);
}

fn requires_send() {
    tokio::spawn(not_send());
}

#[asyncwatch::main]
async fn main(arguments: Vec<String>) {
    drop(arguments);
}
