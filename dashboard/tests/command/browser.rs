//! The HTML report in a real browser, where there is one.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use asyncwatch_findings::{Code, Finding, Frame, Level, Stack};
use scraper::{Html, Selector};

use crate::fake::*;

/// A Chromium by any name.
fn browser() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let path = env::var_os("PATH")?;
    let directories: Vec<PathBuf> = env::split_paths(&path).collect();
    let candidates = names.iter().flat_map(|name| {
        directories
            .iter()
            .map(move |directory| directory.join(name))
    });
    candidates.into_iter().find(|path| path.is_file())
}

/// The document as it is when its scripts and those of `steps` have run, and what they
/// wrote to the console.
fn visit(browser: &Path, scene: &Scene, page: &str, steps: &str, hash: &str) -> (Html, String) {
    let file = scene.path("visited.html");
    let steps = format!("<script>{steps}</script></body>");
    fs::write(&file, page.replace("</body>", &steps)).expect("written");
    let output = Command::new(browser)
        // The page is ours; the sandbox is not to be had in containers.
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .args(["--enable-logging=stderr", "--virtual-time-budget=2000"])
        .arg(format!(
            "--user-data-dir={}",
            scene.path("profile").display()
        ))
        .arg(format!("file://{}#{hash}", file.display()))
        .output()
        .expect("the browser starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let console = stderr.lines().filter(|line| line.contains("CONSOLE"));
    let console: Vec<&str> = console.collect();
    let document = Html::parse_document(&String::from_utf8_lossy(&output.stdout));
    (document, console.join("\n"))
}

fn texts(page: &Html, selector: &str) -> Vec<String> {
    let selector = Selector::parse(selector).expect("a selector");
    let all = page.select(&selector);
    all.map(|element| element.text().collect::<String>().trim().to_owned())
        .collect()
}

fn stack(ms: u64, functions: [&str; 2]) -> Stack {
    let frames = functions.iter().rev().map(|function| Frame {
        function: (*function).to_owned(),
        ..Frame::default()
    });
    Stack {
        weight: std::time::Duration::from_millis(ms),
        frames: frames.collect(),
        ..Stack::default()
    }
}

#[test]
fn a_page_works_in_a_browser() {
    let Some(browser) = browser() else {
        eprintln!("NOT RUN: there is no Chromium here to look at the page with");
        return;
    };
    let scene = Scene::new();
    let often = Finding {
        id: 2,
        code: Code::NeverAwaited,
        count: 99,
        wall: None,
        class: None,
        fingerprint: "00000000000000aa".to_owned(),
        message: "<img src=x onerror=\"document.title='owned'\">".to_owned(),
        ..slow_poll(Level::Deny)
    };
    let slow = Finding {
        stacks: vec![
            stack(300, ["main", "app::a"]),
            stack(100, ["main", "app::b"]),
        ],
        ..slow_poll(Level::Deny)
    };
    let script = scene.reports(
        "app",
        &[process(), found(slow), found(often), totals(), end()],
    );
    scene
        .asyncwatch(&["check", "--report", "html=r.html"], &script)
        .exits(1);
    let page = fs::read_to_string(scene.path("r.html")).expect("written");

    let (untouched, console) = visit(&browser, &scene, &page, "", "explain-slow-poll");
    assert_eq!(console, "");
    assert_eq!(
        texts(&untouched, "title"),
        ["asyncwatch: 2 errors (slow-poll, never-awaited)"]
    );
    let first = |page: &Html| texts(page, "#places tbody tr:first-child td:nth-child(2)");
    assert_eq!(first(&untouched), ["slow-poll"]);
    assert_eq!(
        texts(&untouched, "#explain-slow-poll[open] summary"),
        ["slow-poll"]
    );

    let steps = "
        document.querySelector('#places th:nth-last-child(1)').click();
        [...document.querySelectorAll('.call')].find((call) => call.textContent === 'app::b').click();
    ";
    let (touched, console) = visit(&browser, &scene, &page, steps, "");
    assert_eq!(console, "");
    assert_eq!(
        first(&touched),
        ["never-awaited"],
        "sorted by how often it was seen"
    );
    assert_eq!(
        texts(&touched, "#places th[aria-sort=descending]"),
        ["seen"]
    );
    assert_eq!(texts(&touched, ".call:not([hidden])"), ["main", "app::b"]);
    assert_eq!(
        texts(&touched, "button.reset:not([hidden])"),
        ["whole graph"]
    );
}
