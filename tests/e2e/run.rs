//! `asyncwatch run --headless`: a program is started, watched and stopped.

use asyncwatch_tests::{asyncwatch, program};

fn run(arguments: &[&str], specimen: &str, its_arguments: &[&str]) -> (Option<i32>, String) {
    let output = asyncwatch()
        .arg("run")
        .args(arguments)
        .arg("--")
        .arg(program(specimen))
        .args(its_arguments)
        .output()
        .expect("asyncwatch runs");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn findings_are_printed_when_the_program_has_ended() {
    let (code, text) = run(&["--headless", "--for", "60s"], "thread_sleep", &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("[slow-poll]"), "{text}");
    assert!(text.contains("specimens/thread_sleep.rs"), "{text}");
}

#[test]
fn a_program_that_would_go_on_is_stopped() {
    let (code, text) = run(&["--headless", "--for", "6s"], "endless", &["3600"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("[slow-poll]"), "{text}");
    assert!(text.contains("specimens/endless.rs"), "{text}");
}

#[test]
fn a_program_that_does_not_exist_is_told() {
    let output = asyncwatch()
        .args(["run", "--headless", "--for", "1s", "--", "/no/such/program"])
        .output()
        .expect("asyncwatch runs");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("/no/such/program"), "{said}");
}
