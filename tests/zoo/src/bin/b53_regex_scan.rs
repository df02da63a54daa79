//! id: b53_regex_scan
//! kind: a regex over a large text inside a closure of an iterator in an async fn
//! source: a common mistake; compare the rules that code review bots run on whole files
//! runtime: current_thread
//! expect: report
//! class: cpu
//! culprit: regex::Regex::find_iter, at MARK:culprit
//! async_fn: b53_regex_scan::count_secrets, at MARK:async_fn
//! help: pattern
//! min_ms: 60
//! finishes: yes
use regex::Regex;

// MARK:async_fn
async fn count_secrets(texts: Vec<String>, pattern: Regex) -> usize {
    tokio::task::yield_now().await;
    let p = zoo::probe();
    let found = texts
        .iter()
        .map(|text| pattern.find_iter(text).count()) // MARK:culprit
        .sum();
    let (_wall, cpu) = p.done("count_secrets");
    zoo::verdict("b53_regex_scan", cpu >= 60);
    found
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // HOOK
    let pattern = Regex::new(r"(?i)\b[a-z]{3,12}[0-9]{1,4}[^ ]*key\b").unwrap();
    let texts = vec!["the quick brown fox4 jumps over 13 lazy dogs and a monkey9key ".repeat(12_000); 60];
    let found = tokio::spawn(count_secrets(texts, pattern)).await.unwrap();
    zoo::fact("found", found);
}
