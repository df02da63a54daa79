//! id: b03_bcrypt_signup
//! kind: password hashing (bcrypt) in an async HTTP handler
//! source: kaj/warp-diesel-ructe-sample#4, seanmonstar/warp#630
//! runtime: multi_thread, 2 workers
//! expect: report
//! class: cpu
//! culprit: bcrypt::hash (bcrypt::bcrypt::bcrypt below it), at MARK:culprit
//! async_fn: b03_bcrypt_signup::signup (axum handler), at MARK:async_fn
//! help: spawn_blocking
//! min_ms: 60
//! finishes: yes
use axum::{routing::post, Json, Router};
use serde::Deserialize;

#[derive(Deserialize)]
struct SignupForm {
    user: String,
    password: String,
}

struct Accounts;
impl Accounts {
    fn create(&self, form: &SignupForm) -> String {
        let digest = bcrypt::hash(&form.password, 11).unwrap(); // MARK:culprit
        format!("{}:{}", form.user, digest)
    }
}

// MARK:async_fn
async fn signup(Json(form): Json<SignupForm>) -> String {
    let p = zoo::probe();
    let row = Accounts.create(&form);
    let (_wall, cpu) = p.done("signup");
    if cpu >= 60 {
        OK.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
    row
}
static OK: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // HOOK
    let app = Router::new().route("/signup", post(signup)).route("/", axum::routing::get(|| async { "home" }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let body = br#"{"user":"kim","password":"correct horse battery staple"}"#;
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..4 {
        clients.spawn(async move { zoo::http(addr, "POST", "/signup", body).await.unwrap() });
    }
    let t = std::time::Instant::now();
    zoo::http(addr, "GET", "/", b"").await.unwrap();
    zoo::fact("home_page_latency_ms", t.elapsed().as_millis());
    while clients.join_next().await.is_some() {}
    zoo::verdict("b03_bcrypt_signup", OK.load(std::sync::atomic::Ordering::Relaxed) >= 3);
}
