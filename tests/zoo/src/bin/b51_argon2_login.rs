//! id: b51_argon2_login
//! kind: password check (argon2) in a spawned session task
//! source: a common mistake; argon2's own documentation asks for a blocking thread
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: cpu
//! culprit: argon2::Argon2::hash_password_into, at MARK:culprit
//! async_fn: b51_argon2_login::login, at MARK:async_fn
//! help: spawn_blocking
//! min_ms: 60
//! finishes: yes
use argon2::{Algorithm, Argon2, Params, Version};

fn digest(password: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(32 * 1024, 4, 1, None).unwrap());
    argon.hash_password_into(password, b"a salt for everybody", &mut out).unwrap(); // MARK:culprit
    out
}

// MARK:async_fn
async fn login(password: String) -> bool {
    tokio::task::yield_now().await;
    let p = zoo::probe();
    let known = digest(password.as_bytes());
    let (_wall, cpu) = p.done("login");
    zoo::verdict("b51_argon2_login", cpu >= 60);
    known[0] == known[1]
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    tokio::spawn(login("correct horse".into())).await.unwrap();
}
